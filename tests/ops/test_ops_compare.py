"""Comparison, logic and bits: NaN, infinities, dtypes, shapes, what is refused."""

import numpy as np
import pytest

import tinyconv as tc

nan, inf = float("nan"), float("inf")


def test_comparisons_are_bool_and_carry_no_gradient():
    a = tc.tensor([1.0, 2.0, nan], requires_grad=True)
    b = tc.tensor([2.0, 2.0, 2.0])
    for got, wanted in [
        (a == b, [False, True, False]), (a != b, [True, False, True]),
        (a < b, [True, False, False]), (a <= b, [True, True, False]),
        (a > b, [False, False, False]), (a >= 2, [False, True, False]),
        (2 < a, [False, False, False]), (tc.greater(b, a), [True, False, False]),
        (a.not_equal(b), [True, False, True]), (a.less_equal(2), [True, True, False]),
    ]:  # fmt: skip
        assert got.dtype == np.bool_ and not got.requires_grad and got.tolist() == wanted


def test_comparisons_promote():
    assert (tc.tensor([1, 2]) < 1.5).tolist() == [True, False]
    assert (tc.tensor([True, False]) == tc.tensor([1.0, 1.0])).tolist() == [True, False]
    assert tc.eq(tc.zeros(0, 3), tc.zeros(3)).shape == (0, 3)


@pytest.mark.parametrize("other", [None, "a", [1.0], {}])
def test_what_is_no_number_is_not_equal(other):
    x = tc.ones(2)
    assert (x == other) is False and (x != other) is True


def test_what_is_no_number_has_no_order():
    with pytest.raises(TypeError, match="lt: wants a Tensor, got str"):
        tc.lt(tc.ones(2), "a")
    with pytest.raises(TypeError, match="eq: input must be a Tensor, got 1"):
        tc.eq(1, tc.ones(2))
    with pytest.raises(TypeError, match="logical_and: other must be a Tensor, got True"):
        tc.logical_and(tc.ones(2), True)


def test_logic_takes_any_dtype():
    a, b = tc.tensor([0.0, nan, 2.0]), tc.tensor([1, 0, 3])
    assert tc.logical_and(a, b).tolist() == [False, False, True]
    assert a.logical_or(b).tolist() == [True, True, True]
    assert tc.logical_xor(a, b).tolist() == [True, True, False]
    assert tc.logical_not(a).tolist() == [True, False, False]


def test_the_kinds_of_numbers():
    x = tc.tensor([1.0, nan, inf, -inf, -0.0])
    for function, wanted in [
        (tc.isnan, [0, 1, 0, 0, 0]), (tc.isinf, [0, 0, 1, 1, 0]), (tc.isfinite, [1, 0, 0, 0, 1]),
        (tc.isposinf, [0, 0, 1, 0, 0]), (tc.isneginf, [0, 0, 0, 1, 0]),
        (tc.isreal, [1, 1, 1, 1, 1]), (tc.signbit, [0, 0, 0, 1, 1]),
    ]:  # fmt: skip
        assert function(x).tolist() == [bool(w) for w in wanted]
        assert function(x[0]).shape == () and function(x[:0]).shape == (0,)
        whole = function(tc.tensor([2, -3]))
        assert whole.dtype == np.bool_ and whole.shape == (2,)
    assert tc.signbit(tc.tensor([2, -3])).tolist() == [False, True]
    assert tc.signbit(tc.tensor([True])).tolist() == [False]


def test_bit_operators_are_logical_on_bools_and_bitwise_on_integers():
    a, b = tc.tensor([True, True, False]), tc.tensor([True, False, False])
    assert (a & b).tolist() == [True, False, False]
    assert (a | b).tolist() == [True, True, False]
    assert (a ^ b).tolist() == [False, True, False]
    assert (~a).tolist() == [False, False, True]
    assert (tc.tensor([6]) & 3).tolist() == [2] and (~tc.tensor([6])).tolist() == [-7]
    assert (3 & tc.tensor([6])).tolist() == [2] and (1 | tc.tensor([6])).tolist() == [7]
    assert (5 ^ tc.tensor([6])).tolist() == [3] and (True ^ a).tolist() == [False, False, True]
    with pytest.raises(TypeError, match="bitwise_and: wants bool or integer tensors, got float32"):
        tc.ones(2) & tc.ones(2)
    with pytest.raises(TypeError, match="bitwise_not: wants bool or integer tensors, got float32"):
        ~tc.ones(2)


