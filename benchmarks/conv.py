"""The ladder: each member of the convolution family on layers of real networks, in all three
directions, against PyTorch's two memory formats. Results are checked before they are timed.

GFLOP/s are those of the definition, whatever an algorithm saves, over the time it takes; so
Winograd may stand above the FMA peak. Bytes are the least: both inputs read, the output written.
"""

import contextlib
import time

import numpy as np

from benchmarks import limits, oracle
from benchmarks.shapes import LADDER
from benchmarks.timing import geometric_mean, interleaved, peer, ratio, table
from tinyconv import kernels
from tinyconv.kernels import choice
from tinyconv.kernels.choice import ALGORITHMS, chosen

DIRECTIONS = ("forward", "input_gradient", "weight_gradient")
#: seconds a call may take; the naive loops take longer on most layers
_LONGEST = 0.2
_NAIVE_GFLOP = 0.25
#: largest error over the root mean square of the result; Winograd's transforms round more
BOUNDS = {"winograd": 2e-4}
_BOUND = 5e-5


class Problem:
    """A layer with its arrays, and the calls that the contestants make."""

    def __init__(self, layer):
        rng = np.random.default_rng(0)
        self.layer = layer
        self.x, self.w, self.gy = (
            rng.standard_normal(shape, np.float32)
            for shape in (layer.x_shape, layer.w_shape, layer.y_shape)
        )

    def call(self, direction, member=None, gy=None):
        """A function of no arguments that runs one member, or the one that the chooser takes."""
        layer, window, groups = self.layer, self.layer.window, self.layer.groups
        gy = self.gy if gy is None else gy
        run = {
            "forward": lambda: kernels.conv.forward(self.x, self.w, None, window, groups),
            "input_gradient": lambda: kernels.conv.input_gradient(
                gy, self.w, window, groups, (layer.H, layer.H)
            ),
            "weight_gradient": lambda: kernels.conv.weight_gradient(gy, self.x, window, groups),
        }[direction]
        return run if member is None else _forced(member, run)

    def rival(self, torch, direction, memory_format):
        """The same in PyTorch, everything in its format beforehand."""
        layer = self.layer
        x, w, gy = (
            torch.from_numpy(a).contiguous(memory_format=memory_format)
            for a in (self.x, self.w, self.gy)
        )
        conv, back = torch.nn.functional.conv2d, torch.ops.aten.convolution_backward
        s, p, groups = [layer.stride] * 2, [layer.padding] * 2, layer.groups
        if direction == "forward":
            return lambda: conv(x, w, None, s, p, 1, groups)
        asked = [direction == "input_gradient", direction == "weight_gradient", False]
        return lambda: back(gy, x, w, None, s, p, [1, 1], False, [0, 0], groups, asked)

    def error(self, direction, member):
        """Largest error over the root mean square, on the first and the last image.

        The weight gradient sums over images, so there gy is zero for the others.
        """
        some = sorted({0, self.layer.N - 1})
        x, gy = self.x[some], self.gy[some]
        if direction == "weight_gradient":
            sparse = np.zeros_like(self.gy)
            sparse[some] = gy
            ours = self.call(direction, member, sparse)()
            exact = oracle.weight_gradient(gy, x, self.layer)
        else:
            ours = self.call(direction, member)()[some]
            exact = (
                oracle.forward(x, self.w, self.layer)
                if direction == "forward"
                else oracle.input_gradient(gy, self.w, self.layer)
            )
        return float(np.abs(ours - exact).max() / np.sqrt(np.mean(exact**2)))


def _forced(member, run):
    def call():
        with kernels.conv_algorithm(member):
            return run()

    return call


def taken(layer, direction):
    """The member that the chooser takes."""
    return chosen(
        direction, layer.x_shape, layer.w_shape[0], layer.window, layer.groups, itemsize=4
    )


def supports(name, layer, direction):
    """Whether a member takes a layer at all."""
    channels, filters = layer.x_shape[1], layer.w_shape[0]
    return choice.supports(name, layer.window, layer.groups, channels, filters)


def members(layer, direction):
    """The members that compete on a layer."""
    few = layer.flops / 1e9 <= _NAIVE_GFLOP
    return [
        name for name in ALGORITHMS if supports(name, layer, direction) and (name != "naive" or few)
    ]


