"""Mistakes that leave the mass where it belongs, and get its amount wrong.

A pattern takes a case and all cases, and returns a Cause or None. A is the analytic, D the
numeric Jacobian (rows are outputs, columns inputs), R = A - D.
"""

import numpy as np

from tinyconv.testing.causes.case import Cause
from tinyconv.testing.causes.places import describe, example, inside, labels
from tinyconv.testing.causes.ratios import as_fraction, name_ratio


def not_finite(case, cases):
    """0/0, log(0) or 0 * inf in backward: A is NaN or infinite where D is a number."""
    bad = case.flagged & case.not_finite
    if case.wrong.any() or not bad.any():
        return None
    text = (
        f"NaN or infinity {inside(case, bad)} where the derivative is finite: in backward a "
        "division by zero, a root or logarithm of what a mask was to hide, 0 * inf?"
    )
    return Cause("not finite", text, 1.0)


def missing(case, cases):
    """The gradient was never computed, or was cut off by a detach: A is 0 everywhere."""
    if case.has_A.any() or not case.has_D.any():
        return None
    text = (
        "0 everywhere, where the numeric derivative is not: the input is detached, or its "
        "gradient is not computed"
    )
    return Cause("missing", text, 1.0)


def tie(case, cases):
    """A maximum found twice: with mask = (x == max) every tied input gets the full gradient.

    Seen at elements without a derivative, two or more for one output (of one input, or of
    several, as in maximum(a, b)), or at inputs of one output that have one and the same value.
    """
    wrong = case.flagged & case.kink
    if wrong.sum() > 10 * case.wrong.sum():
        same = (case.block.order, case.block.output, case.m)
        kinks = sum(
            other.kink.sum(axis=1)
            for other in cases
            if (other.block.order, other.block.output, other.m) == same
        )
        if (kinks[wrong.any(axis=1)] < 2).any():
            text = f"wrong at kinks only ({describe(case, wrong)}): no slope between both sides"
            return Cause("wrong factor", text, 0.6)
    elif _of_equal_inputs(case):
        wrong = case.wrong
    else:
        return None
    i = int(wrong.any(axis=1).argmax())
    shares = ", ".join(f"{a:.4g}" for a in case.given[i][wrong[i]][:4])
    at = tuple(map(int, np.unravel_index(i, case.out)))
    text = (
        f"only where inputs tie ({describe(case, wrong)}): those of output {at} get {shares}, and "
        "should get the gradient once: one of them, or all by shares"
    )
    return Cause("tie", text, 0.9)


def _of_equal_inputs(case):
    """Whether all wrong elements belong to inputs that are equal to another one of their row."""
    if case.x is None or np.unique(case.x).size < 0.5 * case.n or not case.wrong.any():
        return False
    rows = case.wrong[case.wrong.any(axis=1)]
    values = np.where(rows, case.x, np.nan)
    same = np.nanmin(values, axis=1) == np.nanmax(values, axis=1)
    return bool((same & (rows.sum(axis=1) > 1)).all())


def constant_factor(case, cases):
    """A 2, 1/N or minus forgotten: A = c D with one c."""
    c = float(case.ratio())
    if not np.isfinite(c) or 2 * case.wrong.sum() < case.has_D.sum() or not case.has_A.any():
        return None  # one that most elements do not show is none
    if not case.fits(c * case.D, abs(c) * case.bar):
        return None
    if abs(c + 1) < 1e-5:
        return Cause("sign", "every element has the wrong sign", case.sure)
    bars = (case.bar / np.maximum(np.abs(case.D), case.tiny))[case.wrong]
    guess = name_ratio(c, case.out, case.inp, near=max(1e-6, min(1e-3, 2 * np.median(bars))))
    if not guess and case.live.sum() == 1:
        # one number is some multiple of any other
        return Cause("wrong factor", f"{c:.6g} times what it should be", 0.3)
    size = f"{c:.6g}" if abs(c - 1) > 1e-4 else f"1 {'+-'[c < 1]} {abs(c - 1):.3g}"
    text = f"every element is {size} times what it should be"
    text += f": a factor forgotten or one too many ({guess})?" if guess else ""
    text += " The sign is wrong as well." if c < 0 else ""
    return Cause("constant factor", text, case.sure)


