"""The images that a network got most wrong."""

import numpy as np

from tinyconv.viz.style import GREY, TEST, figure


def mistakes(images, labels, probabilities, classes=None, most=24, title=""):
    """Draw the hardest mistakes: those whose right class got the least probability.

    Above each image stands what the network said and how sure it was, below what is right.

    Args:
        images: array (N, C, H, W), C 1 or 3; bytes, or floats of any range.
        labels: integers (N,).
        probabilities: array (N, classes).
        classes: names of the classes (default: their numbers).
        most: how many to show at most (default 24).
        title: a line above; default: how many of how many are wrong.

    Returns:
        a ``matplotlib.figure.Figure``; without a mistake it says so.

    Raises:
        MissingMatplotlib: with what to install.
        ValueError: for shapes that do not fit together.

    >>> import numpy as np
    >>> from tinyconv.viz import mistakes
    >>> images = np.zeros((2, 1, 4, 4), np.uint8)
    >>> fig = mistakes(images, [0, 1], np.array([[0.9, 0.1], [0.8, 0.2]]))
    >>> print(fig.get_suptitle())
    1 of 2 held-out images is wrong
    above: what the net said and how sure it was; below: what it is
    """
    images, labels = np.asarray(images), np.asarray(labels)
    probabilities = np.asarray(probabilities)
    if images.ndim != 4 or len(labels) != len(images) or len(probabilities) != len(images):
        raise ValueError(
            f"mistakes: images {images.shape}, labels {labels.shape} and probabilities "
            f"{probabilities.shape} must be (N, C, H, W), (N,) and (N, classes)"
        )
    predicted = probabilities.argmax(1)
    right_share = probabilities[np.arange(len(labels)), labels]
    wrong = np.flatnonzero(predicted != labels)
    shown = wrong[np.argsort(right_share[wrong], kind="stable")][:most]
    classes = range(probabilities.shape[1]) if not classes else classes
    title = title or _count(len(wrong), len(images), len(shown))

    def draw(fig):
        fig.suptitle(title, x=0.01, ha="left", fontsize=13)
        if not len(shown):
            axes = fig.add_subplot()
            axes.axis("off")
            axes.text(0.5, 0.5, "No mistakes.", ha="center", va="center", fontsize=20, color=GREY)
            return
        columns = min(len(shown), 6)
        grid = fig.subplots(-(-len(shown) // columns), columns, squeeze=False).ravel()
        for axes in grid:
            axes.axis("off")
        for axes, i in zip(grid, shown):
            _show(axes, images[i])
            said, sure = classes[predicted[i]], probabilities[i, predicted[i]]
            axes.set_title(
                f"{said} ({100 * sure:.0f} %)", color=TEST, fontsize=10, loc="center", pad=4
            )
            axes.text(
                0.5, -0.05, f"is {classes[labels[i]]}", transform=axes.transAxes,
                ha="center", va="top", fontsize=10,
            )  # fmt: skip

    rows = max(1, -(-len(shown) // 6))
    return figure(draw, 9.6, 0.8 + 1.95 * rows)


def _count(wrong, total, shown):
    text = f"{wrong:,} of {total:,} held-out images {'is' if wrong == 1 else 'are'} wrong"
    if shown < wrong:
        text += f", here are the {shown} hardest"
    if not shown:
        return text
    return text + "\nabove: what the net said and how sure it was; below: what it is"


def _show(axes, image):
    if image.dtype != np.uint8:  # normalised: any range
        low, high = float(image.min()), float(image.max())
        image = (image - low) / (high - low if high > low else 1.0)
    if image.shape[0] == 3:
        axes.imshow(image.transpose(1, 2, 0), interpolation="nearest")
    else:
        axes.imshow(image[0], cmap="gray", interpolation="nearest")
