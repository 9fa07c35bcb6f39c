"""Pictures. Matplotlib is imported when one is drawn; without it, ``MissingMatplotlib``."""

from tinyconv.viz.curves import curves
from tinyconv.viz.mistakes import mistakes
from tinyconv.viz.style import MissingMatplotlib, png

__all__ = ["MissingMatplotlib", "curves", "mistakes", "png"]
