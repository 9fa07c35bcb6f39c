"""A value of PyTorch's rebuilt for torch or tinyconv, and two results compared."""

import types

import numpy as np
import torch

import tinyconv as tc

#: relative to the largest value
TOLERANCE = {"float64": 1e-9, "float32": 2e-5}
#: a largest value below this counts as this
FLOOR = 0.1
#: arguments of PyTorch's that say how a result lies in memory
MEMORY = ("memory_format", "layout", "pin_memory")


class OutOfScope(Exception):
    """A sample of what tinyconv does not have by design: complex, half, sparse, devices, out=."""


def swapped(function, T):
    """``function`` with ``T`` in the place of torch."""
    names = dict(function.__globals__, wrapper_set_seed=lambda f, *a, **k: f(*a, **k))
    names |= {"torch": T, "F": T.nn.functional}
    return types.FunctionType(
        function.__code__, names, None, function.__defaults__, function.__closure__
    )


def is_absent(error):
    """A function or method that tinyconv does not have."""
    owner = getattr(error, "obj", None)
    return isinstance(error, AttributeError) and (
        isinstance(owner, tc.Tensor)
        or owner is tc.Tensor
        or (isinstance(owner, types.ModuleType) and owner.__name__.startswith("tinyconv"))
    )


def flat(value, kind):
    """The tensors in nested tuples, lists and dicts."""
    if isinstance(value, kind):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (tuple, list)):
        return [t for v in value for t in flat(v, kind)]
    return []


