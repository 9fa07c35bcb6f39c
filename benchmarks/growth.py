"""How cost grows: with the batch, the image, the depth; and what a second thread gives."""

import tinyconv as tc
from benchmarks.steps import FORMATS, MODES, better, check, contestants, time_net
from benchmarks.timing import peer, ratio, table

#: curve -> [(where on the axis, class, its options, shape of a batch)]
CURVES = {
    "batch, ResNet-20": [
        (n, "CifarResNet", {"depth": 20}, (n, 3, 32, 32))
        for n in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    ],
    "batch, Inception small": [
        (n, "SmallInception", {}, (n, 1, 28, 28)) for n in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    ],
    "image, plain net": [
        (side, "PlainNet", {}, (16, 3, side, side)) for side in (16, 32, 48, 64, 96, 128, 224)
    ],
    "depth, ResNet": [
        (depth, "CifarResNet", {"depth": depth}, (32, 3, 32, 32))
        for depth in (8, 14, 20, 32, 44, 56, 110)
    ],
}
_THREADED = ("CifarResNet", {"depth": 20}, (128, 3, 32, 32))


def _rows(curve, at, cls, options, shape, torch, rounds):
    """A point of a curve: one row for training, one for inference."""
    runners = contestants(cls, options, shape, torch)
    check(runners)
    for mode in MODES:
        times = time_net(runners, mode, rounds)
        yield dict(curve=curve, mode=mode, at=at, batch=shape[0], **times)


def _thread_rows(torch, rounds, wanted):
    curve, before = "threads, ResNet-20", tc.get_num_threads()
    numbers = [n for n in (1, 2, 4, 8, 16) if n <= before and wanted(f"{curve} {n}")]
    try:
        for number in numbers:
            tc.set_num_threads(number)
            peer()  # as many for PyTorch
            yield from _rows(curve, number, *_THREADED, torch, rounds)
    finally:
        tc.set_num_threads(before)
        peer()


def run(rounds, wanted):
    """Print milliseconds per image; returns rows as dicts."""
    torch, rows = peer(), []
    for curve, points in CURVES.items():
        for at, *net in points:
            if wanted(f"{curve} {at}"):
                rows += _rows(curve, at, *net, torch, rounds)
    rows += _thread_rows(torch, rounds, wanted)
    for curve in dict.fromkeys(r["curve"] for r in rows):
        for mode in MODES:
            _print(
                f"{curve}, {mode}", [r for r in rows if (r["curve"], r["mode"]) == (curve, mode)]
            )
    for name, value in findings(rows).items():
        print(f"{name}: {value:.2f}")
    return rows


def per_image(row, contestant="ours"):
    """Milliseconds per image, of ours or of PyTorch's better format."""
    theirs = row["torch_milliseconds"].values()
    return (row["milliseconds"] if contestant == "ours" else min(theirs)) / row["batch"]


def findings(rows):
    """Most over least cost per image from batch 16 on, and speed-ups by threads."""
    result = {}
    curves = {}
    for row in rows:
        curves.setdefault((row["curve"], row["mode"]), []).append(row)
    for (curve, mode), of in curves.items():
        for who in ("ours", "PyTorch")[: 2 if of[0]["torch_milliseconds"] else 1]:
            costs = {r["at"]: per_image(r, who) for r in of}
            large = [cost for at, cost in costs.items() if at >= 16]
            if curve.startswith("batch") and len(large) > 1:
                name = f"{curve} 16 to {max(costs)}, {mode}, {who}: most over least per image"
                result[name] = max(large) / min(large)
            if curve.startswith("threads") and 1 in costs:
                for at in sorted(set(costs) - {1}):
                    result[f"{curve}, {mode}, {who}: speed by {at} over 1"] = costs[1] / costs[at]
    return result


def _print(title, rows):
    table(
        f"{title}: ms per image",
        ("at", "ours", *(f"torch {f}" for f in FORMATS if rows[0]["torch_milliseconds"]), "ratio"),
        [
            (r["at"], f"{per_image(r):.4f}",
             *(f"{t / r['batch']:.4f}" for t in r["torch_milliseconds"].values()),
             ratio(better(r), 1))
            for r in rows
        ],
    )  # fmt: skip
