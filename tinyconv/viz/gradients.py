"""Checks of derivatives: where a gradient is wrong, and how far a difference quotient can see."""

import math

import numpy as np

from tinyconv.viz.style import GREY, TEST, TRAIN, figure

#: Okabe and Ito again: bluish green and reddish purple
GREEN, PURPLE = "#009E73", "#CC79A7"
_SKIPPED, _KINK = "#BDBDBD", "#7FCDB5"
#: right to the last digit, and not zero
_RIGHT = "#E1ECF4"
#: no error is drawn paler than this share of what is allowed
_PALEST = -4
#: matrices of more rows or columns are drawn in blocks, each as bad as its worst element
_MOST = 240
#: up to so many rows and columns the wrong elements get an outline
_OUTLINED = 48
_PANELS = 12


def error_map(report, title=""):
    """Draw each Jacobian that a check compared: the error of every element over what is allowed.

    Rows are elements of the output, columns elements of the input, in C order. White is a
    derivative of zero, as it should be; pale blue to blue an allowed error, orange to brown too
    large a one. Green elements lie at kinks and are right there, grey ones could not be checked.

    Args:
        report: a ``tinyconv.testing.Report``; Jacobians exist in full mode, and where a fast check
            failed. At most 12 are drawn, wrong ones first, and none that is zero throughout.
        title: a line above (default: what was checked, and the verdict).

    Returns:
        a ``matplotlib.figure.Figure``.

    Raises:
        MissingMatplotlib: with what to install.

    >>> import numpy as np, tinyconv as tc
    >>> from tinyconv.testing import check
    >>> from tinyconv.viz import error_map
    >>> len(error_map(check(tc.tanh, np.array([0.5, -1.0]), order=1)).axes)     # map, scale
    2
    """
    drawn = [p for p in report.pairs if p.analytic is not None and not _zero(p).all()]
    drawn = sorted(drawn, key=lambda p: p.verdict != "wrong")
    shown, title = drawn[:_PANELS], title or f"{report.subject}: {report.verdict}"
    if len(shown) < len(report.pairs):
        title += f"\n{len(shown)} of {len(report.pairs)} Jacobians"
        if len(drawn) == len(shown):
            title += "; the others are zero, or were not compared element by element"
    errors = [scaled_error(p) for p in shown]
    top = max([4.0, *(np.ceil(e.max()) for e in errors)])

    def draw(fig):
        fig.suptitle(title, x=0.01, ha="left", fontsize=13)
        if not shown:
            _say(fig, "No Jacobian to draw.")
            return
        colours, norm = _colours(top)
        columns = min(len(shown), 3)
        grid = fig.subplots(-(-len(shown) // columns), columns, squeeze=False).ravel()
        for axes in grid[len(shown) :]:
            axes.axis("off")
        for axes, pair, error in zip(grid, shown, errors):
            _panel(axes, pair, error, colours, norm)
        _scale(fig, grid, colours, norm, top)
        _legend(fig, shown, errors)

    rows = max(1, -(-len(shown) // 3))
    return figure(draw, 3.6 * max(2, min(len(shown), 3)), 1.2 + 3.4 * rows)


def scaled_error(pair):
    """log10 of the error over what is allowed, (m, n); NaN where nothing could be compared.

    As in the report: allowed is the error bar and a 1e-9 of the value.
    """
    A, N = pair.analytic, pair.numeric
    with np.errstate(all="ignore"):
        error = np.abs(A - N)
        ratio = np.where(error == 0, 0.0, error / (pair.bar + 1e-9 * np.abs(A)))
        ratio[pair.kink & ~pair.off] = 0.0
        # a derivative that is itself NaN or infinite is as wrong as can be
        ratio[pair.off & ~np.isfinite(ratio)] = np.inf
        level = np.log10(ratio)
    level[np.isnan(ratio)] = np.nan
    level = np.clip(level, _PALEST, 12)
    return np.where(pair.off, np.maximum(level, 0.3), level)


def _zero(pair):
    """Where the derivative is zero, and is said to be; all of a Jacobian without elements."""
    return (pair.analytic == 0) & (pair.numeric == 0) & ~pair.off & ~pair.kink


def _panel(axes, pair, error, colours, norm):
    m, n = error.shape
    skipped = np.isnan(error) | (pair.lost & ~pair.off)
    kink = pair.kink & ~pair.off
    level = _blocks(np.where(skipped, _PALEST, error), np.maximum)
    image = colours(norm(level))
    bad = _blocks(pair.off, np.logical_or)
    image[_blocks(_zero(pair), np.logical_and)] = _rgba("white")
    for mask, colour in ((kink, _KINK), (skipped & ~pair.off, _SKIPPED)):
        image[_blocks(mask, np.logical_or) & ~bad] = _rgba(colour)
    axes.imshow(image, extent=(0, n, m, 0), aspect="auto", interpolation="nearest")
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(True)
    _outline(axes, pair.off)
    for axis, shape, name in (
        (axes.yaxis, pair.output_shape, pair.output), (axes.xaxis, pair.input_shape, pair.input)
    ):  # fmt: skip
        places, labels, lines = _ticks(shape)
        axis.set_ticks(np.array(places) + 0.5, labels, fontsize=8)
        axis.set_label_text(f"{name}  {list(shape)}", fontsize=9)
        for at in lines:
            (axes.axhline if axis is axes.yaxis else axes.axvline)(at, color="#00000026", lw=0.8)
    if sum(map(len, _ticks(pair.input_shape)[1])) > 26:
        axes.tick_params(axis="x", rotation=40)
    text = f"{pair.verdict}: {pair.wrong} of {pair.elements}" if pair.wrong else pair.verdict
    if pair.order > 1:
        text = f"order {pair.order}, {text}"
    if pair.cause is not None:
        text += f"\n{pair.cause.name}"
    axes.set_title(text, fontsize=10, color=TEST if pair.wrong else GREY)


def _blocks(values, combine):
    """At most ``_MOST`` rows and columns: blocks combined, so that no element gets lost."""
    for axis in (0, 1):
        size = values.shape[axis]
        if size > _MOST:
            starts = np.arange(_MOST) * size // _MOST
            values = combine.reduceat(values, starts, axis)
    return values


def _outline(axes, off):
    """A frame around wrong elements, or a ring where they are too small to be seen, and few."""
    from matplotlib.patches import Rectangle

    i, j = np.nonzero(off)
    if max(off.shape) <= _OUTLINED:
        for y, x in zip(i, j):
            axes.add_patch(Rectangle((x, y), 1, 1, fill=False, edgecolor="black", linewidth=0.8))
    elif i.size <= 40:
        axes.plot(j + 0.5, i + 0.5, "o", color=TEST, fillstyle="none", markersize=10)


def _ticks(shape, most=7):
    """(flat places, their indices as text, where larger axes begin anew) along one side."""
    size = math.prod(shape)
    # where one of the axes begins anew; without the whole, which would leave one tick
    steps = [s for i in range(len(shape), 0, -1) if (s := math.prod(shape[i:])) < size] or [1]
    step = next((s for s in steps if size <= most * s), steps[-1])
    if size > most * step:
        step *= next(f for f in _ROUND if size <= most * f * step)
    places = range(0, size, step)
    labels = ["[" + ", ".join(str(k) for k in np.unravel_index(p, shape)) + "]" for p in places]
    lines = places[1:] if step in steps and step > 1 else ()
    return list(places), labels, lines


_ROUND = [f * 10**k for k in range(9) for f in (1, 2, 5)]


def _colours(top):
    from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm

    below, above = [_RIGHT, "#9ECAE1", TRAIN], ["#FDD0A2", TEST, "#5A1A00"]
    places = [0, 0.3, 0.5 - 1e-9, 0.5 + 1e-9, 0.75, 1]
    colours = LinearSegmentedColormap.from_list("error", list(zip(places, below + above)))
    return colours, TwoSlopeNorm(0, _PALEST, top)


def _scale(fig, grid, colours, norm, top):
    from matplotlib.cm import ScalarMappable

    rows = -(-len(grid) // 3)
    bar = fig.colorbar(
        ScalarMappable(norm, colours), ax=list(grid), shrink=0.9 / rows, aspect=22, anchor=(0, 1),
        panchor=False,
    )  # fmt: skip
    every = max(1, round(top / 4))
    ticks = [_PALEST, -2, 0, *range(every, int(top) + 1, every)]
    bar.set_ticks(ticks, labels=[f"$10^{{{t}}}$" if t else "1" for t in ticks])
    bar.set_label("error / allowed error")
    bar.outline.set_visible(False)


def _legend(fig, pairs, errors):
    from matplotlib.patches import Patch

    marks = []
    if any(p.off.any() for p in pairs):
        marks.append(Patch(facecolor=TEST, edgecolor="black", label="wrong"))
    if any((p.kink & ~p.off).any() for p in pairs):
        marks.append(Patch(facecolor=_KINK, label="at a kink, right"))
    if any((np.isnan(e) & ~p.off).any() for p, e in zip(pairs, errors)):
        marks.append(Patch(facecolor=_SKIPPED, label="not checked"))
    if marks:
        fig.legend(handles=marks, loc="outside lower left", ncols=len(marks), fontsize=9)


def _rgba(colour):
    from matplotlib.colors import to_rgba

    return to_rgba(colour)


def _say(fig, text):
    axes = fig.add_subplot()
    axes.axis("off")
    axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=14, color=GREY)


# -- the error over the step ------------------------------------------------------------------
def step_curves(function=None, derivative=None, points=61):
    """Draw the error of difference quotients over their step, in float32 and in float64.

    Each curve is the median over ``points`` places between 0.5 and 1.5 of |quotient - f'| / |f'|.
    A large step leaves the terms of Taylor's series that the quotient neglects, a small one the
    rounding of f divided by the step. The complex step takes no difference and has no such end.
    Two lines show tests without a step, measured on a convolution: <v, J u> against <J^T v, u>,
    and whole numbers, whose arithmetic is exact.

    Args:
        function: f on NumPy arrays, real and complex (default: exp(x) sin(x)).
        derivative: f', evaluated in long double.
        points: how many places.

    Returns:
        a ``matplotlib.figure.Figure``.

    Raises:
        MissingMatplotlib: with what to install.
        ValueError: for one of ``function`` and ``derivative`` without the other.
    """
    if (function is None) != (derivative is None):
        raise ValueError("step_curves: give both the function and its derivative, or neither")
    function = function or (lambda x: np.exp(x) * np.sin(x))
    derivative = derivative or (lambda x: np.exp(x) * (np.sin(x) + np.cos(x)))

    def draw(fig):
        panels = fig.subplots(1, 2, sharey=True)
        for axes, dtype in zip(panels, (np.float32, np.float64)):
            _steps(axes, function, derivative, points, dtype)
        panels[0].set_ylabel("relative error of the derivative")
        lines = panels[0].get_legend_handles_labels()
        fig.legend(*lines, loc="outside lower center", ncols=3, fontsize=10)

    return figure(draw, 9.6, 5.0)


def _quotients(f, x, h):
    """Name -> slope of f at x with step h, as each method takes it."""

    def central(h):
        return (f(x + h) - f(x - h)) / (2 * h)

    return {
        "forward": (f(x + h) - f(x)) / h,
        "central": central(h),
        "Richardson": (4 * central(h / 2) - central(h)) / 3,
        "complex step": f(x + 1j * h).imag / h,
    }


#: colour and dashes of each method, the root of eps at which its step is best, and what to call it
_METHODS = {
    "forward": (TEST, "--", 2, r"forward: best near $\mathrm{eps}^{1/2}$"),
    "central": (TRAIN, "-", 3, r"central: best near $\mathrm{eps}^{1/3}$"),
    "Richardson": (GREEN, "-", 5, r"Richardson: best near $\mathrm{eps}^{1/5}$"),
    "complex step": (PURPLE, "-", None, "complex step: the smaller, the better"),
}


def _steps(axes, f, derivative, points, dtype):
    eps, floor = float(np.finfo(dtype).eps), 1e-18
    x = np.linspace(0.5, 1.5, points).astype(dtype)
    slope = derivative(x.astype(np.longdouble))
    steps = np.logspace(-20, 0, 161).astype(dtype)
    errors = {name: [] for name in _METHODS}
    for h in steps:
        for name, value in _quotients(f, x, h).items():
            errors[name].append(float(np.median(np.abs((value - slope) / slope))))
    for i, (name, (colour, dashes, root, label)) in enumerate(_METHODS.items()):
        # the complex step and the central difference neglect the same: the latter lies above
        drawn, order = np.maximum(errors[name], floor), 3 - 0.1 * i
        axes.loglog(steps, drawn, dashes, color=colour, label=label, linewidth=1.8, zorder=order)
        if root is not None:
            best = eps ** (1 / root)
            axes.plot(best, floor, "^", color=colour, clip_on=False, markersize=8, zorder=5)
    axes.axhline(max(_adjoint(dtype), floor), color=GREY, linestyle=":", label="adjoint: no step")
    axes.axhline(floor, color="black", lw=2.5, label="exact, on whole numbers: no error")
    axes.set_ylim(floor, 30)
    axes.set_xlim(1e-20, 1)
    axes.set_xlabel("step h")
    axes.set_title(f"{np.dtype(dtype)}, eps = {eps:.1e}")


def _adjoint(dtype):
    """The relative gap between <v, J u> and <J^T v, u> for a convolution in ``dtype``."""
    from tinyconv.kernels import Window, conv

    rng = np.random.default_rng(0)
    gaps = []
    for _ in range(9):
        u, w = (rng.normal(size=s).astype(dtype) for s in ((2, 3, 9, 8), (4, 3, 3, 3)))
        window = Window.of(3, padding=1)
        y = conv.forward(u, w, None, window, 1)
        v = rng.normal(size=y.shape).astype(dtype)
        back = conv.input_gradient(v, w, window, 1, (9, 8))
        left, right = (np.sum(np.multiply(*p, dtype=np.float64)) for p in ((v, y), (back, u)))
        gaps.append(abs(left - right) / np.sum(np.abs(v * y), dtype=np.float64))
    return float(np.median(gaps))
