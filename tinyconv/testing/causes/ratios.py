"""What a ratio of two derivatives reminds of: 2, 1/(kh*kw), the batch size, sqrt(2), 0.1 %."""

import math
from fractions import Fraction
from itertools import combinations

#: constants that derivative formulas forget, by name
_CONSTANTS = {
    "sqrt(2)": math.sqrt(2),
    "pi": math.pi,
    "2 pi": 2 * math.pi,
    "sqrt(pi)": math.sqrt(math.pi),
    "sqrt(2 pi)": math.sqrt(2 * math.pi),
    "sqrt(2 / pi)": math.sqrt(2 / math.pi),
    "ln 2": math.log(2),
    "ln 10": math.log(10),
    "e": math.e,
    "180 / pi": 180 / math.pi,
    "1.702 (of the approximate GELU)": 1.702,
}
#: fractions p/q are recognised up to here
_LARGEST = 64


def as_fraction(ratio, largest=_LARGEST, near=1e-6):
    """The ratio as a Fraction of small whole numbers, or None.

    >>> as_fraction(0.444444444), as_fraction(0.123456)
    (Fraction(4, 9), None)
    """
    if not math.isfinite(ratio):
        return None
    guess = Fraction(ratio).limit_denominator(largest)
    return guess if guess and abs(ratio - guess) <= near * abs(ratio) else None


def name_ratio(ratio, output_shape=(), input_shape=(), near=1e-6):
    """What a factor may stand for, in words; '' if nothing comes to mind.

    >>> name_ratio(0.125, (8, 10), (8, 3))
    '1/8, 1 / the batch size, 8'
    >>> name_ratio(1.001)
    '0.1 % too much'
    >>> name_ratio(2.345)
    ''
    """
    size = abs(ratio)
    if not size or not math.isfinite(size):
        return ""
    fraction = as_fraction(size, near=near)
    values = {str(fraction): size} if fraction not in (None, 1) else {}
    percent = float(f"{100 * (size - 1):.3g}")
    if 0 < abs(percent) <= 10:
        values[f"{abs(percent):g} % too {'much' if percent > 0 else 'little'}"] = 1 + percent / 100
    for what, count in _counts(output_shape, input_shape).items():
        values |= {what: count, f"1 / {what}": 1 / count}
        if fraction is None:
            values |= {
                f"sqrt of {what}": math.sqrt(count),
                f"1 / sqrt of {what}": 1 / math.sqrt(count),
            }
        elif count > 3:
            values |= {
                f"(n - 1) / n with n = {what}": (count - 1) / count,
                f"n / (n - 1) with n = {what}": count / (count - 1),
            }
    for what, value in _CONSTANTS.items():
        values |= {what: value, f"1 / ({what})": 1 / value}
    guesses = [text for text, value in values.items() if abs(size - value) <= near * size]
    square = as_fraction(size * size, largest=16, near=near)
    if not guesses and square:
        guesses = [f"sqrt({square})"]
    return ", ".join(guesses[:3])


def _counts(output_shape, input_shape):
    """Sizes and products of sizes, which means divide by, named. Of equal ones the plainest."""
    counts = {}
    for side, shape in (("output", output_shape), ("input", input_shape)):
        if len(shape) > 1:
            counts[f"the batch size, {shape[0]}"] = shape[0]
        if len(shape) > 2:
            pixels = math.prod(shape[2:])
            counts[f"the {side}'s elements per channel, {pixels}"] = pixels
            counts[f"those of the whole batch, {pixels * shape[0]}"] = pixels * shape[0]
        counts[f"the number of {side} elements, {math.prod(shape)}"] = math.prod(shape)
        for number in range(1, len(shape)):
            for axes in combinations(range(len(shape)), number):
                sizes = " x ".join(str(shape[k]) for k in axes)
                count = math.prod(shape[k] for k in axes)
                which = f"axis {axes[0]}" if number == 1 else f"axes {axes}"
                counts.setdefault(f"the size of the {side}'s {which}, {sizes}", count)
    plainest = {}
    for what, count in counts.items():
        if count > 1:
            plainest.setdefault(count, what)
    return {what: count for count, what in plainest.items()}
