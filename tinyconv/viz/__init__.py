"""Pictures. Matplotlib is imported when one is drawn; without it, ``MissingMatplotlib``."""

from tinyconv.viz.curves import curves
from tinyconv.viz.gradients import error_map, step_curves
from tinyconv.viz.mistakes import mistakes
from tinyconv.viz.style import MissingMatplotlib, png

__all__ = ["MissingMatplotlib", "curves", "error_map", "mistakes", "png", "step_curves"]