# -- the sample in both worlds ------------------------------------------------------------------
def copied(array):
    """A copy with the same strides, overlaps included."""
    if array.size == 0:
        return np.empty_like(array)
    span = sum((n - 1) * s for n, s in zip(array.shape, array.strides, strict=True))
    step = array.itemsize
    memory = np.lib.stride_tricks.as_strided(array, (span // step + 1,), (step,)).copy()
    return np.lib.stride_tricks.as_strided(memory, array.shape, array.strides)


class Builder:
    """Rebuilds the arguments of a sample for ``T`` and remembers the tensors in order.

    ``double`` makes float64 of float32: then the result is what float32 should come to.
    ``backward`` lays the same values out from the last to the first; what asks for a gradient
    is read-only.
    """

    def __init__(self, T, double=False, backward=False):
        self.T, self.double, self.backward = T, double, backward
        self.tensors, self._known = [], {}

    def __call__(self, value):
        T = self.T
        if isinstance(value, torch.Tensor):
            if id(value) not in self._known:
                self._known[id(value)] = self.tensor(value)
                self.tensors.append(self._known[id(value)])
            return self._known[id(value)]
        if isinstance(value, torch.Size):
            return T.Size(value) if hasattr(T, "Size") else tuple(value)
        if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
            return type(value)(map(self, value))
        if isinstance(value, slice):
            return slice(self(value.start), self(value.stop), self(value.step))
        if isinstance(value, dict):
            return {k: self(v) for k, v in value.items() if k not in MEMORY}
        if isinstance(value, complex):
            raise OutOfScope("complex")
        if T is torch:
            return torch.float64 if self.double and value is torch.float32 else value
        if isinstance(value, torch.dtype):
            return dtype_of(value)
        if isinstance(value, torch.device):
            if value.type != "cpu":
                raise OutOfScope(f"device {value}")
            return tc.device("cpu")
        if isinstance(value, (torch.memory_format, torch.layout)):
            raise OutOfScope(str(value))
        if isinstance(value, torch.nn.Module):
            return module(value)
        if isinstance(value, types.FunctionType):
            return swapped(value, tc)
        return value

    def tensor(self, value):
        check_scope([value])
        array = copied(value.detach().numpy())
        if self.double and array.dtype == np.float32:
            array = array.astype(np.float64)
        if self.backward:
            array = np.flip(np.flip(array).copy())[...]
            array.flags.writeable = not value.requires_grad
        tensor = self.T.from_numpy(array)
        return tensor.requires_grad_() if value.requires_grad else tensor


def check_scope(tensors):
    """Raise OutOfScope for what a tensor of tinyconv can not be."""
    for tensor in tensors:
        dtype_of(tensor.dtype)
        if tensor.layout != torch.strided or tensor.device.type != "cpu":
            raise OutOfScope("sparse or device")
        if tensor.ndim > 64:
            raise OutOfScope("more than the 64 dimensions of NumPy")


def dtype_of(dtype):
    """tinyconv's dtype of that name."""
    name = str(dtype).removeprefix("torch.")
    if name not in "float32 float64 bool uint8 int8 int16 int32 int64".split():
        raise OutOfScope(name)
    return np.dtype(name)


def module(value):
    """tinyconv's module for a distance that a sample hands over."""
    if not isinstance(value, torch.nn.PairwiseDistance):
        raise OutOfScope(type(value).__name__)
    return tc.nn.PairwiseDistance(value.norm, value.eps, value.keepdim)


def describe(value):
    """float64[2, 3] for tensors, the rest as it is."""
    if isinstance(value, torch.Tensor):
        text = f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
        if value.numel() == 1 and value.ndim == 0:
            text += f"={value.item():.6g}"
        return text if value.is_contiguous() else f"{text} strides {value.stride()}"
    if isinstance(value, (list, tuple)):
        inside = ", ".join(map(describe, value))
        return f"[{inside}]" if isinstance(value, list) else f"({inside})"
    if isinstance(value, dict):
        return ", ".join(f"{k}={describe(v)}" for k, v in value.items())
    return repr(value)


# -- comparing ----------------------------------------------------------------------------------
class Differs(Exception):
    """What tinyconv gave is not what PyTorch gave."""


def compare(ours, theirs, what="output", values=True):
    """Raise Differs unless both are alike in structure, shapes, dtypes and values."""
    if isinstance(theirs, torch.Tensor):
        if not isinstance(ours, tc.Tensor):
            raise Differs(f"{what}: {type(ours).__name__} instead of a tensor")
        dtype = dtype_of(theirs.dtype)
        if tuple(ours.shape) != tuple(theirs.shape):
            raise Differs(f"{what}: shape {tuple(ours.shape)}, torch {tuple(theirs.shape)}")
        if ours.dtype != dtype:
            raise Differs(f"{what}: dtype {ours.dtype}, torch {dtype}")
        if values:
            close(ours.detach().numpy(), theirs.numpy(force=True), what)
    elif isinstance(theirs, (tuple, list)):
        if not isinstance(ours, (tuple, list)) or len(ours) != len(theirs):
            raise Differs(f"{what}: {shape_of(ours)}, torch {shape_of(theirs)}")
        fields = (
            getattr(type(theirs), "__match_args__", None) if type(theirs) is not tuple else None
        )
        if fields and getattr(ours, "_fields", None) != fields:
            raise Differs(f"{what}: {shape_of(ours)} instead of a named tuple of {fields}")
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            compare(a, b, f"{what}[{i}]", values)
    elif isinstance(theirs, torch.dtype):
        if ours != dtype_of(theirs):
            raise Differs(f"{what}: {ours}, torch {theirs}")
    elif isinstance(theirs, (bool, int, float)):
        if type(ours) is not type(theirs):
            raise Differs(f"{what}: {ours!r}, torch {theirs!r}")
        if values:
            close(np.asarray(ours), np.asarray(theirs), what)
    elif ours != theirs:
        raise Differs(f"{what}: {ours!r}, torch {theirs!r}")


def shape_of(value):
    size = f" of {len(value)}" if isinstance(value, (tuple, list)) else ""
    return type(value).__name__ + size


def close(ours, theirs, what):
    """Integers equal; floats to a part of the largest value; NaN and infinities in their places."""
    if theirs.dtype.kind != "f":
        equal = ours == theirs
    else:
        tolerance = TOLERANCE[theirs.dtype.name]
        largest = np.abs(theirs[np.isfinite(theirs)]).max(initial=0)
        with np.errstate(all="ignore"):
            equal = np.abs(ours - theirs) <= tolerance * max(largest, FLOOR)
            equal |= (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    if not np.all(equal):
        place = tuple(int(i) for i in np.argwhere(~np.atleast_1d(equal))[0])
        a, b = (np.atleast_1d(v)[place].item() for v in (ours, theirs))
        raise Differs(f"{what}{list(place)}: {a!r}, torch {b!r} ({(~equal).sum()} of {equal.size})")


def no_worse(ours, theirs, exact):
    """Whether float32 strays from float64 hardly more here than in PyTorch."""
    compare(ours, theirs, values=False)
    triples = zip(flat(ours, tc.Tensor), flat(theirs, torch.Tensor), flat(exact, torch.Tensor))
    for a, b, truth in triples:
        a, b, truth = a.detach().numpy(), b.numpy(force=True), truth.numpy(force=True)
        if b.dtype.kind != "f":
            if not np.array_equal(a, b):
                return False
            continue
        places = np.isfinite(truth) & np.isfinite(b)
        if not np.array_equal(a[~places], b[~places], equal_nan=True):
            return False
        largest = np.abs(truth[places]).max(initial=FLOOR)
        stray = np.abs(b - truth)[places].max(initial=TOLERANCE["float32"] * largest)
        if not np.all(np.abs(a - truth)[places] <= 4 * stray):
            return False
    return True
