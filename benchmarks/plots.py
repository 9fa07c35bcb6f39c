"""The pictures of benchmarks/results: roofline, ratios, growth."""

from benchmarks import conv, growth, steps
from tinyconv.viz import png
from tinyconv.viz.style import GREY, TEST, TRAIN, figure

#: Okabe and Ito: a colour and a marker per member of the family
_MEMBERS = {
    "naive": (GREY, "x"), "im2col": ("#E69F00", "s"), "direct": (TRAIN, "o"),
    "lanes": ("#CC79A7", "P"), "pointwise": ("#56B4E9", "v"), "depthwise": ("#009E73", "D"),
    "winograd": (TEST, "^"), "filters": ("#F0E442", "p"),
}  # fmt: skip
_OTHER = ("#009E73", "D")
_RATIO = "the time of PyTorch's better format over ours; blue: tinyconv is faster"


def _titled(direction):
    return direction.replace("_", " ")


def _theirs(row):
    return min(row["torch_milliseconds"].values(), default=None)


def _headline(fig, text):
    fig.suptitle(text, x=0.01, ha="left", fontsize=13)


def _log(axes):
    """Log axes with plain numbers at 1, 2, 5, 10, ..."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    for name in "xy":
        axes.set(**{f"{name}scale": "log"})
        axis = getattr(axes, f"{name}axis")
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_tick_params(labelsize=9)


def roofline(results):
    """GFLOP/s over FLOP per byte; no algorithm that does all FLOPs can stand above the lines."""
    rows, bounds = results["conv"]["rows"], results["conv"]["limits"]

    def draw(fig):
        _headline(fig, "The ladder under the roof of the machine")
        panels = fig.subplots(1, 3, sharey=True)
        for axes, direction in zip(panels, conv.DIRECTIONS):
            seen = [r for r in rows if r["direction"] == direction]
            places = [conv.figures(r, bounds["peak"]) for r in seen]
            x = [p["intensity"] for p in places]
            span = [min(x) / 1.5, bounds["peak"] / bounds["copy"], max(x) * 1.5]
            roof = [min(bounds["peak"], bounds["copy"] * at) for at in sorted(span)]
            axes.plot(sorted(span), roof, color="black", lw=1.5)
            theirs = [(at, r["gflop"] / _theirs(r) * 1e3) for at, r in zip(x, seen) if _theirs(r)]
            if theirs:
                axes.scatter(*zip(*theirs), s=26, facecolors="none", edgecolors=GREY,
                             label="PyTorch, better format")  # fmt: skip
            for member in dict.fromkeys(r["takes"] for r in seen):
                colour, marker = _MEMBERS.get(member, _OTHER)
                of = [(p["intensity"], p["gflops"]) for p, r in zip(places, seen)
                      if r["takes"] == member]  # fmt: skip
                axes.scatter(*zip(*of), s=26, color=colour, marker=marker, label=member)
            axes.set(title=_titled(direction), xlabel="FLOP / byte")
            _log(axes)
        panels[0].set_ylabel("GFLOP/s")
        known = {}
        for axes in panels:
            known.update((t, h) for h, t in zip(*axes.get_legend_handles_labels()))
        text = f"FMA peak {bounds['peak']:.0f} GFLOP/s\ncopy {bounds['copy']:.0f} GB/s"
        panels[0].text(0.97, 0.03, text, transform=panels[0].transAxes, ha="right", fontsize=9)
        fig.legend(known.values(), known.keys(), loc="outside lower left", ncols=len(known))

    return figure(draw, 11, 4.6)


def _bars(axes, names, ratios, title, marked=()):
    """Horizontal bars of ratios on a log axis, from a line at 1."""
    colours = [TRAIN if ratio >= 1 else TEST for ratio in ratios]
    axes.barh(names, [r - 1 for r in ratios], left=1, color=colours, height=0.7)
    for i, ratio in enumerate(ratios):
        text = f"{ratio:.2f}" + ("*" if names[i] in marked else "")
        axes.annotate(text, (ratio, i), (3 if ratio >= 1 else -3, 0), fontsize=8, va="center",
                      textcoords="offset points", ha="left" if ratio >= 1 else "right")  # fmt: skip
    axes.axvline(1, color="black", lw=1.2)
    low, high = min([*ratios, 1]), max([*ratios, 1])
    axes.set(xscale="log", title=title, xlim=(low / 1.6, high * 1.6), ylim=(len(names) - 0.4, -0.6))
    ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10) if low / 1.6 <= t <= high * 1.6]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.set_xticks([], minor=True)
    axes.grid(False, axis="y")


def ladder_ratios(results):
    """PyTorch's better format over ours, one bar per layer."""
    rows = [r for r in results["conv"]["rows"] if r["torch_milliseconds"]]
    names = list(dict.fromkeys(r["layer"] for r in rows))

    def draw(fig):
        _headline(fig, f"Convolutions: {_RATIO}")
        for axes, direction in zip(fig.subplots(1, 3, sharey=True), conv.DIRECTIONS):
            of = {r["layer"]: r for r in rows if r["direction"] == direction}
            here = [n for n in names if n in of]
            ratios = [conv.figures(of[n], 1.0)["ratio"] for n in here]
            pictures = [n for n in here if of[n]["of_images"] and direction == "input_gradient"]
            _bars(axes, here, ratios, _titled(direction), pictures)

    return figure(draw, 12, 1.2 + 0.27 * len(names))


