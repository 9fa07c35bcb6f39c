"""Draw the figures of docs/gradcheck.md again: ``python docs/figures.py [FOLDER]``."""

import sys
from pathlib import Path

import numpy as np

from tinyconv import viz
from tinyconv.kernels import Window, conv
from tinyconv.testing import check_vjp

IMAGES = Path(__file__).parent / "images"
WINDOW = Window.of((2, 3), padding=1, dilation=(2, 1))


def convolution(x, w):
    return conv.forward(x, w, None, WINDOW, 1)


def two_mistakes(gy, x, w):
    """Forgets the first row of the image, and gives the weight 0.1 % too much."""
    gx = conv.input_gradient(gy, w, WINDOW, 1, x.shape[2:])
    gx[:, :, 0] = 0
    return gx, 1.001 * conv.weight_gradient(gy, x, WINDOW, 1)


def error_map():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(1, 2, 5, 4)), rng.normal(size=(2, 2, 2, 3))
    report = check_vjp(convolution, two_mistakes, (x, w), seed=0)
    return viz.error_map(report, "a convolution whose backward makes two mistakes")


#: file -> what draws it
FIGURES = {
    "gradcheck_steps.png": viz.step_curves,
    "gradcheck_map.png": error_map,
}


def main(folder=IMAGES):
    for name, draw in FIGURES.items():
        (Path(folder) / name).write_bytes(viz.png(draw()))
        print(Path(folder) / name)


if __name__ == "__main__":
    main(*sys.argv[1:])
