"""How tensors print, and what they tell of themselves."""

import numpy as np
import pytest

import tinyconv as tc

_rng = np.random.default_rng(0)
_ARRAYS = [
    np.zeros((0, 3), np.float32), np.zeros(0), np.zeros(0, np.int64), np.array(1.5, np.float32),
    _rng.standard_normal((2, 3)), _rng.standard_normal((1, 2, 3, 4)).astype(np.float32) * 100,
    np.float32([1e-8, 1]), np.float32([1e8, 1]), np.float32([1, 2, 3]), np.float32([123456.5]),
    np.float32([np.nan, 1, np.inf]), np.float32([-np.inf, -1.25]), np.float32([-0.0, 2.5]),
    np.float32([0.0001, 1000]), np.arange(2000), np.arange(2000.0).reshape(40, 50),
    _rng.standard_normal((3, 40)).astype(np.float32), np.array([True, False]),
    np.arange(3, dtype="i4"),
    np.ones((5, 1001), np.float32), np.arange(-5, 5), np.float32([np.nan]), np.ones((2, 2, 600)),
]  # fmt: skip


@pytest.mark.parametrize("array", _ARRAYS, ids=lambda a: f"{a.dtype}-{a.shape}")
def test_tensors_print_as_in_pytorch(array):
    torch = pytest.importorskip("torch")
    assert repr(tc.from_numpy(array)) == repr(torch.from_numpy(array)).replace("torch.", "")


def test_notes_and_options():
    x = tc.tensor([1.0, 1 / 3], requires_grad=True)
    assert repr(x) == "tensor([1.0000, 0.3333], requires_grad=True)"
    assert repr(x * 1) == "tensor([1.0000, 0.3333], grad_fn=<Mul>)"
    try:
        tc.set_printoptions(precision=1, threshold=3, edgeitems=1, linewidth=30)
        assert repr(x.detach()) == "tensor([1.0, 0.3])"
        assert repr(tc.arange(5)) == "tensor([0,  ..., 4])"
        assert repr(x) == "tensor([1.0, 0.3],\n       requires_grad=True)"
        tc.set_printoptions(sci_mode=True)
        assert repr(x.detach()) == "tensor([1.0e+00, 3.3e-01])"
        with pytest.raises(ValueError, match="profile='long'"):
            tc.set_printoptions(profile="long")
    finally:
        tc.set_printoptions(profile="default")
    assert repr(x.detach()) == "tensor([1.0000, 0.3333])"


def test_what_a_tensor_tells():
    x = tc.zeros(2, 3, dtype=tc.float64)
    assert x.t().stride() == (1, 3) and x.stride(0) == 3 and x.nbytes == 48 and x.itemsize == 8
    assert x.nelement() == 6 and x.ndimension() == 2 and x.get_device() == -1
    assert x[0].data_ptr() == x.data_ptr() != x.clone().data_ptr()
    assert not x.is_cuda and x.is_cpu and not x.is_sparse and x.is_signed() and not x.is_complex()
    assert tc.tensor(3).is_nonzero() and x.is_same_size(x + 1) and x.pin_memory() is x


def test_a_tensor_of_sizes_and_one_of_numbers():
    assert tc.Tensor(2, 3).shape == (2, 3) and tc.Tensor(4).shape == (4,)
    assert tc.Tensor().shape == (0,) and tc.Tensor([1, 2]).dtype == np.float32
    with pytest.raises(TypeError, match="wants one array"):
        tc.Tensor([1, 2], True)


def test_there_is_no_gpu():
    assert not tc.cuda.is_available() and tc.cuda.device_count() == 0
    tc.cuda.manual_seed_all(0)
    tc.backends.cudnn.benchmark = tc.backends.cuda.matmul.allow_tf32 = True
    with pytest.raises(AttributeError, match="CPU only"):
        tc.cuda.Stream  # noqa: B018
    with pytest.raises(RuntimeError, match="CPU only; got device 'cuda:0'"):
        tc.zeros(2).to("cuda:0")


@pytest.mark.parametrize("option", [{"precision": "x"}, {"edgeitems": -1}, {"linewidth": 2.5}])
def test_options_are_checked_at_the_door(option):
    (name,) = option
    with pytest.raises(TypeError, match=f"set_printoptions: {name}=.* must be a whole number"):
        tc.set_printoptions(profile="short", **option)
    assert repr(tc.tensor([0.125])) == "tensor([0.1250])"
