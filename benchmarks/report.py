"""Put the figures of benchmarks/results into the pages, and draw them: python -m benchmarks.report

Each table stands between ``<!-- figures: NAME -->`` and ``<!-- end -->``, so no figure is typed.
"""

import json
import re
from pathlib import Path

from benchmarks import conv, growth, memory, steps

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
PAGES = [ROOT / "README.md", ROOT / "docs" / "performance.md", ROOT / "docs" / "convolution.md"]
_MARKED = re.compile(r"(<!-- figures: ([\w ]+) -->\n).*?(<!-- end -->)", re.S)
_GIVEN = re.compile(r"<!-- figures: ([\w ]+) -->")


def load(folder=RESULTS):
    """suite -> what it returned; ``machine`` and ``rounds`` of the file beside it."""
    results = {}
    for path in sorted(Path(folder).glob("*.json")):
        content = json.loads(path.read_text())
        about = {key: content.pop(key) for key in ("machine", "rounds")}
        for suite, value in content.items():
            results[suite], results[f"{suite} about"] = value, about
    return results


def markdown(header, rows):
    """A table of Markdown; the first column is text, the others are numbers."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def _ratio(value):
    return "-" if value is None else f"{value:.2f}"


def _ms(value):
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


# -- what each name stands for ------------------------------------------------------------
def machine(results):
    about, bounds = results["conv about"]["machine"], results["conv"]["limits"]
    return (
        f"{about['cores']} cores with vectors of {about['vector_bits']} bits, {about['threads']} "
        f"threads. FMA peak {bounds['peak_one_thread']:.0f} GFLOP/s on one thread, "
        f"{bounds['peak']:.0f} on all; copy {bounds['copy']:.0f} GB/s read and written together.\n"
    )


def goals(results):
    """The least and the mean ratio of each kind, on one line each."""
    rows = []
    for direction in conv.DIRECTIONS:
        found = conv.summary(results["conv"]["rows"], direction)
        if found:
            least, name, mean, count = found
            what = f"convolution, {direction.replace('_', ' ')}, {count} layers"
            rows.append((what, f"{least:.2f} ({name})", f"{mean:.2f}"))
    for mode in steps.MODES:
        of = [r for r in results["nets"] if r["mode"] == mode]
        found = steps.summary(of)
        if found:
            least, name, mean = found
            rows.append((f"{mode}, {len(of)} nets", f"{least:.2f} ({name})", f"{mean:.2f}"))
    found = steps.summary(results["imagenet"])
    if found:
        what = f"inference of one image, {len(results['imagenet'])} ImageNet networks"
        rows.append((what, f"{found[0]:.2f} ({found[1]})", f"{found[2]:.2f}"))
    return markdown(("PyTorch's better format / ours", "least", "geometric mean"), rows)


def nets(mode):
    def table(results):
        rows = []
        for r in results["nets"]:
            if r["mode"] == mode:
                theirs = [_ms(t) for t in r["torch_milliseconds"].values()] or ["-", "-"]
                speed = r["batch"] / r["milliseconds"] * 1e3
                rows.append(
                    (r["net"], r["batch"], _ms(r["milliseconds"]), f"{speed:.0f}", *theirs,
                     _ratio(steps.better(r)))
                )  # fmt: skip
        header = ("net", "batch", "ms", "images / s", "PyTorch contiguous, ms",
                  "channels_last, ms", "ratio")  # fmt: skip
        return markdown(header, rows)

    return table


def imagenet(results):
    """One line per network, one image: ms and ratio."""
    rows = []
    for r in results["imagenet"]:
        theirs = [_ms(t) for t in r["torch_milliseconds"].values()] or ["-", "-"]
        image = " x ".join(map(str, r["input"]))
        rows.append((r["net"], image, _ms(r["milliseconds"]), *theirs, _ratio(steps.better(r))))
    header = ("net", "image", "ms", "PyTorch contiguous, ms", "channels_last, ms", "ratio")
    return markdown(header, rows)


def _by_layer(results):
    layers = {}
    for row in results["conv"]["rows"]:
        layers.setdefault(row["layer"], {})[row["direction"]] = row
    return layers


def ladder(results):
    """One line per layer: ms, share of the peak and ratio in each direction."""
    peak, rows = results["conv"]["limits"]["peak"], []
    for name, of in _by_layer(results).items():
        first = next(iter(of.values()))
        cells = []
        for direction in conv.DIRECTIONS:
            if direction in of:
                f = conv.figures(of[direction], peak)
                star = "*" if first["of_images"] and direction == "input_gradient" else ""
                cells += [
                    _ms(f["milliseconds"]), f"{f['gflops']:.0f}", f"{100 * f['share']:.0f}",
                    _ratio(f["ratio"]) + star,
                ]  # fmt: skip
            else:
                cells += ["-"] * 4
        intensity = first["gflop"] / first["megabytes"] * 1e3
        rows.append((name, first["shape"], f"{first['megabytes']:.1f}", f"{intensity:.0f}", *cells))
    header = ["layer", "shape", "MB", "FLOP/B"]
    for short in ("y", "gx", "gw"):
        header += [f"{short}: ms", "GFLOP/s", "% peak", "ratio"]
    return markdown(header, rows)


def choices(results):
    """What the chooser takes, in bold, beside the other members and PyTorch, in ms."""
    members = list(dict.fromkeys(m for r in results["conv"]["rows"] for m in r["milliseconds"]))
    rows = []
    for r in results["conv"]["rows"]:
        times = []
        for member in members:
            time = r["milliseconds"].get(member)
            cell = "" if time is None else _ms(time)
            times.append(f"**{cell}**" if member == r["takes"] else cell)
        theirs = min(r["torch_milliseconds"].values(), default=None)
        rows.append(
            (r["layer"], r["shape"], r["direction"].replace("_", " "), r["takes"], *times,
             "-" if theirs is None else _ms(theirs))
        )  # fmt: skip
    return markdown(("layer", "shape", "direction", "takes", *members, "PyTorch"), rows)


def grown(results):
    rows = [(name, f"{value:.2f}") for name, value in growth.findings(results["growth"]).items()]
    return markdown(("what", "factor"), rows)


def start(results):
    rows = [(r["what"], f"{r['seconds']:.2f}") for r in results["start"]]
    return markdown(("what, as a whole process", "seconds"), rows)


def peaks(results):
    rows = []
    for r in results["memory"]:
        theirs = [r["torch_mebibytes"].get(f) for f in steps.FORMATS]
        cells = ["-" if t is None else f"{t:.0f}" for t in theirs]
        seconds = f" ({r['seconds']:.1f} s a step)" if "seconds" in r else ""
        rows.append(
            (r["net"] + seconds, r["batch"], f"{r['mebibytes']:.0f}", *cells,
             _ratio(memory.saving(r)))
        )  # fmt: skip
    header = ("net", "batch", "MiB", "PyTorch contiguous, MiB", "channels_last, MiB", "ratio")
    return markdown(header, rows)


def small_ops(results):
    """One line per op: microseconds and ratio."""
    rows = []
    for r in results["eager"]:
        ours, theirs = r["microseconds"], r["torch_microseconds"]
        cells = ["-", "-"] if theirs is None else [f"{theirs:.1f}", _ratio(theirs / ours)]
        rows.append((r["op"], f"`{r['text']}`", f"{ours:.1f}", *cells))
    return markdown(("op", "text", "us", "PyTorch, us", "ratio"), rows)


TABLES = {
    "machine": machine, "goals": goals, "training": nets("training"),
    "inference": nets("inference"), "imagenet": imagenet, "ladder": ladder, "choices": choices,
    "growth": grown, "start": start, "memory": peaks, "eager": small_ops,
}  # fmt: skip


def fill(text, results):
    """A page with its tables made anew."""
    return _MARKED.sub(lambda m: m[1] + TABLES[m[2]](results) + m[3], text)


def main():
    results = load()
    for page in PAGES:
        page.write_text(fill(page.read_text(), results))
        print(page.relative_to(ROOT), *_GIVEN.findall(page.read_text()))
    from benchmarks import plots  # matplotlib is an extra

    plots.main(results, ROOT / "docs" / "images")


if __name__ == "__main__":
    main()
