"""Ops that move numbers: values as NumPy has them, views and their versions."""

import numpy as np
import pytest
from arrays import laid_out, layouts, seeds, shapes, spread, uniform
from hypothesis import given
from hypothesis import strategies as st

import tinyconv as tc
import tinyconv.nn.functional as F

X = (2, 3, 4)
# name: (function, oracle) on an array of shape (2, 3, 4)
MOVES = {
    "reshape": (lambda x: x.reshape(4, 6), lambda x: x.reshape(4, 6)),
    "reshape -1": (lambda x: x.reshape((3, -1)), lambda x: x.reshape(3, -1)),
    "view": (lambda x: x.contiguous().view(x.size(0), -1), lambda x: x.reshape(2, -1)),
    "flatten": (tc.flatten, lambda x: x.reshape(-1)),
    "flatten from 1": (lambda x: x.flatten(1), lambda x: x.reshape(2, 12)),
    "flatten to 1": (lambda x: tc.flatten(x, 0, 1), lambda x: x.reshape(6, 4)),
    "permute": (lambda x: x.permute(2, 0, 1), lambda x: x.transpose(2, 0, 1)),
    "permute negative": (lambda x: x.permute((-1, -3, -2)), lambda x: x.transpose(2, 0, 1)),
    "transpose": (lambda x: x.transpose(0, -1), lambda x: x.swapaxes(0, 2)),
    "T": (lambda x: x.T, lambda x: x.T),
    "mT": (lambda x: x.mT, lambda x: x.swapaxes(1, 2)),
    "unsqueeze": (lambda x: x.unsqueeze(1), lambda x: x[:, None]),
    "unsqueeze -1": (lambda x: x.unsqueeze(-1), lambda x: x[..., None]),
    "squeeze": (lambda x: x.reshape(2, 1, 12, 1).squeeze(), lambda x: x.reshape(2, 12)),
    "squeeze dim": (lambda x: x.reshape(2, 1, 12, 1).squeeze(1), lambda x: x.reshape(2, 12, 1)),
    "expand": (lambda x: x.unsqueeze(1).expand(5, 2, -1, 3, 4)[:, :, 0],
               lambda x: np.stack([x] * 5)),
    "expand_as": (lambda x: x.expand_as(tc.ones(2, 2, 3, 4)), lambda x: np.stack([x, x])),
    "flip": (lambda x: x.flip(0, 2), lambda x: x[::-1, :, ::-1]),
    "clone": (tc.clone, lambda x: x),
    "contiguous": (lambda x: x.transpose(0, 1).contiguous(), lambda x: x.swapaxes(0, 1)),
    "to and back": (lambda x: x.double(), lambda x: x),
    "pad": (
        lambda x: F.pad(x, (1, 2, 0, 3), value=7.0),
        lambda x: np.pad(x, [(0, 0), (0, 3), (1, 2)], constant_values=7.0),
    ),
    "pad crops": (lambda x: F.pad(x, (-1, 2, 1, -2)),
                  lambda x: np.pad(x[:, :1, 1:], [(0, 0), (1, 0), (0, 2)])),
    "int": (lambda x: x[1], lambda x: x[1]),
    "ints": (lambda x: x[1, -1, 2], lambda x: x[1, -1, 2]),
    "slice": (lambda x: x[:, 1:, ::2], lambda x: x[:, 1:, ::2]),
    "ellipsis": (lambda x: x[..., 1], lambda x: x[..., 1]),
    "None": (lambda x: x[:, None, 1], lambda x: x[:, None, 1]),
    "empty slice": (lambda x: x[:, 3:], lambda x: x[:, 3:]),
    "list with repeats": (lambda x: x[[1, 0, 1, 1]], lambda x: x[[1, 0, 1, 1]]),
    "tensor": (lambda x: x[:, tc.tensor([2, 2, 0])], lambda x: x[:, [2, 2, 0]]),
    "two tensors": (
        lambda x: x[tc.tensor([1, 0, 1]), :, tc.tensor([3, 3, 3])],
        lambda x: x[[1, 0, 1], :, [3, 3, 3]],
    ),
    "mask": (lambda x: x[tc.from_numpy(MASK)], lambda x: x[MASK]),
    "index_select": (
        lambda x: tc.index_select(x, -1, tc.tensor([3, 0, 3])), lambda x: x[..., [3, 0, 3]],
    ),
    "gather": (lambda x: tc.gather(x, 1, tc.from_numpy(INDEX)),
               lambda x: np.take_along_axis(x[:, :, :3], INDEX, 1)),
    "masked_fill": (
        lambda x: x.masked_fill(tc.from_numpy(MASK), -5.0), lambda x: np.where(MASK, -5.0, x),
    ),
    "split": (lambda x: x.split([1, 3], 2), lambda x: np.split(x, [1], 2)),
    "split dropped": (lambda x: x.split(2, -1)[1], lambda x: x[..., 2:]),
    "chunk": (lambda x: x.chunk(2, 1), lambda x: [x[:, :2], x[:, 2:]]),
    "unbind": (lambda x: x.unbind(1), lambda x: [x[:, 0], x[:, 1], x[:, 2]]),
}  # fmt: skip
MASK = uniform(X, seed=9) > 0
INDEX = np.random.default_rng(0).integers(0, 3, (2, 5, 3))
each = pytest.mark.parametrize("name", MOVES)