def test_shifts():
    x = tc.tensor([1, -5], dtype=tc.int8)
    assert (x << 2).tolist() == [4, -20] and (x >> 1).tolist() == [0, -3]
    assert (x << 8).tolist() == [0, 0] and (x >> 9).tolist() == [0, -1]
    assert (1 << tc.tensor([0, 3])).tolist() == [1, 8]
    assert (16 >> tc.tensor([0, 3])).tolist() == [16, 2]
    assert (tc.tensor([True]) << 1).dtype == np.int64
    with pytest.raises(TypeError, match="bitwise_left_shift: wants integer tensors, got float32"):
        tc.ones(2) << 1
    with pytest.raises(TypeError, match="bitwise_right_shift: wants integer tensors, got bool"):
        tc.tensor([True]) >> True


def test_closeness():
    a, b = tc.tensor([1.0, inf, nan, 1.0, -inf]), tc.tensor([1.0 + 1e-6, inf, nan, inf, inf])
    assert tc.isclose(a, b).tolist() == [True, True, False, False, False]
    assert a.isclose(b, equal_nan=True).tolist() == [True, True, True, False, False]
    assert tc.isclose(tc.tensor([100]), tc.tensor([101]), rtol=0.01).tolist() == [True]
    # relative to the second one
    assert tc.isclose(tc.tensor([0.9]), tc.tensor([1.0]), rtol=0.105, atol=0).item()
    assert not tc.isclose(tc.tensor([1.0]), tc.tensor([0.9]), rtol=0.105, atol=0).item()
    assert tc.allclose(tc.ones(3, 1), tc.ones(2)) and not tc.allclose(a, b)
    assert tc.allclose(tc.zeros(0), tc.zeros(0)) is True


@pytest.mark.parametrize("function", [tc.isclose, tc.allclose])
def test_closeness_wants_one_dtype_and_tolerances(function):
    name = function.__name__
    with pytest.raises(TypeError, match=f"{name}: input is float32, other float64"):
        function(tc.ones(2), tc.ones(2, dtype=tc.float64))
    with pytest.raises(ValueError, match=f"{name}: rtol=-1.*must be 0 or more"):
        function(tc.ones(2), tc.ones(2), rtol=-1)
    with pytest.raises(TypeError, match=f"{name}: other must be a Tensor"):
        function(tc.ones(2), 1.0)
    with pytest.raises(ValueError, match=rf"{name}: shapes \[2\] and \[3\]"):
        function(tc.ones(2), tc.ones(3))


def test_equal_looks_at_shapes_and_values():
    assert tc.equal(tc.tensor([1, 2]), tc.tensor([1.0, 2.0]))
    assert not tc.equal(tc.ones(2), tc.ones(1, 2)) and not tc.equal(tc.ones(2), tc.ones(3))
    assert not tc.tensor([nan]).equal(tc.tensor([nan])) and tc.equal(tc.ones(0), tc.ones(0))


def test_membership():
    x = tc.tensor([[1, 2], [3, 4]])
    assert tc.isin(x, tc.tensor([2, 3])).tolist() == [[False, True], [True, False]]
    assert tc.isin(x, 4, invert=True).tolist() == [[True, True], [True, False]]
    found = tc.isin(2, x)
    assert found.shape == () and found.item() is True
    assert not tc.isin(tc.tensor([nan]), tc.tensor([nan])).item()
    assert tc.isin(x, tc.zeros(0)).tolist() == [[False, False]] * 2
    assert tc.isin(x, tc.tensor([2.0, 3.5]), assume_unique=True)[0].tolist() == [False, True]