def some_signs(case, cases):
    """abs, a minus in one branch: |A| = |D|, and some elements have the other sign."""
    if not case.fits(np.where(case.wrong, -case.D, case.D)):
        return None
    return Cause("sign", f"the sign is wrong {inside(case)}; the size is right", case.sure)


def rounded(case, cases):
    """The gradient is cast to float32 and back: A is the float32 next to D."""
    A, D = case.A[case.wrong], case.D[case.wrong]
    near = np.abs(A - D) <= 1.01 * 2.0**-24 * np.abs(D) + 2 * case.bar[case.wrong]
    with np.errstate(over="ignore"):
        single, half = (A == A.astype(dtype) for dtype in (np.float32, np.float16))
    # round numbers are float32 numbers anyhow
    if not A.size or half.mean() > 0.5 or not (single & near).all():
        return None
    text = f"{inside(case)} the float32 next to what it should be: a cast?"
    return Cause("precision", text, case.sure)


def precision(case, cases):
    """float32 on the way: A holds rounded numbers, or errors are tiny and of either sign.

    Errors are held against the row's largest element: where much cancels, much is lost.
    """
    size = np.maximum(np.abs(case.A), np.abs(case.D)).max(axis=1, keepdims=True)
    error = (case.error / np.maximum(size, case.tiny))[case.wrong].max(initial=0.0)
    values, errors = case.A[case.wrong], (case.A - case.D)[case.wrong]
    for dtype, most in ((np.float32, 1e-5), (np.float16, 5e-3)):
        with np.errstate(over="ignore"):
            cast = bool((values == values.astype(dtype)).all())
        random = dtype is np.float32 and errors.size > 3 and 0.1 < (errors > 0).mean() < 0.9
        if error < most and (cast or random):
            text = f"errors of at most {error:.1e} of the row's largest element"
            text += f", and all wrong elements are {dtype.__name__} numbers" * cast
            text += f": is something kept or computed in {dtype.__name__}?"
            return Cause("precision", text, 0.9 if cast else 0.7)
    return None


def divisor(case, cases):
    """An average that divides by the wrong count: A[i] = c_i D[i], a factor for each output.

    The same of inputs, where the count is of the windows that cover a pixel: c_j is a ratio of
    small numbers then. Outputs of one input each tell nothing: that is an elementwise factor.
    A factor per channel is no count but a scale: gamma left out.
    """
    for view, other, axis in zip(case.views, case.views[::-1], (1, 0)):
        mass = view.has_D.sum(axis=1)
        c = case.ratio(axis)
        factors = np.nan_to_num(np.expand_dims(c, axis), nan=1.0)
        if not mass.any() or np.median(mass[mass > 0]) < 2:
            continue
        if not case.fits(factors * case.D, np.abs(factors) * case.bar):
            continue
        side, shape = other.side, other.shape  # the rows of a view are the other side's elements
        hit = view.wrong.any(axis=1)
        some = np.unique(np.round(c[hit], 7))
        counts = [as_fraction(value) for value in some]
        some = ", ".join(f"{f or format(v, '.7g')}" for f, v in zip(counts[:4], some))
        if _by_channel(case, side, c.reshape(shape)):
            text = f"a factor for each channel of the {side} ({some}): a scale left out or doubled?"
            return Cause("wrong factor", f"{text}; {example(case)}", 0.9 * case.sure)
        if side == "output" or all(counts):
            text = (
                f"{inside(case)} a factor that depends on the {side} ({some}): divided by "
                f"the wrong count or norm? {example(case)}"
            )
            return Cause("divisor", text, 0.9 * case.sure)
        text = f"{inside(case)} a factor that depends on the input; {example(case)}"
        return Cause("wrong factor", text, 0.9 * case.sure)
    return None


