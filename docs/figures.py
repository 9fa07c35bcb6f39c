"""Draw the figures of docs/gradcheck.md and docs/networks.md again:
``python docs/figures.py [FOLDER]``."""

import sys
from pathlib import Path

import numpy as np

from tinyconv import models, nn, viz
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


def inception():
    block = models.Inception(192, 64, 96, 128, 16, 32, 32)
    return models.summary(block, (192, 28, 28))


def resnet50():
    with nn.init.skip_init():
        return models.summary(models.resnet50(), (3, 224, 224), depth=2)


#: file -> what draws it
FIGURES = {
    "gradcheck_steps.png": viz.step_curves,
    "gradcheck_map.png": error_map,
}
#: file -> whose graph it shows
GRAPHS = {"networks_inception.svg": inception, "networks_resnet50.svg": resnet50}


def main(folder=IMAGES):
    for name, draw in FIGURES.items():
        (Path(folder) / name).write_bytes(viz.png(draw()))
        print(Path(folder) / name)
    for name, summarise in GRAPHS.items():
        summarise().save(Path(folder) / name)
        print(Path(folder) / name)


if __name__ == "__main__":
    main(*sys.argv[1:])
