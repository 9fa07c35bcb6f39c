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
        (np.float64(2), "float64"), (np.ones(2, np.uint8), "uint8"), (range(3), "int64"),
        ([True, 2], "int64"), ([True, 2.5], "float32"), ([np.float64(1)], "float64"),
        ([np.int32(1)], "int32"), ([np.float32(1), 2], "float32"), ([[], []], "float32"),
        ([np.arange(2), np.arange(2)], "int64"), ([tc.tensor(1.0), 2], "float32"),
        ([[tc.tensor(1.0), 2], [3, 4]], "float32"), ([tc.ones(2).double()] * 2, "float64"),
        ([tc.ones(2, requires_grad=True)], "float32"), (tc.ones(2).double(), "float64"),
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
        (lambda: tc.tensor(["a"]), TypeError, "tensor: got str, which no dtype here can hold"),
        (lambda: tc.tensor(None), TypeError, "got NoneType"),
        (lambda: tc.tensor(2**70), TypeError, "got int, which no dtype"),
        (lambda: tc.tensor([300], dtype=tc.uint8), RuntimeError, "does not fit into uint8"),
        (lambda: tc.tensor(1 + 2j), TypeError, "complex128"),
        (lambda: tc.tensor(1, dtype="int128"), TypeError, "tensor: 'int128' is no dtype"),
        (lambda: tc.zeros(2.0), TypeError, r"zeros: size \(2.0,\) must be numbers"),
        (lambda: tc.ones(2, -1), RuntimeError, r"ones: size \[2, -1\] has a negative number"),
        (lambda: tc.full((2,), tc.ones(1)), TypeError, r"full: .* tensor of shape \[1\]"),
        (lambda: tc.eye(-1), RuntimeError, "eye: n=-1"),
        (lambda: tc.arange(0, 5, -1), RuntimeError, "steps of -1 do not lead from 0 to 5"),
        (lambda: tc.arange(0, 5, 0), RuntimeError, "steps of 0"),
        (lambda: tc.arange(float("inf")), RuntimeError, "has no end"),
        (lambda: tc.linspace(0, 1, -1), RuntimeError, "linspace: steps=-1"),
        (lambda: tc.logspace(0, 1, 2.0), TypeError, "logspace: steps=2.0"),
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


def test_more_ways_to_make_a_tensor():
    x = tc.ones(2, 3, dtype=tc.float64)
    assert tc.zeros(size=(2, 3)).shape == tc.zeros(tc.tensor(2), 3).shape == (2, 3)
    assert tc.full((2,), True).dtype == np.bool_ and tc.full((), tc.tensor(2.0)).item() == 2
    assert tc.full_like(x, 2, dtype=tc.int64).tolist() == [[2] * 3] * 2
    assert tc.empty_like(x, memory_format=tc.preserve_format).shape == (2, 3)
    assert x.new_zeros(2, 1).dtype == x.new_tensor([1, 2]).dtype == np.float64
    assert x.new_ones((2,), dtype=tc.int64).dtype == np.int64 and x.new_empty(0).shape == (0,)
    assert x.new_full((2,), 7).tolist() == [7, 7] and tc.scalar_tensor(3).dtype == np.float32
    assert tc.arange(tc.tensor(3)).tolist() == [0, 1, 2] and tc.arange(end=2).tolist() == [0, 1]
    assert tc.arange(2.9, dtype=tc.int64).tolist() == [0, 1]  # the ends are cast first
    assert tc.linspace(4.3, -3, 3, dtype=tc.int64).tolist() == [4, 0, -3]
    assert tc.linspace(tc.tensor(0.0), 1, 1).tolist() == [0] and tc.logspace(0, 2, 3)[2] == 100
    line = tc.linspace(0.1, 0.7, 7)
    assert line[-1].item() == np.float32(0.7) and tc.is_tensor(line) and tc.numel(line) == 7


def test_types_by_name():
    x = tc.zeros(2)
    assert x.type() == "tinyconv.FloatTensor" and x.long().type() == "tinyconv.LongTensor"
    for name in ("torch.DoubleTensor", "DoubleTensor", tc.DoubleTensor, tc.float64, "float64"):
        assert x.type(name).dtype == np.float64
    assert isinstance(x, tc.FloatTensor) and not isinstance(x, tc.LongTensor)
    assert tc.LongTensor([1.0, 2]).tolist() == [1, 2] and tc.FloatTensor(2, 3).shape == (2, 3)
    assert tc.ByteTensor().shape == (0,) and repr(tc.BoolTensor) == "tinyconv.BoolTensor"
    with pytest.raises(TypeError, match="type: 'HalfTensor' is no dtype"):
        x.type("HalfTensor")


@pytest.mark.parametrize("name, words", [
    ("float16", "float32 and float64"), ("complex64", "float32 and float64"),
    ("sparse", "tensors are dense"), ("fx", "compiles its own kernels"),
    ("set_autocast_enabled", "mixed precision"), ("distributed", "distributed"),
    ("fft", "numpy.fft"), ("nonsense", "no attribute 'nonsense'"),
])  # fmt: skip
def test_what_is_left_out_says_why(name, words):
    assert not hasattr(tc, name)
    with pytest.raises(AttributeError, match=words):
        getattr(tc, name)


@pytest.mark.parametrize("name", ["half", "bfloat16", "cfloat", "to_sparse"])
def test_methods_that_are_left_out_say_why(name):
    with pytest.raises(RuntimeError, match=f"{name}: tinyconv has no .* tensors"):
        getattr(tc.ones(1), name)()
