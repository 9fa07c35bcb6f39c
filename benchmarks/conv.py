"""The ladder: each member of the convolution family on shapes of real networks, in all three
directions, against PyTorch's two memory formats. Results are checked before they are timed.
"""

import numpy as np

from benchmarks.timing import interleaved, peer, ratio, table
from tinyconv import kernels

#: (network and layer, N, C, H = W, O, k, stride, padding)
SHAPES = [
    ("LeNet-5 conv1", 64, 1, 28, 6, 5, 1, 2),
    ("LeNet-5 conv2", 64, 6, 14, 16, 5, 1, 0),
    ("Inception small conv1", 64, 1, 28, 10, 5, 1, 0),
    ("Inception small 1x1", 64, 10, 12, 16, 1, 1, 0),
    ("Inception small 5x5", 64, 16, 12, 24, 5, 1, 2),
    ("Inception small 3x3", 64, 24, 12, 24, 3, 1, 1),
    ("Inception small conv2", 64, 88, 12, 20, 5, 1, 0),
    ("ResNet-20 stage 1", 128, 16, 32, 16, 3, 1, 1),
    ("ResNet-20 stage 2, stride", 128, 16, 32, 32, 3, 2, 1),
    ("ResNet-20 stage 2", 128, 32, 16, 32, 3, 1, 1),
    ("ResNet-20 stage 3", 128, 64, 8, 64, 3, 1, 1),
]
DIRECTIONS = ("forward", "input_gradient", "weight_gradient")


def _calls(x, w, gy, window):
    image = x.shape[2:]
    return (
        lambda: kernels.conv.forward(x, w, None, window, 1),
        lambda: kernels.conv.input_gradient(gy, w, window, 1, image),
        lambda: kernels.conv.weight_gradient(gy, x, window, 1),
    )


def _torch_calls(torch, x, w, gy, stride, padding, memory_format):
    X, W, G = (torch.from_numpy(a).to(memory_format=memory_format) for a in (x, w, gy))
    back = torch.ops.aten.convolution_backward
    rest = ([stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1)
    return (
        lambda: torch.nn.functional.conv2d(X, W, None, stride, padding),
        lambda: back(G, X, W, None, *rest, [True, False, False]),
        lambda: back(G, X, W, None, *rest, [False, True, False]),
    )


def _check(x, w, gy, window):
    """im2col against the naive loops, on two images in float64."""
    x, w, gy = (a.astype(np.float64) for a in (x[:2], w, gy[:2]))
    ours = [call() for call in _calls(x, w, gy, window)]
    with kernels.conv_algorithm("naive"):
        for result, call in zip(ours, _calls(x, w, gy, window)):
            np.testing.assert_allclose(result, call(), rtol=1e-9, atol=1e-9)


def run(rounds=9):
    """Print the ladder; returns its rows as dicts."""
    torch = peer()
    rng = np.random.default_rng(0)
    results = []
    for name, N, C, H, O, k, stride, padding in SHAPES:
        window = kernels.Window.of(k, stride, padding)
        x = rng.standard_normal((N, C, H, H)).astype(np.float32)
        w = rng.standard_normal((O, C, k, k)).astype(np.float32)
        gy = rng.standard_normal((N, O, *window.output_shape(H, H))).astype(np.float32)
        _check(x, w, gy, window)
        gflop = 2 * gy.size * C * k * k / 1e9
        rivals = []
        if torch is not None:
            formats = torch.contiguous_format, torch.channels_last
            rivals = [_torch_calls(torch, x, w, gy, stride, padding, f) for f in formats]
        for i, (direction, ours) in enumerate(zip(DIRECTIONS, _calls(x, w, gy, window))):
            seconds, *others = interleaved([ours, *(calls[i] for calls in rivals)], rounds)
            results.append(
                dict(
                    shape=name, direction=direction, milliseconds=seconds * 1e3,
                    gflops=gflop / seconds, torch_milliseconds=[t * 1e3 for t in others],
                )
            )  # fmt: skip
    table(
        "convolution (im2col): PyTorch's better format / ours; above 1 we are faster",
        ("shape", "direction", "ms", "GFLOP/s", "ratio"),
        [
            (
                r["shape"], r["direction"], f"{r['milliseconds']:.2f}", f"{r['gflops']:.0f}",
                ratio(min(r["torch_milliseconds"], default=None), r["milliseconds"]),
            )
            for r in results
        ],
    )  # fmt: skip
    return results
