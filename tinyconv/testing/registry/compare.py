"""Comparison, logic and bits: values alone, for they have no derivative."""

from tinyconv.testing.cases import Case
from tinyconv.testing.registry.arithmetic import binary_cases, spellings
from tinyconv.testing.registry.table import register_values, spelled
from tinyconv.testing.strategies import recipes

#: small whole numbers meet often; x / x is NaN and 1 / x infinite where x is 0
TIES = dict(kinds=("integers", "ramp"))
WHOLE = dict(dtype="int64", integer=True, low=-9.0, high=9.0)
PLACES = dict(dtype="int64", integer=True, low=0.0, high=5.0)
BOOLS = dict(dtype=bool, integer=True, low=0.0, high=1.0)


def pairs(name, *sources, x=TIES, y=TIES, examples=()):
    """``sources`` of two tensors that broadcast."""
    register_values(name, *(binary_cases(s, x, y) for s in sources), examples=examples)


def singles(name, *sources, x=TIES):
    """``sources`` of one tensor."""
    register_values(name, *spelled(*sources, x=recipes(**x)))


for _name, _sign, _alias in [
    ("eq", "==", None), ("ne", "!=", "not_equal"), ("lt", "<", "less"),
    ("le", "<=", "less_equal"), ("gt", ">", "greater"), ("ge", ">=", "greater_equal"),
]:  # fmt: skip
    pairs(_name, *spellings(_sign, *filter(None, (_name, _alias))), f"x / x {_sign} 1")
for _name in ("logical_and", "logical_or", "logical_xor"):
    pairs(_name, *spellings("", _name), f"tc.{_name}(x > 0, y)", f"tc.{_name}(x / x, y)")
for _name, _sign in [("bitwise_and", "&"), ("bitwise_or", "|"), ("bitwise_xor", "^")]:
    pairs(_name, *spellings(_sign, _name), f"5 {_sign} x", x=WHOLE, y=WHOLE)
    pairs(f"{_name} of bools", f"x {_sign} y", f"True {_sign} x", x=BOOLS, y=BOOLS)
for _name, _sign in [("bitwise_left_shift", "<<"), ("bitwise_right_shift", ">>")]:
    pairs(_name, *spellings(_sign, _name), f"1000 {_sign} y", x=WHOLE, y=PLACES)
singles("bitwise_not", "~x", "tc.bitwise_not(x)", "x.bitwise_not()", x=WHOLE)
singles("bitwise_not of bools", "~x", x=BOOLS)
for _name in (
    "logical_not", "isnan", "isinf", "isfinite", "isposinf", "isneginf", "isreal", "signbit",
):  # fmt: skip
    singles(_name, f"tc.{_name}(x)", f"(x / x).{_name}()", f"tc.{_name}(1 / x)")
pairs(
    "isclose", *spellings("", "isclose", "allclose"), "tc.isclose(x, x * 1.25, rtol=0.2)",
    "tc.isclose(1 / x, y / x)", "(x / x).isclose(y / y, equal_nan=True)",
    "tc.allclose(x, x + 1e-9)",
)  # fmt: skip
pairs(
    "equal", *spellings("", "equal"), "tc.equal(x, x + y * 0)",
    examples=[Case.of("tc.equal(x, x * 1)", x=[1.0, 2.0])],
)  # fmt: skip
pairs("isin", "tc.isin(x, y)", "tc.isin(x, y, invert=True)", "tc.isin(x, 1)", "tc.isin(2, y)")
