"""How tensors print."""

from typing import Any

import numpy as np

from tinyconv.autograd import Tensor, get_default_dtype

_USUAL: dict[str, Any] = dict(precision=4, threshold=1000, edgeitems=3, linewidth=80, sci_mode=None)
_PROFILES = {
    "default": _USUAL,
    "short": dict(_USUAL, precision=2, edgeitems=2),
    "full": dict(_USUAL, threshold=np.inf),
}
_options = dict(_USUAL)
_BEGIN = "tensor("


def set_printoptions(
    precision=None, threshold=None, edgeitems=None, linewidth=None, profile=None, sci_mode=None
) -> None:
    """Set how tensors print.

    Args:
        precision: digits after the point (4).
        threshold: elements from which on only the edges are shown (1000).
        edgeitems: how many of them at each edge (3).
        linewidth: characters in a line (80).
        profile: ``'default'``, ``'short'`` or ``'full'``, which all the others then start from.
        sci_mode: whether numbers have exponents (default: as they need it).

    >>> import tinyconv as tc
    >>> tc.set_printoptions(precision=2); tc.tensor([0.5, 1 / 3])
    tensor([0.50, 0.33])
    >>> tc.set_printoptions(profile="default")
    """
    given = dict(precision=precision, threshold=threshold, edgeitems=edgeitems, linewidth=linewidth)
    given = {name: value for name, value in given.items() if value is not None}
    for name, value in given.items():
        whole = isinstance(value, (int, np.integer)) or (name == "threshold" and value == np.inf)
        if not whole or value < 0:
            raise TypeError(f"set_printoptions: {name}={value!r} must be a whole number from 0 on")
    if profile is not None:
        if profile not in _PROFILES:
            raise ValueError(f"set_printoptions: profile={profile!r}; wants one of {[*_PROFILES]}")
        _options.update(_PROFILES[profile])
    _options.update(given)
    _options["sci_mode"] = sci_mode


def text(tensor: Tensor) -> str:
    """What ``repr`` gives."""
    array = tensor.array
    notes = []
    if array.size:
        shortened = array.size > _options["threshold"]
        shown = _edges(array) if shortened else array
        body = _block(array, _formatter(shown), len(_BEGIN), shortened)
        usual = [get_default_dtype(), np.dtype(np.int64), np.dtype(np.bool_)]
    else:
        body, usual = "[]", [get_default_dtype()]
        if array.ndim != 1:
            notes.append(f"size={array.shape}")
    if array.dtype not in usual:
        notes.append(f"dtype={array.dtype}")
    if tensor.grad_fn is not None:
        notes.append(f"grad_fn={tensor.grad_fn}")
    elif tensor.requires_grad:
        notes.append("requires_grad=True")
    result, length = _BEGIN + body, len(body) - body.rfind("\n") + 1
    for note in notes:
        if length + len(note) + 2 > _options["linewidth"]:
            result += f",\n{' ' * len(_BEGIN)}{note}"
            length = len(_BEGIN) + len(note)
        else:
            result += f", {note}"
            length += len(note) + 2
    return result + ")"


def _edges(array):
    """The elements of a long array that are shown."""
    edge = _options["edgeitems"]
    for axis, n in enumerate(array.shape):
        if n > 2 * edge:
            array = np.take(array, [*range(edge), *range(n - edge, n)], axis)
    return array


def _block(array, form, indent, shortened):
    """The nested brackets around an array, whose first one stands behind ``indent`` characters."""
    if array.ndim == 0:
        return form(array.item())
    edge = _options["edgeitems"]
    cut = shortened and len(array) > 2 * edge
    parts = [*array[:edge], None, *array[-edge:]] if cut else list(array)
    if array.ndim > 1:
        lines = ["..." if p is None else _block(p, form, indent + 1, shortened) for p in parts]
        return "[" + f",{chr(10) * (array.ndim - 1)}{' ' * (indent + 1)}".join(lines) + "]"
    words = [" ..." if p is None else form(p.item()) for p in parts]
    width = max((len(w) for w in words if w != " ..."), default=0) + 2
    each = max(1, (_options["linewidth"] - indent) // width)
    lines = [", ".join(words[i : i + each]) for i in range(0, len(words), each)]
    return "[" + f",\n{' ' * (indent + 1)}".join(lines) + "]"


def _formatter(array):
    """The function that writes one number, all in one width, so that columns stand straight."""
    if array.dtype.kind != "f":
        width = max(len(str(v)) for v in array.ravel().tolist())
        return lambda v: str(v).rjust(width)
    digits, sci = _options["precision"], _options["sci_mode"]
    values = array[np.isfinite(array) & (array != 0)].astype(np.float64)
    sizes = np.abs(values)
    large, small = sizes.max(initial=0), sizes.min(initial=np.inf)
    whole = bool((values == np.floor(values)).all())
    if sci is None:
        sci = bool(values.size) and (
            large > 1000 * small or large > 1e8 or (not whole and small < 1e-4)
        )
    form = f"{{:.{digits}e}}" if sci else "{:.0f}." if whole else f"{{:.{digits}f}}"
    width = max((len(form.format(v)) for v in values), default=1)

    def write(v):
        return (form.format(v) if np.isfinite(v) else str(v)).rjust(width)

    return write