def net_ratios(results):
    rows = [r for r in results["nets"] if r["torch_milliseconds"]]

    def draw(fig):
        _headline(fig, f"Networks: {_RATIO}")
        for axes, mode in zip(fig.subplots(1, 2, sharey=True), steps.MODES):
            of = [r for r in rows if r["mode"] == mode]
            names = [f"{r['net']}, batch {r['batch']}" for r in of]
            title = "a training step" if mode == "training" else mode
            _bars(axes, names, [steps.better(r) for r in of], title)

    return figure(draw, 10, 4)


def growth_curves(results):
    """Milliseconds per image over batch, image and depth; speed over threads."""
    rows = results["growth"]
    curves = list(dict.fromkeys(r["curve"] for r in rows))

    def draw(fig):
        _headline(fig, "How cost grows: ms per image")
        panels = fig.subplots(-(-len(curves) // 3), min(3, len(curves)), squeeze=False).ravel()
        for axes in panels[len(curves) :]:
            axes.axis("off")
        for axes, curve in zip(panels, curves):
            for mode, style in zip(steps.MODES, ("-", "--")):
                of = [r for r in rows if (r["curve"], r["mode"]) == (curve, mode)]
                x = [r["at"] for r in of]
                if of[0]["torch_milliseconds"]:
                    y = [growth.per_image(r, "PyTorch") for r in of]
                    axes.plot(x, y, style, color=GREY, marker=".", label=f"PyTorch, {mode}")
                y = [growth.per_image(r) for r in of]
                axes.plot(x, y, style, color=TRAIN, marker=".", label=f"tinyconv, {mode}")
            name, net = curve.split(", ")
            axes.set(title=f"{name}: {net}", xlabel=name)
            _log(axes)
            ticks = x if len(x) < 8 else x[::2] + x[-1:]
            axes.set_xticks(ticks, list(map(str, ticks)), fontsize=9)
        handles, texts = panels[0].get_legend_handles_labels()
        fig.legend(handles, texts, loc="outside lower left", ncols=4)

    return figure(draw, 11, 1.4 + 3 * -(-len(curves) // 3))


#: file -> (suite, what draws it)
FIGURES = {
    "performance_roofline.png": ("conv", roofline),
    "performance_layers.png": ("conv", ladder_ratios),
    "performance_nets.png": ("nets", net_ratios),
    "performance_growth.png": ("growth", growth_curves),
}


def main(results, folder):
    """Draw what there are results for."""
    for name, (suite, draw) in FIGURES.items():
        if suite in results:
            (folder / name).write_bytes(png(draw(results)))
            print(folder / name)
