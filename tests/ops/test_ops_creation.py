"""Making tensors, random streams, conversions and how tensors print."""

import copy
import pickle

import numpy as np
import pytest

import tinyconv as tc


@pytest.mark.parametrize(
    "data, dtype",
    [
        (1, "int64"), (1.5, "float32"), (True, "bool"), ([1, 2], "int64"), ([1, 2.5], "float32"),
        ([[True], [False]], "bool"), ([], "float32"), (np.ones(2), "float64"),
        (np.float64(2), "float64"), (np.ones(2, np.uint8), "uint8"),
    ],
)  # fmt: skip
def test_dtypes_follow_the_data(data, dtype):
    assert tc.tensor(data).dtype == dtype


def test_tensor_copies_and_from_numpy_does_not():
    a = np.zeros(3)
    t, shared = tc.tensor(a), tc.from_numpy(a)
    a[0] = 5
    assert t.tolist() == [0, 0, 0] and shared.tolist() == [5, 0, 0]
    shared[1] = 7
    assert (
        a[1] == 7 and tc.as_tensor(a).array is not a and np.shares_memory(tc.as_tensor(a).array, a)
    )


def test_negative_strides_are_taken_as_they_are():
    t = tc.from_numpy(np.arange(4.0)[::-1])
    assert t.tolist() == [3, 2, 1, 0] and not t.is_contiguous()


