"""detect_anomaly: where did the first NaN come from?"""

import contextlib
import os
import traceback

import numpy as np

from tinyconv.autograd.modes import state
from tinyconv.autograd.tensor import Tensor

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class set_detect_anomaly:
    """Turn ``detect_anomaly`` on or off by a flag: at once, or for a ``with`` block.

    >>> import tinyconv as tc
    >>> with tc.autograd.set_detect_anomaly(True):
    ...     tc.is_anomaly_enabled()
    True
    >>> tc.is_anomaly_enabled()
    False
    """

    def __init__(self, mode, check_nan=True, check_inf=False):
        self._previous = state.detector
        watches = mode and (check_nan or check_inf)
        state.detector = Detector(check_nan, check_inf) if watches else None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        state.detector = self._previous


def is_anomaly_enabled() -> bool:
    """Whether ``detect_anomaly`` is on in this thread."""
    return state.detector is not None


@contextlib.contextmanager
def detect_anomaly(check_nan=True, check_inf=False):
    """Raise at the first op whose result holds a NaN, forward or backward.

    The message names the op, the path of the module that it ran in, the line of your
    code that built it, and the range of its inputs. It tells the op that *made* the NaN
    from those that pass on one they were given.

    Args:
        check_nan: look for NaN (default True).
        check_inf: look for infinities as well (default False).

    Raises:
        RuntimeError: inside the block, at the first anomaly.

    >>> import tinyconv as tc
    >>> x = tc.tensor([-1.0], requires_grad=True)
    >>> with tc.autograd.detect_anomaly():
    ...     x.log()                                    # doctest: +ELLIPSIS
    Traceback (most recent call last):
    RuntimeError: Log made 1 NaN of 1 values in forward...
    """
    with set_detect_anomaly(True, check_nan, check_inf):
        yield


class Detector:
    """Watches every op of a thread while ``detect_anomaly`` is on."""

    def __init__(self, check_nan, check_inf):
        self.check_nan, self.check_inf = check_nan, check_inf
        #: names of the modules being called, outermost first (kept by ``nn.Module``)
        self.modules = []

    def forward(self, node, arrays, options):
        node.origin = self._origin()
        with np.errstate(all="ignore"):
            results = type(node).forward(node, *arrays, **options)
        self._check(node, results, arrays, "forward")
        return results

    def backward(self, node, grads):
        # the ops that this backward is made of are not watched: it is the recorded op that
        # the reader knows
        state.detector = None
        try:
            with np.errstate(all="ignore"):
                results = type(node).backward(node, *grads)
        finally:
            state.detector = self
        self._check(node, results, [g for g in grads if g is not None], "backward")
        return results

    def _check(self, node, results, inputs, direction):
        for result in results if isinstance(results, tuple) else (results,):
            bad = self._bad(result)
            if not bad:
                continue
            raise RuntimeError(
                f"{node.name} {self._verb(inputs)} {bad} of {_array(result).size} values in "
                f"{direction}, built {node.origin or 'outside detect_anomaly'}. Its inputs: "
                + "; ".join(_describe(x) for x in inputs if _is_array(x))
            )

    def _verb(self, inputs):
        return "passed on" if any(self._bad(x) for x in inputs) else "made"

    def _bad(self, value):
        """'3 NaN', '1 infinite' or an empty string."""
        if not _is_array(value) or _array(value).dtype.kind not in "fc":
            return ""
        array = _array(value)
        nan = int(np.isnan(array).sum()) if self.check_nan else 0
        infinite = int(np.isinf(array).sum()) if self.check_inf else 0
        return f"{nan} NaN" if nan else f"{infinite} infinite" if infinite else ""

    def _origin(self):
        frames = traceback.extract_stack()
        mine = [f for f in frames if not f.filename.startswith(_PACKAGE + os.sep)]
        frame = mine[-1] if mine else frames[0]
        where = f"at {os.path.basename(frame.filename)}:{frame.lineno} ({frame.line})"
        return (f"in {'.'.join(map(str, self.modules))} " if self.modules else "") + where


def _is_array(value):
    return isinstance(value, (np.ndarray, Tensor))


def _array(value):
    return value.array if isinstance(value, Tensor) else value


def _describe(value):
    array = _array(value)
    text = f"{list(array.shape)} {array.dtype}"
    if array.dtype.kind != "f" or not array.size:
        return text
    finite = array[np.isfinite(array)]
    if finite.size:
        text += f" in [{finite.min():.4g}, {finite.max():.4g}], mean {finite.mean():.4g}"
    if finite.size < array.size:
        text += f", {array.size - finite.size} not finite"
    return text
