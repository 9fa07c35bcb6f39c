"""What all pictures share: colours that the colour-blind can tell apart, sizes, the canvas."""

import io

#: Okabe and Ito, Color Universal Design, 2008: blue, vermilion, and a grey for the rest
TRAIN, TEST, GREY = "#0072B2", "#D55E00", "#555555"

_STYLE = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.linewidth": 2,
}


class MissingMatplotlib(ImportError):
    """Matplotlib is not installed; the message says how to get it."""


def figure(draw, width, height):
    """A Matplotlib ``Figure`` of so many inches, filled by ``draw(figure)``.

    It belongs to no window and to no global list, so it is freed like any object.

    Raises:
        MissingMatplotlib: with what to install.
    """
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingMatplotlib(
            "pictures are drawn with Matplotlib, which is not here: install tinyconv[plot]"
        ) from error
    with matplotlib.rc_context(_STYLE):
        result = Figure(figsize=(width, height), dpi=120, layout="constrained")
        FigureCanvasAgg(result)
        draw(result)
        result.canvas.draw()  # lay it out while the style holds
    return result


def png(fig):
    """The bytes of a figure as a PNG file.

    >>> from tinyconv.viz import curves, png
    >>> record = {"epoch": 1, "train_loss": 2.0, "train_accuracy": 0.5}
    >>> png(curves([record]))[1:4]
    b'PNG'
    """
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png")
    return buffer.getvalue()
