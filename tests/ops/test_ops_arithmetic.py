"""Two operands: broadcasting both ways, promotion as PyTorch's table has it, comparisons."""

import numpy as np
import pytest
from arrays import laid_out, layouts, seeds, spread, uniform
from hypothesis import given
from hypothesis import strategies as st

import tinyconv as tc
from tinyconv.testing import assert_gradients

POSITIVE, ANY, APART = (0.5, 2.0), (-2.0, 2.0), None
OPS = {
    "add": (tc.add, np.add, ANY, ANY),
    "sub": (tc.sub, np.subtract, ANY, ANY),
    "mul": (tc.mul, np.multiply, ANY, ANY),
    "div": (tc.div, np.divide, ANY, POSITIVE),
    "pow": (tc.pow, np.power, POSITIVE, ANY),
    "maximum": (tc.maximum, np.maximum, APART, APART),
    "minimum": (tc.minimum, np.minimum, APART, APART),
    "add alpha": (lambda a, b: tc.add(a, b, alpha=3), lambda a, b: a + 3 * b, ANY, ANY),
    "sub alpha": (lambda a, b: tc.sub(a, b, alpha=0.5), lambda a, b: a - b / 2, ANY, ANY),
}
each = pytest.mark.parametrize("name", OPS)


@st.composite
def pairs_of_shapes(draw):
    """Two shapes that broadcast, in either direction, with sizes 0 and 1."""
    full = draw(st.lists(st.sampled_from([1, 2, 3, 4, 0]), max_size=3))

    def thin(shape):
        kept = [n if draw(st.booleans()) else 1 for n in shape]
        return tuple(kept[draw(st.integers(0, len(kept))) :])

    return (tuple(full), thin(full)) if draw(st.booleans()) else (thin(full), thin(full))


def _operands(name, shapes, seed):
    low, high = OPS[name][2:]
    a = spread(shapes[0], seed) if low is None else uniform(shapes[0], *low, seed)
    b = spread(shapes[1], seed + 1, 0.125) if high is None else uniform(shapes[1], *high, seed + 1)
    return a, b


@each
@given(shapes=pairs_of_shapes(), layout=layouts, seed=seeds)
def test_values(name, shapes, layout, seed):
    function, oracle = OPS[name][:2]
    a, b = (laid_out(x, layout) for x in _operands(name, shapes, seed))
    y = function(tc.from_numpy(a), tc.from_numpy(b))
    np.testing.assert_allclose(y.numpy(), oracle(a, b), rtol=1e-14)
    assert y.shape == np.broadcast_shapes(*shapes) and y.dtype == np.float64
    single = function(*(tc.from_numpy(x.astype(np.float32)) for x in (a, b)))
    assert single.dtype == np.float32


@given(shapes=pairs_of_shapes(), seed=seeds)
def test_where(shapes, seed):
    a, b = (uniform(s, seed=seed + i) for i, s in enumerate(shapes))
    choice = np.asarray(uniform(np.broadcast_shapes(*shapes), seed=seed + 2) > 0)
    y = tc.where(tc.from_numpy(choice), tc.from_numpy(a), tc.from_numpy(b))
    np.testing.assert_array_equal(y.numpy(), np.where(choice, a, b))


def test_where_widens_to_its_condition():
    choice = tc.tensor([[True], [False]])
    assert_gradients(lambda p, q: tc.where(choice, p, q), uniform((3,)), uniform(()))
    with pytest.raises(TypeError, match="where: condition must be bool, got float32"):
        tc.where(tc.ones(2), tc.ones(2), tc.ones(2))


