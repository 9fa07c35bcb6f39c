"""Two operands: broadcasting both ways, promotion as PyTorch's table has it, what is refused."""

import numpy as np
import pytest
from arrays import laid_out, layouts, seeds, spread, uniform
from hypothesis import given
from hypothesis import strategies as st

import tinyconv as tc
from tinyconv.testing import assert_gradients

nan, inf = float("nan"), float("inf")
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
        tc.add(tc.ones(1), "1")


def test_division_with_rounding_is_like_pytorchs():
    a, b = tc.tensor([7, -7, 7, -7]), tc.tensor([2, 2, -2, -2])
    assert tc.div(a, b).tolist() == [3.5, -3.5, -3.5, 3.5]
    assert tc.div(a, b, rounding_mode="floor").tolist() == [3, -4, -4, 3]
    assert tc.div(a, b, rounding_mode="trunc").tolist() == [3, -3, -3, 3]
    assert tc.remainder(a, b).tolist() == [1, 1, -1, -1]
    with pytest.raises(ValueError, match="rounding_mode='ceil'"):
        tc.div(a, b, rounding_mode="ceil")


@pytest.mark.parametrize("function", [tc.remainder, tc.fmod])
def test_remainders_are_differentiable(function):
    x = tc.tensor([3.5, -1.25], dtype=tc.float64, requires_grad=True)
    y = tc.tensor([2.0, 0.5], dtype=tc.float64, requires_grad=True)
    gx, gy = tc.autograd.grad(function(x, y), [x, y], tc.ones(2, dtype=tc.float64))
    assert gx.tolist() == [1.0, 1.0]
    assert gy.tolist() == ([-1.0, 3.0] if function is tc.remainder else [-1.0, 2.0])


