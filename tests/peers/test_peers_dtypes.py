"""All pairs of dtypes, with and without dimensions and with plain numbers: PyTorch's results."""

import itertools

import numpy as np
import pytest

import tinyconv as tc

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

DTYPES = "bool uint8 int8 int16 int32 int64 float32 float64".split()
NUMBERS = (True, 2, -1, 0, 2.5)
ERRORS = (TypeError, ValueError, RuntimeError, IndexError)
PAIRS = """
    add sub rsub mul div floor_divide remainder fmod pow float_power logaddexp logaddexp2 xlogy
    atan2 copysign hypot maximum minimum fmax fmin heaviside eq ne lt le gt ge isclose isin
    logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor bitwise_left_shift
    bitwise_right_shift equal allclose clamp_min clamp_max""".split()
SINGLES = """
    neg positive abs ceil floor round trunc frac exp exp2 expm1 log log2 log10 log1p logit sqrt
    rsqrt square reciprocal sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh sinc sigmoid
    erf erfc sgn sign signbit nan_to_num deg2rad rad2deg isinf isfinite isnan isposinf isneginf
    isreal logical_not bitwise_not relu""".split()
#: integers (or bools) are taken where PyTorch takes floats alone
MORE = {"logaddexp", "logaddexp2", "hypot", "isin", "clamp_min", "clamp_max"}
#: an integer that the dtype cannot hold (clamp), or a bool to the power True, is refused
LESS = {"pow", "clamp_min", "clamp_max"}


def numbers(dtype, shape, rng):
    if dtype == "bool":
        return np.asarray(rng.random(shape) > 0.4)
    if dtype.startswith("float"):
        return np.asarray(rng.uniform(-3, 4, shape).round(1), dtype)
    return np.asarray(rng.integers(1 if dtype == "uint8" else -3, 5, shape), dtype)


def outcome(function, *arguments):
    try:
        return function(*arguments)
    except ERRORS:
        return None


def compare(name, module_inputs):
    ours, theirs = (outcome(getattr(m, name), *inputs) for m, inputs in module_inputs)
    what = f"{name} of {module_inputs[0][1]}"
    if ours is None or theirs is None:
        if theirs is None:
            assert ours is None or name in MORE, f"{what}: PyTorch refuses"
        else:
            assert name in LESS, f"{what}: only PyTorch takes that"
    elif isinstance(theirs, bool):
        assert ours is theirs, what
    else:
        assert f"torch.{ours.dtype}" == str(theirs.dtype) and ours.shape == tuple(theirs.shape), (
            what
        )
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), 3e-6, 1e-6, err_msg=what)


def both(*arguments):
    """The arguments for tinyconv and for PyTorch."""
    return [
        (module, [make(a) if isinstance(a, np.ndarray) else a for a in arguments])
        for module, make in ((tc, tc.tensor), (torch, torch.tensor))
    ]


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.filterwarnings("ignore")
def test_pairs(name):
    rng = np.random.default_rng(0)
    for a, b in itertools.product(DTYPES, DTYPES):
        for first, second in [((2, 3), (3,)), ((), (3,)), ((3,), ()), ((), ())]:
            compare(name, both(numbers(a, first, rng), numbers(b, second, rng)))
    for a, shape, number in itertools.product(DTYPES, [(3,), ()], NUMBERS):
        x = numbers(a, shape, rng)
        compare(name, both(x, number))
        compare(name, both(number, x))


@pytest.mark.parametrize("name", SINGLES)
@pytest.mark.filterwarnings("ignore")
def test_singles(name):
    rng = np.random.default_rng(0)
    for dtype, shape in itertools.product(DTYPES, [(6,), (), (0, 2)]):
        x = numbers(dtype, shape, rng)
        if dtype.startswith("float") and x.size > 1:
            x[:] = [np.nan, np.inf, -np.inf, -0.0, 0.5, -1.5]
        compare(name, both(x))