def _by_channel(case, side, factors):
    """Whether a factor differs between channels, and between nothing else."""
    axes = labels(case, side)
    if "C" not in axes:
        return False
    rest = tuple(k for k, label in enumerate(axes) if label != "C")
    shared = np.nanmedian(factors, axis=rest, keepdims=True)
    bar = np.median((case.bar / np.maximum(np.abs(case.D), case.tiny))[case.wrong])
    same = np.isnan(factors) | (np.abs(factors - shared) <= (1e-6 + 8 * bar) * np.abs(shared))
    return bool(same.all()) and np.ptp(shared) > 0


def offset(case, cases):
    """log p for log p + 1, a shortcut past a block forgotten: A - D is one number.

    Everywhere, wherever there is mass, or on the diagonal.
    """
    diagonal = np.eye(case.m, case.n, dtype=bool) & (case.out == case.inp)
    for where, name in (
        (case.known, "every element"),
        (case.live, "every element that is not 0"),
        (diagonal & case.known, "the diagonal"),
    ):
        # nearly all of the place must be wrong, and nothing else
        if not 3 <= where.sum() <= 2 * case.wrong.sum() or not where[case.wrong].all():
            continue
        step = float(np.median((case.A - case.D)[where]))
        if not case.fits(case.D + step * where, case.bar + np.median(case.bar[where])):
            continue
        if abs(step + 1) < 1e-5 and name == "the diagonal" and not case.elementwise:
            text = "1 too little on the diagonal: the gradient of a shortcut is not added"
            return Cause("lost accumulation", text, case.sure)
        return Cause("added", f"{step:+.6g} too much in {name}", case.sure)
    return None


def offset_per_output(case, cases):
    """2 x for 2 (x - mean): to all mass of an output one amount is added."""
    mass = case.live.sum(axis=1, keepdims=True)
    steps = (case.A - case.D).sum(axis=1, where=case.live, keepdims=True) / np.maximum(mass, 1)
    if np.median(mass) < 3 or not case.fits(case.D + steps * case.live):
        return None
    text = f"one amount for each output is added to all its mass; {example(case)}"
    return Cause("added", text, case.sure)


def same_for_all_outputs(case, cases):
    """gw + decay * w: something is added to the gradient that has no cotangent in it."""
    if case.m < 3 or not case.fits(case.D + np.median(case.A - case.D, axis=0)):
        return None
    text = "the same is added for every output: a term that the cotangent does not multiply"
    return Cause("added", text, 0.8)


def other_gradient(case, cases):
    """One buffer for two gradients: A is D plus the Jacobian of another input."""
    mine = case.block
    for other in cases:
        theirs = other.block
        alike = (mine.order, mine.output, case.inp) == (theirs.order, theirs.output, other.inp)
        if other is case or not alike:
            continue
        if case.fits(case.D + other.D, case.bar + other.bar, other.known):
            text = f"the gradient of input {theirs.input} is added: one buffer for both?"
            return Cause("added", text, case.sure)
    return None


def stray(case, cases):
    """A mask forgotten: A is right where mass is due, and has some where none is."""
    if case.has_D[case.wrong].any() or not case.has_D.any() or case.one_each:
        return None
    return Cause("added", f"mass where none is due, {inside(case)}; {example(case)}", 0.7)


def wrong_factor(case, cases):
    """A derivative formula with a mistake: 1 - y for 1 - y*y, a branch on the wrong side.

    The operation is elementwise, or A has no mass where D has none.
    """
    if case.one_each or case.m == 1:
        text = f"the factor is wrong {inside(case)}; {example(case)}"
        return Cause("wrong factor", text, 0.8 if case.one_each else 0.5)
    if case.has_D[case.has_A].all() and not case.has_D[case.known].all():
        text = f"the amounts are wrong {inside(case)}, the places are right; {example(case)}"
        return Cause("wrong factor", text, 0.4)
    return None