def measure(problem, direction, torch, rounds):
    """One row of the ladder, as a dict."""
    layer, first = problem.layer, taken(problem.layer, direction)
    names, errors = [], {}
    for name in dict.fromkeys((first, *members(layer, direction))):
        error = problem.error(direction, name)
        assert error < BOUNDS.get(name, _BOUND), (layer.name, direction, name, error)
        began = time.perf_counter()
        problem.call(direction, name)()
        if name == first or time.perf_counter() - began < _LONGEST:
            names.append(name)
            errors[name] = error
    calls = [problem.call(direction), *(problem.call(direction, m) for m in names[1:])]
    formats = {}
    if torch is not None:
        formats = dict(contiguous=torch.contiguous_format, channels_last=torch.channels_last)
    rivals = [problem.rival(torch, direction, f) for f in formats.values()]
    seconds = interleaved([*calls, *rivals], rounds)
    return dict(
        layer=layer.name, shape=layer.text(), direction=direction, of_images=layer.of_images,
        gflop=layer.flops / 1e9, megabytes=layer.bytes / 1e6, takes=first,
        milliseconds={m: t * 1e3 for m, t in zip(names, seconds)}, errors=errors,
        torch_milliseconds={f: t * 1e3 for f, t in zip(formats, seconds[len(names) :])},
    )  # fmt: skip


def figures(row, peak):
    """What follows from a row: ours, GFLOP/s, share of the peak, FLOP / byte, ratio or None."""
    ms = row["milliseconds"][row["takes"]]
    theirs = min(row["torch_milliseconds"].values(), default=None)
    return dict(
        milliseconds=ms, gflops=row["gflop"] / ms * 1e3, share=row["gflop"] / ms * 1e3 / peak,
        intensity=row["gflop"] / row["megabytes"] * 1e3,
        ratio=None if theirs is None else theirs / ms,
    )  # fmt: skip


def summary(rows, direction):
    """(least ratio, its layer, geometric mean, how many) of a direction; None without a peer."""
    pairs = [
        (figures(r, 1.0)["ratio"], r["layer"])
        for r in rows
        if r["direction"] == direction and r["torch_milliseconds"]
    ]
    return (*min(pairs), geometric_mean([p[0] for p in pairs]), len(pairs)) if pairs else None


def run(rounds, wanted):
    """Print the ladder; returns the limits and its rows as dicts."""
    torch, bounds = peer(), limits.measure()
    rows = []
    with torch.no_grad() if torch is not None else contextlib.nullcontext():
        for layer in LADDER:
            chosen_directions = [d for d in DIRECTIONS if wanted(f"{layer.name} {d}")]
            problem = Problem(layer) if chosen_directions else None
            for direction in chosen_directions:
                rows.append(measure(problem, direction, torch, rounds))
    _print(rows, bounds)
    return dict(limits=bounds, rows=rows)


def _print(rows, bounds):
    print(
        f"\nFMA peak {bounds['peak']:.0f} GFLOP/s ({bounds['peak_one_thread']:.0f} on one "
        f"thread), copy {bounds['copy']:.0f} GB/s"
    )
    lines = []
    for r in rows:
        f = figures(r, bounds["peak"])
        others = [f"{m} {t:.3g}" for m, t in r["milliseconds"].items() if m != r["takes"]]
        star = "*" if r["of_images"] and r["direction"] == "input_gradient" else ""
        lines.append(
            (r["layer"], r["direction"].replace("_gradient", "") + star, r["takes"],
             f"{f['milliseconds']:.3f}", f"{f['gflops']:.0f}", f"{100 * f['share']:.0f}",
             f"{r['megabytes']:.1f}", f"{f['intensity']:.0f}",
             *(f"{t:.3f}" for t in r["torch_milliseconds"].values()),
             ratio(f["ratio"], 1), ", ".join(others))
        )  # fmt: skip
    rivals = [f"torch {name}" for name in (rows[0]["torch_milliseconds"] if rows else ())]
    table(
        "convolution: PyTorch's better format / what the chooser takes; above 1 we are faster",
        ("layer", "direction", "takes", "ms", "GFLOP/s", "% peak", "MB", "FLOP/B", *rivals,
         "ratio", "others, ms"),
        lines,
    )  # fmt: skip
    print("* the gradient of the pictures themselves, which no training asks for")
    for direction in DIRECTIONS:
        found = summary(rows, direction)
        if found:
            least, layer, mean, count = found
            print(f"{direction}: least {least:.2f} ({layer}), mean {mean:.2f}, {count} layers")