def test_numbers_on_either_side():
    x = tc.tensor([2.0, 4.0])
    for got, wanted in [
        (x + 1, [3, 5]), (1 + x, [3, 5]), (x - 1, [1, 3]), (1 - x, [-1, -3]), (x * 3, [6, 12]),
        (3 * x, [6, 12]), (x / 2, [1, 2]), (8 / x, [4, 2]), (x**2, [4, 16]), (2**x, [4, 16]),
        (x // 3, [0, 1]), (x % 3, [2, 1]), (-x, [-2, -4]), (abs(-x), [2, 4]),
    ]:  # fmt: skip
        assert got.tolist() == wanted and got.dtype == np.float32


def test_arrays_on_the_left_leave_the_work_to_the_tensor():
    y = np.array([1.0, 2.0]) * tc.ones(2, requires_grad=True, dtype=tc.float64)
    assert isinstance(y, tc.Tensor) and y.requires_grad


def test_shapes_that_do_not_broadcast_are_named():
    with pytest.raises(ValueError, match=r"mul: shapes \[2, 3\] and \[2\] cannot be broadcast"):
        tc.ones(2, 3) * tc.ones(2)
    with pytest.raises(TypeError, match="add: wants a Tensor, got str"):
        tc.ones(1) + "1"


def test_division_with_rounding_is_like_pytorchs():
    a, b = tc.tensor([7, -7, 7, -7]), tc.tensor([2, 2, -2, -2])
    assert tc.div(a, b).tolist() == [3.5, -3.5, -3.5, 3.5]
    assert tc.div(a, b, rounding_mode="floor").tolist() == [3, -4, -4, 3]
    assert tc.div(a, b, rounding_mode="trunc").tolist() == [3, -3, -3, 3]
    assert tc.remainder(a, b).tolist() == [1, 1, -1, -1]
    with pytest.raises(ValueError, match="rounding_mode='ceil'"):
        tc.div(a, b, rounding_mode="ceil")


def test_remainder_is_differentiable_or_refuses():
    x = tc.tensor([3.5, -1.25], dtype=tc.float64, requires_grad=True)
    try:
        (g,) = tc.autograd.grad(tc.remainder(x, 2.0) * 1.0 + x * 0, x, tc.ones(2))
    except (RuntimeError, NotImplementedError) as error:
        assert "remainder" in str(error)
    else:
        assert g.tolist() == [1.0, 1.0], "silently cut out of the graph"


def test_comparisons_are_bool_and_carry_no_gradient():
    a = tc.tensor([1.0, 2.0, float("nan")], requires_grad=True)
    b = tc.tensor([2.0, 2.0, 2.0])
    for got, wanted in [
        (a == b, [False, True, False]), (a != b, [True, False, True]),
        (a < b, [True, False, False]), (a <= b, [True, True, False]),
        (a > b, [False, False, False]), (a >= 2, [False, True, False]),
    ]:  # fmt: skip
        assert got.dtype == np.bool_ and not got.requires_grad and got.tolist() == wanted
    p, q = tc.tensor([True, True, False]), tc.tensor([True, False, False])
    assert (p & q).tolist() == [True, False, False] and (p | q).tolist() == [True, True, False]
    assert (~p).tolist() == [False, False, True]
    assert tc.allclose(b, b + 1e-7) and not tc.equal(a, b)
    assert tc.isnan(a).tolist() == [False, False, True]


# PyTorch's table for two tensors with dimensions (torch.promote_types)
NAMES = "bool uint8 int8 int16 int32 int64 float32 float64".split()
TABLE = """
bool    uint8   int8    int16   int32   int64   float32 float64
uint8   uint8   int16   int16   int32   int64   float32 float64
int8    int16   int8    int16   int32   int64   float32 float64
int16   int16   int16   int16   int32   int64   float32 float64
int32   int32   int32   int32   int32   int64   float32 float64
int64   int64   int64   int64   int64   int64   float32 float64
float32 float32 float32 float32 float32 float32 float32 float64
float64 float64 float64 float64 float64 float64 float64 float64
""".split()
PROMOTION = [(a, b, TABLE[8 * i + j]) for i, a in enumerate(NAMES) for j, b in enumerate(NAMES)]


@pytest.mark.parametrize("a, b, wanted", PROMOTION)
def test_promotion_of_tensors_with_dimensions(a, b, wanted):
    x, y = tc.ones(2, dtype=getattr(tc, a)), tc.ones(2, dtype=getattr(tc, b))
    assert (x * y).dtype == wanted and (x + y).dtype == wanted
    assert tc.where(tc.tensor([True, False]), x, y).dtype == wanted
    assert tc.cat([x, y]).dtype == wanted
    assert (x / y).dtype == (wanted if wanted.startswith("float") else "float32")


KIND = {"bool": 0, "uint8": 1, "int8": 1, "int16": 1, "int32": 1, "int64": 1}


@pytest.mark.parametrize("a, b, wanted", PROMOTION)
def test_a_tensor_without_dimensions_counts_only_by_its_kind(a, b, wanted):
    x, zero_d = tc.ones(2, dtype=getattr(tc, a)), tc.ones((), dtype=getattr(tc, b))
    if KIND.get(b, 2) <= KIND.get(a, 2):
        wanted = a
    else:
        wanted = b
    assert (x * zero_d).dtype == (zero_d * x).dtype == wanted


@pytest.mark.parametrize("dtype", NAMES)
def test_a_number_counts_only_by_its_kind(dtype):
    x = tc.ones(2, dtype=getattr(tc, dtype))
    assert (x * True).dtype == dtype
    assert (x * 2).dtype == ("int64" if dtype == "bool" else dtype)
    assert (x * 2.5).dtype == (dtype if dtype.startswith("float") else "float32")
    assert (2.5 * tc.ones((), dtype=getattr(tc, dtype))).dtype == (
        dtype if dtype.startswith("float") else "float32"
    )


def test_two_numbers_have_the_default_dtype():
    choice = tc.tensor([True, False])
    assert tc.where(choice, 1.0, 0.0).dtype == np.float32
    assert tc.where(choice, 1, 0).dtype == np.int64


def test_numpy_numbers_are_numbers():
    assert (tc.ones(2) * np.float64(2.5)).dtype == np.float32
    assert (tc.ones(2) * np.int64(2)).dtype == np.float32
    assert (np.float64(2.5) * tc.ones(2)).dtype == np.float32


def test_bit_operators_are_logical_on_bools_and_bitwise_on_integers():
    a, b = tc.tensor([True, True, False]), tc.tensor([True, False, False])
    assert (a & b).tolist() == [True, False, False]
    assert (a | b).tolist() == [True, True, False]
    assert (a ^ b).tolist() == [False, True, False]
    assert (~a).tolist() == [False, False, True]
    assert (tc.tensor([6]) & 3).tolist() == [2] and (~tc.tensor([6])).tolist() == [-7]
    with pytest.raises(TypeError, match="bitwise_and: wants bool or integer"):
        tc.ones(2) & tc.ones(2)
    with pytest.raises(TypeError, match="sub: bool"):
        a - b