@each
@given(layout=layouts, seed=seeds)
def test_values(name, layout, seed):
    x = laid_out(uniform(X, seed=seed), layout)
    function, oracle = MOVES[name]
    got, wanted = function(tc.from_numpy(x)), oracle(x)
    got, wanted = (got, wanted) if isinstance(got, tuple) else ([got], [wanted])
    assert len(got) == len(wanted)
    for g, w in zip(got, wanted):
        np.testing.assert_array_equal(g.numpy(), w)
        assert g.shape == w.shape and g.dtype == np.float64


@given(shape=shapes(1, 3), data=st.data(), seed=seeds)
def test_cat_and_stack(shape, data, seed):
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    other = list(shape)
    other[dim] += 2
    a, b = uniform(shape, seed=seed), uniform(tuple(other), seed=seed + 1)
    y = tc.cat([tc.from_numpy(a), tc.from_numpy(b)], dim)
    np.testing.assert_array_equal(y.numpy(), np.concatenate([a, b], dim))
    np.testing.assert_array_equal(
        tc.stack([tc.from_numpy(a)] * 2, dim).numpy(), np.stack([a, a], dim)
    )


def test_cat_lets_an_empty_vector_pass():
    assert tc.cat([tc.zeros(0), tc.ones(2, 3)], 1).shape == (2, 3)