def test_constructors():
    assert tc.zeros(2, 3).shape == tc.zeros((2, 3)).shape == tc.zeros([2, 3]).shape == (2, 3)
    assert tc.ones(()).shape == () and tc.full((2,), 7).dtype == np.int64
    assert tc.full((2,), 7.0).dtype == np.float32 and tc.eye(2, 3).tolist() == [
        [1, 0, 0],
        [0, 1, 0],
    ]
    assert tc.arange(3).dtype == np.int64 and tc.arange(0, 1, 0.25).tolist() == [0, 0.25, 0.5, 0.75]
    assert tc.linspace(0, 1, 3).tolist() == [0, 0.5, 1]
    x = tc.ones(2, 3, dtype=tc.float64)
    for like in (tc.zeros_like, tc.ones_like, tc.empty_like, tc.rand_like, tc.randn_like):
        assert like(x).shape == (2, 3) and like(x).dtype == np.float64
    assert tc.full_like(x, 3).dtype == np.float64
    assert tc.ones(2, requires_grad=True).requires_grad
    assert tc.ones(2, device="cpu").device.type == "cpu"


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: tc.tensor([[1], [1, 2]]), ValueError, "unequal lengths"),
        (lambda: tc.tensor(["a"]), TypeError, "dtype"),
        (lambda: tc.tensor(np.ones(1, np.float16)), TypeError, "float16 is not supported"),
        (lambda: tc.from_numpy([1]), TypeError, "wants a numpy.ndarray, got list"),
        (lambda: tc.zeros(2, device="cuda"), RuntimeError, "cuda"),
        (lambda: tc.ones(2).item(), RuntimeError, "2 elements, not 1"),
        (lambda: tc.ones(2, requires_grad=True).numpy(), RuntimeError, r"\.detach\(\)\.numpy\(\)"),
        (lambda: np.asarray(tc.ones(2, requires_grad=True)), RuntimeError, "detach"),
        (lambda: copy.deepcopy(tc.ones(2, requires_grad=True) * 2), RuntimeError, "leaf"),
        (lambda: range(tc.tensor(1.0)), TypeError, "integer tensors"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_random_streams_repeat_by_seed_and_by_state():
    tc.manual_seed(4)
    a, state, b = tc.randn(3), tc.get_rng_state(), tc.rand(3)
    tc.set_rng_state(state)
    assert tc.equal(tc.rand(3), b)
    tc.manual_seed(4)
    assert tc.equal(tc.randn(3), a) and tc.initial_seed() == 4


def test_a_generator_of_its_own_leaves_the_default_alone():
    state = tc.get_rng_state()
    g = tc.Generator().manual_seed(1)
    values = (
        tc.rand(5, generator=g),
        tc.randint(0, 9, (5,), generator=g),
        tc.randperm(5, generator=g),
    )
    assert tc.get_rng_state() == state
    g.manual_seed(1)
    assert tc.equal(tc.rand(5, generator=g), values[0])


def test_random_ranges():
    assert 0 <= tc.rand(1000).numpy().min() and tc.rand(1000).numpy().max() < 1
    draws = tc.randint(2, 5, (1000,))
    assert set(draws.tolist()) == {2, 3, 4} and draws.dtype == np.int64
    assert tc.randint(3, (2, 4)).shape == (2, 4)
    assert sorted(tc.randperm(10).tolist()) == list(range(10))
    assert abs(tc.randn(10000).numpy().std() - 1) < 0.05


def test_the_float32_draw_is_the_float64_draw_rounded():
    tc.manual_seed(0)
    a = tc.randn(5)
    tc.manual_seed(0)
    np.testing.assert_array_equal(a.numpy(), tc.randn(5, dtype=tc.float64).numpy().astype("f4"))


def test_uniform_float32_numbers_stay_below_one():
    """A float64 draw next to 1 rounds to 1 in float32; [0, 1) leaves it out."""

    class Stream:
        def random(self, size):
            return np.full(size, np.nextafter(1.0, 0.0))

    g = tc.Generator()
    g.numpy = Stream()
    assert tc.rand(2, generator=g).numpy().max() < 1


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: tc.tensor([1.0, 2.0]), "tensor([1., 2.])"),
        (lambda: tc.tensor([0.5, -1.25]), "tensor([ 0.5000, -1.2500])"),
        (lambda: tc.tensor(3.0), "tensor(3.)"),
        (lambda: tc.tensor([1, 2]), "tensor([1, 2])"),
        (lambda: tc.tensor([True, False]), "tensor([ True, False])"),
        (lambda: tc.tensor([1.0], dtype=tc.float64), "tensor([1.], dtype=float64)"),
        (lambda: tc.ones(1, requires_grad=True), "tensor([1.], requires_grad=True)"),
        (lambda: tc.ones(1, requires_grad=True) * 2, "tensor([2.], grad_fn=<Mul>)"),
        (lambda: tc.zeros(0), "tensor([])"),
        (lambda: tc.nn.Parameter(tc.ones(1)),
         "Parameter containing:\ntensor([1.], requires_grad=True)"),
    ],
)  # fmt: skip
def test_how_tensors_print(make, text):
    assert repr(make()).replace(", dtype=float32", "") == text


def test_formatting_one_number():
    assert f"{tc.tensor(0.12345):.3f}" == "0.123" and int(tc.tensor(3)) == 3
    assert float(tc.tensor([2.5])) == 2.5 and [0, 1, 2][tc.tensor(1)] == 1


def test_copies_and_pickles_are_leaves_of_their_own():
    x = tc.randn(2, 3, requires_grad=True)
    for other in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert tc.equal(other, x) and other.requires_grad and other.is_leaf
        assert not np.shares_memory(other.array, x.array)
    for shape in ((), (0, 3), (1,)):
        assert pickle.loads(pickle.dumps(tc.ones(shape))).shape == shape
    shared = copy.deepcopy({"a": x, "b": x})
    assert shared["a"] is shared["b"]


def test_questions():
    x = tc.zeros(2, 3)
    assert x.size() == (2, 3) and x.size(-1) == 3 and x.dim() == 2 and x.numel() == 6
    assert x.element_size() == 4 and x.is_floating_point() and not x.long().is_floating_point()
    assert x.is_contiguous() and not x.T.is_contiguous() and x.cpu() is x
    assert x.float() is x and x.bool().dtype == np.bool_ and x.int().dtype == np.int32
