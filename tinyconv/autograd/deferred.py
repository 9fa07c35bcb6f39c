"""Arrays that wait: so that the op which follows is done in the same pass over memory.

Inside a module's call a convolution or a batch norm may return a ``Later``. The graph is
recorded as ever, but the array of the op's result is computed when something first looks at
it; if that is an addition or a ReLU, it is computed together with it, in one kernel. So
``F.relu(self.bn(x) + shortcut)`` is one pass, and its graph is the one that is written there.

Nothing waits outside: what the outermost module's call leaves behind is computed as it ends,
and what waits is computed before any memory is written into.
"""

import weakref

from tinyconv import kernels
from tinyconv.autograd.modes import settle, state
from tinyconv.autograd.tensor import Tensor
from tinyconv.kernels.addition import copied


class Later:
    """An array to be, of known shape and dtype: ``compute`` makes it.

    ``shared`` tells that it is wanted in more than one place.
    """

    __slots__ = ("shape", "dtype", "shared", "known")

    def __init__(self, shape, dtype):
        self.shape, self.dtype = shape, dtype
        self.shared, self.known = False, None

    def compute(self):
        raise NotImplementedError

    def array(self):
        """The values, computed once."""
        if self.known is None:
            self.known = self.compute()
        return self.known

    def plus(self, other):
        """The sum with an array, as a ``Later``; None if it can not be had in one go."""

    def relu(self):
        """The array max(self, 0); None if it can not be had in one go."""

    def masked(self, y):
        """The array where y > 0 or NaN, else 0, as a ``Later``; None if that takes two passes."""


class Pass(Later):
    """A pass over memory, ``run(residual, relu)``: act(op + residual), act ReLU or nothing.

    ``fold(scale, shift)`` makes the ``Pass`` of op * scale + shift, numbers per channel, of it.
    """

    __slots__ = ("run", "residual", "fold")

    def __init__(self, run, shape, dtype, residual=None, fold=None):
        super().__init__(shape, dtype)
        self.run, self.residual, self.fold = run, residual, fold

    def compute(self):
        return self.run(self.residual, False)

    def plus(self, other):
        fits = other.shape == self.shape and other.dtype == self.dtype
        if fits and self.residual is None and self.known is None:
            return Pass(self.run, self.shape, self.dtype, other)
        return None

    def relu(self):
        return self.run(self.residual, True) if self.known is None else None


class Part(Later):
    """A piece of a larger array, to be had in C order; ``view`` is it where it lies."""

    __slots__ = ("view",)

    def __init__(self, view):
        super().__init__(view.shape, view.dtype)
        self.view = view

    def compute(self):
        return copied(self.view)

    def sums(self):
        """The sums over all axes but the second, from the same pass over memory."""
        self.known, sums = kernels.sums.copied_sums(self.view)
        return sums


class Deferred(Tensor):
    """A tensor whose array waits. At the first look at that it becomes a plain Tensor."""

    __slots__ = ()

    def __getattr__(self, name):
        if name != "array":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self.array = array = self._later.array()
        self.__class__ = Tensor
        self._later = None  # which holds the op's inputs
        return array

    # without a look at the array (None: another thread has just looked)
    @property
    def shape(self):
        return (self._later or self.array).shape

    @property
    def dtype(self):
        return (self._later or self.array).dtype

    @property
    def ndim(self):
        return len(self.shape)


def may_wait(dtype):
    """Whether an op may return a ``Later`` here."""
    return state.inside and state.detector is None and dtype.kind == "f"


def leaves_no_trace(*tensors):
    """Whether an op on these (or None) is not recorded, watched or kept for a checkpoint: then it
    needs no node."""
    if state.detector is not None or state.saver is not None:
        return False
    return not state.grad_enabled or not any([t is not None and t._requires_grad for t in tensors])


def defer(later):
    """The tensor on an array that waits."""
    tensor = Deferred.__new__(Deferred)
    tensor._init(None)
    del tensor.array
    tensor._later = later
    waiting = state.waiting
    if len(waiting) >= 64:
        waiting[:] = [ref for ref in waiting if type(ref()) is Deferred]
    waiting.append(weakref.ref(tensor))
    return tensor


class fusion:
    """Allow or forbid that ops wait for each other to be computed in one pass over memory.

    It changes results by rounding alone. By default it is allowed inside the call of a Module;
    in the block of ``fusion(True)`` also outside, and in that of ``fusion(False)`` nowhere.

    >>> import tinyconv as tc
    >>> layers = tc.nn.Sequential(tc.nn.Conv2d(1, 2, 3), tc.nn.ReLU())
    >>> x = tc.randn(4, 1, 8, 8)
    >>> with tc.autograd.fusion(False):
    ...     y = layers(x)
    >>> tc.allclose(y, layers(x), atol=1e-6)
    True
    """

    def __init__(self, enabled=True):
        self.enabled = bool(enabled)
        self._previous = []

    def __enter__(self):
        if not self.enabled:
            settle()
        self._previous.append((state.fusion, state.inside))
        state.fusion = state.inside = self.enabled
        return self

    def __exit__(self, *exc):
        state.fusion, state.inside = self._previous.pop()
        if not state.inside:
            settle()