def test_the_two_remainders_differ_in_sign_and_agree_with_python():
    a, b = tc.tensor([7, -7, 7, -7]), tc.tensor([3, 3, -3, -3])
    assert tc.remainder(a, b).tolist() == [1, 2, -2, -1]
    assert tc.fmod(a, b).tolist() == [1, -1, 1, -1]
    a = tc.tensor([5.0, -5.0, inf, 1.0])
    b = tc.tensor([inf, inf, 2.0, 0.0])
    np.testing.assert_array_equal(tc.fmod(a, b).numpy(), [5, -5, nan, nan])
    np.testing.assert_array_equal(tc.remainder(a, b).numpy(), [5, inf, nan, nan])
    assert (7 % tc.tensor([4.0])).item() == 3 and (7 // tc.tensor([2])).item() == 3
    # not a - b trunc(a / b), which has no digit of it
    assert tc.fmod(tc.tensor([1e20], dtype=tc.float64), 3.0).item() == np.fmod(1e20, 3.0)


@pytest.mark.parametrize("name", ["remainder", "fmod", "floor_divide", "div"])
def test_integers_are_not_divided_by_zero_and_bools_not_with_a_rest(name):
    options = dict(rounding_mode="trunc") if name == "div" else {}
    function = getattr(tc, name)
    name = "div" if name == "floor_divide" else name
    with pytest.raises(RuntimeError, match=f"{name}: an integer divided by 0"):
        function(tc.tensor([1, 2]), tc.tensor([1, 0]), **options)
    with pytest.raises(RuntimeError, match=f"{name}: an integer divided by 0"):
        function(tc.tensor([1, 2]), 0, **options)
    with pytest.raises(TypeError, match=f"{name}: bools are not divided"):
        function(tc.tensor([True]), tc.tensor([True]), **options)
    assert np.isnan(function(tc.zeros(1), 0.0, **options).item())


def test_bools_add_and_multiply_but_do_not_subtract():
    a, b = tc.tensor([True, True]), tc.tensor([True, False])
    assert (a + b).tolist() == [True, True] and (a * b).tolist() == [True, False]
    assert (a / b).tolist() == [1, inf] and (a + 1).tolist() == [2, 2]
    for function in (
        lambda: a - b, lambda: a - 1.0, lambda: tc.ones(2) - b, lambda: tc.ones(2) - True,
        lambda: 1 - a, lambda: tc.rsub(a, b),
    ):  # fmt: skip
        with pytest.raises(TypeError, match="sub: bools have no difference"):
            function()
    with pytest.raises(TypeError, match="neg: a bool tensor has no negative"):
        a.neg()
    with pytest.raises(TypeError, match="positive: wants numbers, got a bool"):
        a.positive()
    with pytest.raises(TypeError, match="pow: bools have no powers"):
        a**b


def test_alpha_is_of_the_kind_of_the_result():
    x, mask = tc.tensor([1, 2]), tc.tensor([True, False])
    assert tc.add(x, 2.5, alpha=2.5).tolist() == [7.25, 8.25]
    assert tc.add(x, x, alpha=3).tolist() == [4, 8] and tc.rsub(x, 5, alpha=2).tolist() == [3, 1]
    added = tc.add(mask, mask, alpha=2)
    assert added.dtype == np.bool_ and added.tolist() == [True, False]
    for function in (tc.add, tc.sub):
        with pytest.raises(TypeError, match="alpha=0.5 with integer tensors"):
            function(x, x, alpha=0.5)


def test_whole_powers():
    x = tc.tensor([2, 1, -1, 0])
    assert (x ** tc.tensor([-1, -1, -1, 0])).tolist() == [0, 1, -1, 1]
    assert (2 ** tc.tensor([3, -1])).tolist() == [8, 0]
    assert (tc.tensor([True, False]) ** 2).dtype == np.int64
    assert (tc.tensor([4]) ** 0.5).dtype == np.float32
    assert tc.float_power(tc.tensor([4]), 0.5).dtype == np.float64
    assert tc.float_power(2, tc.ones(1)).dtype == np.float64
    assert tc.square(tc.tensor([True])).dtype == np.int64
    with pytest.raises(RuntimeError, match="pow: 300 does not fit into int8"):
        tc.tensor([1], dtype=tc.int8) ** 300


def test_numbers_that_do_not_fit_are_refused():
    with pytest.raises(RuntimeError, match="the integer 1180591620717411303424 does not fit"):
        tc.tensor([1]) + 2**70
    with pytest.raises(RuntimeError, match="clamp: 300 does not fit into int8"):
        tc.tensor([1], dtype=tc.int8).clamp(max=300)
    with pytest.raises(RuntimeError, match="where: 300 does not fit into int8"):
        tc.where(tc.tensor([True]), tc.tensor([1], dtype=tc.int8), 300)


@pytest.mark.parametrize(
    "name", ["add", "sub", "mul", "div", "pow", "remainder", "float_power", "xlogy", "bitwise_or"]
)
def test_two_numbers_are_refused_by_name(name):
    with pytest.raises(TypeError, match=f"{name}: .*Tensor"):
        getattr(tc, name)(2, 3)


@pytest.mark.parametrize(
    "name", ["maximum", "minimum", "fmax", "fmin", "atan2", "hypot", "logaddexp", "heaviside"]
)
def test_some_take_tensors_alone(name):
    with pytest.raises(TypeError, match=f"{name}: .* must be a Tensor, got 2"):
        getattr(tc, name)(tc.ones(2), 2)
    with pytest.raises(TypeError, match=f"{name}: input must be a Tensor, got 2"):
        getattr(tc, name)(2, tc.ones(2))


def test_where_alone_gives_the_places():
    rows, columns = tc.where(tc.tensor([[1, 0], [0, 3]]))
    assert rows.tolist() == columns.tolist() == [0, 1] and rows.dtype == np.int64
    assert [i.tolist() for i in tc.where(tc.tensor(True))] == [[0]]
    assert [i.tolist() for i in tc.where(tc.zeros(0, 2))] == [[], []]


def test_where_as_a_method_with_numbers_and_with_bytes():
    x = tc.tensor([1.0, 2.0])
    assert x.where(x > 1, 0).tolist() == [0, 2]
    assert tc.where(tc.tensor([1, 0], dtype=tc.uint8), x, -x).tolist() == [1, -2]
    assert tc.where(tc.tensor([True]), tc.tensor(1), 2.5).dtype == np.float32
    with pytest.raises(ValueError, match=r"where: condition of shape \[3\] cannot be broadcast"):
        tc.where(tc.ones(3) > 0, x, x)
    with pytest.raises(TypeError, match="where: wants a Tensor, got NoneType"):
        tc.where(x > 0, x)


def test_clamp():
    x = tc.tensor([-1.0, 0.5, nan, 3.0])
    np.testing.assert_array_equal(tc.clamp(x, 0, 1).numpy(), [0, 0.5, nan, 1])
    np.testing.assert_array_equal(tc.clamp(x, 2, 0).numpy(), [0, 0, nan, 0])
    assert tc.isnan(tc.clamp(x, nan)).all()
    bounds = tc.tensor([[0.0], [1.0]])
    assert tc.clamp_min(tc.tensor([0.5]), bounds).tolist() == [[0.5], [1.0]]
    assert tc.clamp(tc.tensor([5]), tc.tensor([0]), tc.tensor([2])).tolist() == [2]
    assert tc.clamp(tc.tensor([1, 5]), max=2.5).tolist() == [1, 2.5]
    assert tc.clamp(tc.tensor([True]), max=1).dtype == np.int64
    assert tc.clamp_max(tc.zeros(0, 2), 1.0).shape == (0, 2)
    with pytest.raises(ValueError, match="clamp: min and max are both None"):
        x.clamp()


def test_clamp_passes_the_gradient_at_its_bounds_and_not_at_nan():
    x = tc.tensor([nan, 0.0, 1.0, -1.0], requires_grad=True)
    for y in (tc.clamp(x, 0, 1), tc.clamp(x, tc.zeros(4), tc.ones(4))):
        (g,) = tc.autograd.grad(y, x, tc.ones(4))
        # with tensors as bounds NaN is below neither and above none
        assert g.tolist()[1:] == [1, 1, 0]
    (g,) = tc.autograd.grad(tc.clamp(x, 0, 1), x, tc.ones(4))
    assert g[0].item() == 0


def grads(function, *arrays):
    """The gradients of the sum of what ``function`` gives for these float64 numbers."""
    inputs = [tc.tensor(a, dtype=tc.float64, requires_grad=True) for a in arrays]
    return [g.tolist() for g in tc.autograd.grad(function(*inputs).sum(), inputs)]


def test_gradients_where_there_is_a_choice():
    assert grads(tc.fmax, [1.0, nan, 1.0, 2.0], [1.0, 1.0, nan, 1.0]) == [
        [1, 0, 1, 1],
        [0, 1, 0, 0],
    ]
    assert grads(tc.fmin, [1.0, nan, 1.0, 2.0], [1.0, 1.0, nan, 1.0]) == [
        [1, 0, 1, 0],
        [0, 1, 0, 1],
    ]
    assert grads(tc.maximum, [1.0, nan], [1.0, 2.0]) == [[0.5, 1], [0.5, 1]]
    assert grads(tc.atan2, [0.0, 0.0], [0.0, 1.0]) == [[0, 1], [0, 0]]
    assert grads(tc.copysign, [0.0, 2.0, -2.0], [-1.0, -1.0, -1.0]) == [[0, -1, 1], [0, 0, 0]]
    assert grads(tc.xlogy, [0.0, 0.0, 2.0], [-1.0, 1.0, 1.0]) == [[0, 0, 0], [0, 0, 2]]
    assert grads(tc.pow, [0.0, nan, 2.0], [0.0, 0.0, 0.0])[0] == [0, 0, 0]


def test_a_step_has_the_slope_zero_whatever_comes_from_above():
    x = tc.tensor([1.5, nan, inf], requires_grad=True)
    for function in (
        tc.floor,
        tc.ceil,
        tc.trunc,
        tc.round,
        tc.sign,
        lambda x: x // 2,
        lambda x: x**0,
    ):
        (g,) = tc.autograd.grad(function(x), x, tc.tensor([inf, nan, 1.0]))
        assert g.tolist() == [0, 0, 0]


def test_the_gradient_of_a_quotient_does_not_overflow_on_the_way():
    for size in (1e25, 1e-25):
        x = tc.tensor(size)
        y = tc.tensor(size, requires_grad=True)
        (g,) = tc.autograd.grad(x / y, y)
        np.testing.assert_allclose(g.item(), -1 / size, rtol=1e-6)


def test_far_out_nothing_overflows():
    assert tc.hypot(tc.tensor([3e38]), tc.tensor([0.0])).item() == tc.tensor(3e38).item()
    far = tc.tensor([1e4, -1e4, inf, -inf])
    np.testing.assert_array_equal(tc.logaddexp(far, -far).numpy(), [1e4, 1e4, inf, inf])
    np.testing.assert_allclose(tc.logaddexp2(far, far).numpy(), [10001, -9999, inf, -inf])
    assert tc.logaddexp(tc.tensor([0.0]), tc.tensor([-40.0])).item() > 0  # log1p keeps it


def test_lerp_meets_both_ends():
    a, b = tc.tensor([1e8, 0.1]), tc.tensor([1.0, 0.3])
    assert tc.lerp(a, b, 0).tolist() == a.tolist() and tc.lerp(a, b, 1).tolist() == b.tolist()
    assert tc.lerp(a, b, tc.tensor([0.0, 1.0])).tolist() == [a[0].item(), b[1].item()]
    assert tc.lerp(a, b, tc.tensor(0.5, dtype=tc.float64)).dtype == np.float32
    with pytest.raises(
        TypeError, match="lerp: wants tensors of one dtype, got float32 and float64"
    ):
        tc.lerp(a, b.double(), 0.5)
    with pytest.raises(TypeError, match="lerp: wants a float32 or float64 tensor"):
        tc.lerp(tc.tensor([1]), tc.tensor([2]), 0.5)


def test_sums_with_products_and_quotients():
    whole = tc.tensor([1, 2])
    assert tc.addcmul(whole, whole, whole, value=2.5).tolist() == [3, 10]  # value rounded down
    assert tc.addcmul(tc.ones(2, 1), whole, tc.ones(2)).shape == (2, 2)
    assert tc.addcdiv(whole, tc.tensor([1.0]), whole).tolist() == [2, 2.5]
    with pytest.raises(TypeError, match="addcdiv: tensor1 is int64, tensor2 int64"):
        tc.addcdiv(tc.ones(2), whole, whole)


def test_heaviside():
    x = tc.tensor([-1.0, 0.0, 2.0, nan])
    assert tc.heaviside(x, tc.tensor([0.5])).tolist() == [0, 0.5, 1, 0]
    with pytest.raises(TypeError, match="heaviside: wants tensors of one dtype"):
        tc.heaviside(x, tc.tensor([1]))


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


def test_the_smallest_integer_divides_toward_zero():
    a = tc.tensor([-128, -128, 127, -7, 7, -6], dtype=tc.int8)
    b = tc.tensor([2, 3, -2, 2, -2, 3], dtype=tc.int8)
    assert tc.div(a, b, rounding_mode="trunc").tolist() == [-64, -42, -63, -3, -3, -2]
    assert tc.div(a, b, rounding_mode="trunc").dtype == np.int8
    assert tc.div(a[:2], 2, rounding_mode="trunc").tolist() == [-64, -64]


@pytest.mark.parametrize(
    "op",
    [
        lambda x: tc.clamp(x, "0"), lambda x: x.clamp(max=[1]), lambda x: tc.clamp(x, x, "1"),
        lambda x: tc.where(x > 0, x, "3"), lambda x: tc.add(x, None),
        lambda x: tc.maximum(x, np.str_("a")),
    ],
)  # fmt: skip
def test_operands_that_are_no_numbers(op):
    with pytest.raises(TypeError, match="number|wants a Tensor|must be a Tensor") as raised:
        op(tc.ones(2))
    assert raised.type is TypeError
