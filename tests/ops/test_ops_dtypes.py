"""Dtypes and their limits, where two meet, and functions that PyTorch has at its top level."""

import math

import numpy as np
import pytest

import tinyconv as tc
import tinyconv.nn.functional as F

DTYPES = [tc.bool, tc.uint8, tc.int8, tc.int16, tc.int32, tc.int64, tc.float32, tc.float64]


def test_numbers_and_names_of_types():
    assert (tc.inf, tc.pi, tc.e, tc.newaxis) == (math.inf, math.pi, math.e, None)
    assert math.isnan(tc.nan) and tc.zeros(3)[:, tc.newaxis].shape == (3, 1)
    assert all(isinstance(d, tc.dtype) for d in (*DTYPES, tc.zeros(1).dtype))
    assert tc.typename(tc.ones(1).long()) == "tinyconv.LongTensor"
    assert tc.typename(tc.nn.Linear(1, 1)).endswith("Linear") and tc.typename([1]) == "list"


def test_sizes():
    size = tc.Size((2, 3))
    assert size == tc.zeros(2, 3).shape and size.numel() == 6 and tc.Size([]).numel() == 1
    assert isinstance(tc.zeros(2).shape, tc.Size) and isinstance(size, tc.Size)
    assert not isinstance([2, 3], tc.Size) and tc.ones(size).reshape(size[::-1]).shape == (3, 2)


@pytest.mark.parametrize("dtype", [tc.float32, tc.float64])
def test_limits_of_floats(dtype):
    info, one = tc.finfo(dtype), dtype.type(1)
    assert one + dtype.type(info.eps) > one == one + dtype.type(info.eps / 2)
    assert info.min == -info.max and math.isfinite(info.max) and info.tiny == info.smallest_normal
    assert {type(v) for v in (info.eps, info.max, info.tiny, info.resolution)} == {float}
    assert (info.dtype, info.bits) == (dtype.name, 8 * dtype.itemsize)
    assert tc.zeros(2, dtype=dtype).masked_fill(tc.tensor([True, False]), info.min)[0] == info.min


def test_limits_of_integers():
    info = tc.iinfo(tc.int16)
    assert (info.min, info.max, info.bits, info.dtype) == (-32768, 32767, 16, "int16")
    assert type(info.max) is int and repr(info) == "iinfo(min=-32768, max=32767, dtype=int16)"
    assert tc.finfo().dtype == "float32" and "eps=1.19209e-07" in repr(tc.finfo())
    with pytest.raises(TypeError, match="finfo: int32 is no float dtype; iinfo tells"):
        tc.finfo(tc.int32)
    for dtype in (tc.float32, tc.bool):
        with pytest.raises(TypeError, match="iinfo: .* is no integer dtype"):
            tc.iinfo(dtype)


def test_where_types_meet():
    rank = {"b": 0, "u": 1, "i": 1, "f": 2}
    for a in DTYPES:
        for b in DTYPES:
            met = tc.promote_types(a, b)
            assert met == (tc.zeros(2, dtype=a) + tc.zeros(2, dtype=b)).dtype
            assert met == tc.promote_types(b, a)
            assert tc.can_cast(a, b) == (rank[a.kind] <= rank[b.kind])
    assert tc.result_type(tc.ones(2, dtype=tc.int8), 3) == tc.int8
    assert tc.result_type(tc.ones(2), tc.tensor(1.0, dtype=tc.float64)) == tc.float32
    assert tc.result_type(1, 1.0) == tc.float32 and tc.result_type(True, 2) == tc.int64


def test_default_type_by_its_name():
    for given in ("torch.DoubleTensor", tc.DoubleTensor, tc.float64):
        tc.set_default_tensor_type(given)
        try:
            assert tc.tensor(1.0).dtype == tc.float64
        finally:
            tc.set_default_tensor_type("tinyconv.FloatTensor")
    assert tc.tensor(1.0).dtype == tc.float32


def test_facts_as_functions():
    x = tc.ones(2, requires_grad=True)
    y = tc.detach(x * 2)
    assert y.is_leaf and not y.requires_grad and tc.is_floating_point(input=x)
    assert not tc.is_complex(x) and tc.is_signed(x) and tc.is_same_size(x, y)
    assert tc.is_nonzero(tc.tensor(2)) and tc.get_device(x) == -1
    assert not tc.is_floating_point(tc.tensor([1]))


def test_asarray():
    array, x = np.ones(2, np.float32), tc.ones(2, requires_grad=True)
    assert tc.asarray(x) is x and np.shares_memory(tc.asarray(array).numpy(), array)
    assert not np.shares_memory(tc.asarray(array, copy=True).numpy(), array)
    assert tc.asarray(x, copy=True).array is not x.array
    assert not tc.asarray(x, requires_grad=False).requires_grad and x.requires_grad
    assert tc.asarray([1.0], dtype=tc.float64, requires_grad=True).is_leaf
    for obj, dtype in (([1.0], None), (array, tc.float64)):
        with pytest.raises(ValueError, match="asarray: copy=False, but .* needs one"):
            tc.asarray(obj, dtype=dtype, copy=False)


def test_as_tensor_converts_arrays_to_float64():
    assert tc.as_tensor(np.ones(2, np.float32), dtype=tc.float64).dtype == tc.float64


def test_a_seed_from_entropy():
    state = tc.get_rng_state()
    try:
        seed = tc.seed()
        first = tc.rand(3)
        assert tc.initial_seed() == seed
        assert tc.equal(tc.rand(3, generator=tc.Generator().manual_seed(seed)), first)
    finally:
        tc.set_rng_state(new_state=state)


# -- functions at the top level -------------------------------------------------------------------
def test_methods_in_place_as_functions():
    x = tc.tensor([-1.0, 4.0])
    assert tc.relu_(x) is x and tc.sqrt_(x).tolist() == [0, 2]
    assert tc.clamp_(x, max=1).tolist() == [0, 1] and tc.zero_(x).tolist() == [0, 0]


def test_layers_functions_with_the_top_levels_arguments():
    tc.manual_seed(0)
    x, w, b = tc.randn(3, 4, 6), tc.rand(4) + 0.5, tc.randn(4)
    mean, var = tc.zeros(4), tc.ones(4)
    got = tc.batch_norm(x, w, b, mean, var, True, 0.1, 1e-5, True)
    assert tc.equal(got, F.batch_norm(x, tc.zeros(4), tc.ones(4), w, b, True, 0.1, 1e-5))
    assert mean.abs().sum() > 0  # the running statistics went on
    assert tc.equal(tc.layer_norm(x, [6]), F.layer_norm(x, [6]))
    values, places = tc.adaptive_max_pool1d(x, 2)
    assert tc.equal(x.gather(2, places), values)
    rows = tc.tensor([[0, 2], [1, 1]])
    assert tc.equal(tc.embedding(w[:, None], rows), w[rows][..., None])
    assert tc.equal(tc.dropout(x, 0.5, False), x) and tc.conv2d is F.conv2d
    p = tc.rand(3)
    for number, word in enumerate(["none", "mean", "sum"]):
        assert tc.equal(tc.kl_div(p, p, number), F.kl_div(p, p, reduction=word))
        assert tc.equal(tc.kl_div(p, p, word), F.kl_div(p, p, reduction=word))
