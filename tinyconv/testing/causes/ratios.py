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
    '1/8, 1 / the batch size (8)'
    >>> name_ratio(1.001)
    '0.1 % too much'
    >>> name_ratio(2.345)
    ''
    """
    size = abs(ratio)
    if not size or not math.isfinite(size):
        return ""
    guesses = []
    fraction = as_fraction(size, near=near)
    if fraction is not None and fraction != 1:
        guesses.append(str(fraction))
    percent = 100 * (size - 1)
    rounded = float(f"{percent:.3g}")
    if 0 < abs(percent) <= 10 and abs(percent - rounded) <= 100 * near:
        guesses.append(f"{abs(rounded):g} % too {'much' if percent > 0 else 'little'}")
    for what, count in _counts(output_shape, input_shape).items():
        forms = {what: count, f"1 / {what}": 1 / count}
        if count > 2:
            forms |= {
                f"sqrt of {what}": math.sqrt(count),
                f"1 / sqrt of {what}": 1 / math.sqrt(count),
                f"(n - 1) / n with n = {what}": (count - 1) / count,
                f"n / (n - 1) with n = {what}": count / (count - 1),
            }
        guesses += [text for text, value in forms.items() if abs(size - value) <= near * size]
    for what, value in _CONSTANTS.items():
        if abs(size - value) <= near * size:
            guesses.append(what)
        elif abs(size - 1 / value) <= near * size:
            guesses.append(f"1 / ({what})")
    if not guesses:
        square = as_fraction(size * size, largest=16, near=near)
        guesses += [f"sqrt({square})"] if square else []
    return ", ".join(guesses[:3])


def _counts(output_shape, input_shape):
    """Numbers that means divide by: sizes and products of sizes, named; 1 is no hint."""
    counts = {}
    for side, shape in (("output", output_shape), ("input", input_shape)):
        if not shape:
            continue
        if len(shape) >= 2:
            counts[f"the batch size ({shape[0]})"] = shape[0]
        counts[f"the number of {side} elements ({math.prod(shape)})"] = math.prod(shape)
        if len(shape) >= 3:
            pixels = math.prod(shape[2:])
            counts[f"the {side}'s elements per channel ({pixels})"] = pixels
            whole = pixels * shape[0]
            counts[f"the {side}'s elements per channel in the batch ({whole})"] = whole
        for number in range(1, len(shape)):
            for axes in combinations(range(len(shape)), number):
                count = math.prod(shape[k] for k in axes)
                sizes = " x ".join(str(shape[k]) for k in axes)
                counts.setdefault(f"the size of {side} axes {axes} ({sizes})", count)
    seen, named = set(), {}
    for what, count in counts.items():  # the first, plainest name of each number
        if count > 1 and count not in seen:
            seen.add(count)
            named[what] = count
    return named