@given(shape=shapes(1, 3, 1), seed=seeds, data=st.data(), value=st.sampled_from([0.0, -1.5]))
def test_pad_and_crop_any_axis(shape, seed, data, value):
    pad = []
    for n in shape[::-1][: data.draw(st.integers(0, len(shape)))]:
        pad += data.draw(st.tuples(st.integers(-(n // 2), 2), st.integers(-((n - 1) // 2), 2)))
    widths = ([(0, 0)] * len(shape) + [(0, 0)] * 3)[: len(shape) - len(pad) // 2]
    widths += [tuple(pad[i : i + 2]) for i in range(len(pad) - 2, -1, -2)]
    x = uniform(shape, seed=seed)
    crop = x[tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(shape, widths))]
    wanted = np.pad(crop, [(max(a, 0), max(b, 0)) for a, b in widths], constant_values=value)
    np.testing.assert_array_equal(F.pad(tc.from_numpy(x), pad, value=value).numpy(), wanted)


def test_casting_is_differentiable_and_casts_the_gradient_back():
    x = tc.ones(3, requires_grad=True)
    y = x.double()
    (g,) = tc.autograd.grad(y, x, tc.full((3,), 0.1, dtype=tc.float64))
    assert y.dtype == np.float64 and g.dtype == np.float32
    assert x.to(tc.float32) is x and x.to(tc.float32, copy=True) is not x
    assert not x.long().requires_grad
    assert x.to("cpu") is x and x.type_as(y).dtype == np.float64


def test_gather_reaches_any_size_and_checks_its_index():
    x = tc.arange(12.0).reshape(3, 4)
    assert tc.gather(x, 0, tc.tensor([[2, 0], [1, 1], [0, 2], [0, 0]])).shape == (4, 2)
    with pytest.raises(IndexError, match="indices run from 0 to 4, allowed are 0 to 3"):
        tc.gather(x, 1, tc.tensor([[0, 4]]))
    with pytest.raises(RuntimeError, match=r"gather: index \[4, 1\].*\[3, 4\]"):
        tc.gather(x, 1, tc.zeros(4, 1, dtype=tc.int64))
    with pytest.raises(TypeError, match="wants integer indices, got float32"):
        tc.gather(x, 1, tc.zeros(1, 1))


def test_one_hot():
    assert F.one_hot(tc.tensor([[2], [0]])).tolist() == [[[0, 0, 1]], [[1, 0, 0]]]
    assert F.one_hot(tc.tensor([1]), 3).dtype == np.int64
    with pytest.raises(IndexError, match="one_hot: indices run from 0 to 3, allowed are 0 to 2"):
        F.one_hot(tc.tensor([0, 3]), 3)


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda x: x.reshape(5, 5), RuntimeError, r"reshape: shape \[5, 5\].* 24 elements of"),
        (lambda x: x.expand(2, 5, 4), RuntimeError, r"expand: \[2, 3, 4\] cannot become \[2, 5, 4"),
        (lambda x: x.permute(0, 1), RuntimeError, r"permute: \[0, 1\] is no order of the 3"),
        (lambda x: x.permute(0, 1, 1), RuntimeError, "permute"),
        (lambda x: x.t(), RuntimeError, r"t: wants at most 2 dimensions, got \[2, 3, 4\]"),
        (lambda x: x.transpose(0, 3), IndexError, "transpose: dim=3 is out of range"),
        (lambda x: x.flatten(2, 1), RuntimeError, "start_dim=2 comes after end_dim=1"),
        (lambda x: F.pad(x, (1,)), ValueError, r"pad: \(1,\) for 3 dimensions"),
        (lambda x: F.pad(x, (-3, -3)), ValueError, "crops more than"),
        (lambda x: x.split(0), ValueError, "split: split_size 0 for the size 2"),
        (lambda x: x.split([1, 1], 2), ValueError, r"sections \[1, 1\] must add up to 4"),
        (lambda x: x.chunk(0), ValueError, "chunks=0"),
        (lambda x: tc.cat([x, x[:, :2]]), ValueError, r"cat: shapes \[\[2, 3, 4\], \[2, 2, 4\]\]"),
        (lambda x: tc.cat([]), ValueError, "empty list"),
        (lambda x: tc.cat([x, 3]), TypeError, "cat: wants Tensors, got int"),
        (lambda x: tc.stack([x, x[0]]), ValueError, "must all be equal"),
        (lambda x: x.T.view(-1), RuntimeError, r"view: shape \[4, 3, 2\] with strides .*reshape"),
        (lambda x: x.reshape(-1, -1), RuntimeError, "leaves two sizes open"),
        (lambda x: x[:0].reshape(0, -1), RuntimeError, "next to a size of 0, -1 could be any"),
        (lambda x: x.reshape(-2), RuntimeError, "size below -1"),
        (lambda x: x.unflatten(2, (3, -1)), RuntimeError, r"unflatten: sizes=\(3, -1\) do not"),
        (lambda x: x.expand(-1, 2, 3, 4), RuntimeError, "expand: .* new ones come in front"),
        (lambda x: x.squeeze((0, 0)), ValueError, "squeeze: .* names an axis twice"),
        (lambda x: x.movedim((0, 1), 2), RuntimeError, "movedim: source"),
        (lambda x: x.repeat(2), RuntimeError, "repeat: repeats"),
        (lambda x: x.repeat_interleave(tc.tensor([1, 2])), RuntimeError, "for each of the 24"),
        (lambda x: x.roll((1, 2), 0), RuntimeError, "roll: 2 shifts"),
        (lambda x: x.rot90(1, (0, 0)), RuntimeError, "rot90: .*different"),
        (lambda x: x.H, RuntimeError, r"H: wants a matrix, got shape \[2, 3, 4\]"),
        (lambda x: x.diagonal(0, 1, -2), RuntimeError, "diagonal: dim1=1 and dim2=-2"),
        (lambda x: x.unfold(0, 3, 1), RuntimeError, "unfold: size=3 must be 0 to 2"),
        (lambda x: x.diag(), RuntimeError, "diag: wants a vector or a matrix"),
        (lambda x: x[0, 0].tril(), RuntimeError, "tril: wants at least 2 dimensions"),
        (lambda x: tc.meshgrid(x), RuntimeError, "meshgrid: wants vectors"),
        (lambda x: x.hsplit(2), RuntimeError, "hsplit: the size 3 of dim 1 is no multiple of 2"),
        (lambda x: x.sum().split(1), RuntimeError, "split: a 0-d tensor cannot be cut"),
        (lambda x: tc.cat(x), TypeError, "cat: wants a list or tuple of tensors, got one tensor"),
        (lambda x: tc.broadcast_tensors(x, tc.ones(5)), RuntimeError, "broadcast_shapes: .*fit"),
        (lambda x: x.half(), RuntimeError, "half: tinyconv has no half precision tensors"),
        (lambda x: x.to("int8"), RuntimeError, "CPU only; got device 'int8'"),
        (lambda x: x.to(dtype="nothing"), TypeError, "to: 'nothing' is no dtype"),
        (lambda x: x.to(np.float16), TypeError, "float16"),
        (lambda x: x[tc.ones(2)], IndexError, "must be int or bool, not float32"),
        (lambda x: x.to("cuda"), RuntimeError, "cuda"),
        (lambda x: x.cuda(), RuntimeError, "cuda"),
    ],
)
def test_errors_name_the_op_what_it_got_and_the_rule(call, error, words):
    with pytest.raises(error, match=words):
        call(tc.ones(2, 3, 4))


def test_an_empty_list_picks_nothing():
    assert tc.ones(3, 2)[[]].shape == (0, 2)


def test_flip_of_no_axes_changes_nothing():
    assert tc.flip(tc.arange(3), ()).tolist() == [0, 1, 2]


def test_iteration_length_and_containment():
    x = tc.arange(6).reshape(3, 2)
    assert [row.tolist() for row in x] == [[0, 1], [2, 3], [4, 5]]
    assert len(x) == 3 and 4 in x and 7 not in x
    for call in (len, iter):
        with pytest.raises(TypeError, match="0-d tensor"):
            call(tc.tensor(1.0))
    with pytest.raises(RuntimeError, match="truth of a tensor with 6 elements is ambiguous"):
        bool(x)


def test_expanded_memory_is_not_written():
    x = tc.ones(1, 3).expand(2, 3)
    with pytest.raises(RuntimeError, match="expanded"):
        x.fill_(2)


def test_spread_values_are_apart():
    assert np.diff(np.sort(spread((3, 4)).ravel())).min() >= 0.25


#: what NumPy gives as a view shares memory
VIEWS = {
    "expand": lambda x: x[:, :1].expand(2, 3, 4),
    "transpose": lambda x: x.transpose(0, 2),
    "movedim": lambda x: x.movedim(0, 2),
    "mT": lambda x: x.mT,
    "unsqueeze": lambda x: x.unsqueeze(1),
    "squeeze": lambda x: x[:1].squeeze(0),
    "unflatten": lambda x: x.unflatten(2, (2, 2)),
    "narrow": lambda x: x.narrow(1, 1, 2),
    "select": lambda x: x.select(0, 1),
    "diagonal": lambda x: x.diagonal(1, 1, 2),
    "unfold": lambda x: x.unfold(2, 2, 1),
    "chunk": lambda x: x.chunk(2)[1],
    "split": lambda x: x.split([1, 3], 2)[1],
    "tensor_split": lambda x: x.tensor_split([1], 1)[0],
    "unbind": lambda x: x.unbind(1)[0],
    "None and ...": lambda x: x[None, ..., 1:],
    "a number": lambda x: x[1, 2, 3],
    "0-d index": lambda x: x[tc.tensor(1)],
    "meshgrid": lambda x: tc.meshgrid(x[0, 0], x[0, :, 0], indexing="ij")[0],
    "detach": lambda x: x.detach(),
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_share_memory_and_count_versions_together(name):
    x = tc.zeros(2, 3, 4)
    view = VIEWS[name](x)
    assert np.shares_memory(view.array, x.array)
    x.fill_(5.0)
    assert (view.array == 5).all() and view._version == x._version > 0


def test_a_diagonal_can_be_written_into():
    x = tc.zeros(3, 4)
    x.diagonal(1).fill_(2.0)
    assert x.tolist() == [[0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 2]]
    with pytest.raises(RuntimeError, match="read-only or expanded"):
        tc.ones(1, 2).expand(2, 2).diagonal().fill_(0)


@pytest.mark.parametrize("copy", [
    lambda x: x.flip(0), lambda x: x.flip(()), lambda x: x.roll(0, 0), lambda x: x.repeat(1, 1),
    lambda x: x.diag(), lambda x: x.rot90(0), lambda x: tc.tril(x), lambda x: x.clone(),
])  # fmt: skip
def test_what_pytorch_copies_is_a_copy(copy):
    x = tc.ones(3, 3)
    assert not np.shares_memory(copy(x).array, x.array)


def test_numbers_and_empty_tensors_in_other_shapes():
    number, empty = tc.tensor(3.0), tc.zeros(0, 3)
    assert number.transpose(0, -1).shape == number.flip(0).shape == number.squeeze(0).shape == ()
    assert number.unfold(0, 1, 1).tolist() == [3.0] and number.repeat(2, 1).shape == (2, 1)
    assert number.roll(3).tolist() == 3.0 and tc.tile(number, (2,)).tolist() == [3.0, 3.0]
    assert tc.atleast_3d(number).shape == (1, 1, 1) and tc.atleast_1d(number, empty)[1] is empty
    assert empty.reshape(-1).shape == empty.view(-1, 2).shape[:1] == (0,)
    assert empty.repeat(2, 2).shape == (0, 6) and tc.ones(2, 3).repeat(0, 1).shape == (0, 3)
    assert [len(c) for c in empty.chunk(3)] == [0, 0, 0] and empty.split(0)[0].shape == (0, 3)
    assert empty.unbind() == () and tc.cat([empty, tc.ones(1, 3)]).shape == (1, 3)
    assert empty.diagonal().shape == (0,) and empty.tril().shape == (0, 3)
    assert tc.ones(3).unfold(0, 0, 1).shape == (4, 0) and tc.ones(1).expand(0).shape == (0,)
    assert tc.ones(1, 2).squeeze(()).shape == (1, 2) and tc.block_diag().shape == (1, 0)


def test_spellings_with_names():
    x = tc.ones(2, 3, 4)
    assert x.permute(dims=(2, 0, 1)).shape == tc.permute(x, dims=(2, 0, 1)).shape == (4, 2, 3)
    assert x.reshape(shape=(6, 4)).shape == x.view(size=(6, 4)).shape == (6, 4)
    assert x.repeat(repeats=(1, 2, 1)).shape == tc.tile(x, dims=(2, 1)).shape[:1] + (6, 4)
    assert x[:1].expand(size=(5, -1, 4)).shape == (5, 3, 4)
    assert tc.flip(x, dims=[0]).shape == x.clone(memory_format=tc.contiguous_format).shape
    assert x.to("cpu", tc.int64, True, False).dtype == np.int64
    assert x.to(tc.float32, False, True) is not x and x.to(device="cpu", dtype=None) is x
    assert x.to(memory_format=tc.channels_last) is x and x.to(x.long()).dtype == np.int64
    assert x.to(float).dtype == np.float64 and x.bool().byte().dtype == np.uint8


def test_triangles_put_zeros_over_nan_and_keep_the_dtype():
    x = tc.full((2, 2), float("nan"))
    assert x.tril(-1)[0].tolist() == [0, 0] and x.triu(1)[1].tolist() == [0, 0]
    assert tc.ones(2, 2, dtype=tc.int8).tril().dtype == np.int8
    assert tc.ones(2, 2, dtype=tc.bool).triu().tolist() == [[True, True], [False, True]]


def test_odd_memory_in_any_move():
    """Read-only, Fortran-ordered and negative-stride arrays."""
    base = np.arange(24.0).reshape(2, 3, 4)
    fixed = base.copy()
    fixed.flags.writeable = False
    for x in (np.asfortranarray(base), base[::-1, :, ::-1][::-1, :, ::-1], fixed):
        for name, (function, oracle) in MOVES.items():
            got, wanted = function(tc.from_numpy(x)), oracle(base)
            pairs = zip(got, wanted) if isinstance(got, tuple) else [(got, wanted)]
            for g, w in pairs:
                np.testing.assert_array_equal(g.numpy(), w, err_msg=name)
