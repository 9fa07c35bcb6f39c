"""The switches of the engine, one set per thread.

Every reader asks ``state.grad_enabled`` by attribute, so a switch thrown here is
seen everywhere at once; every switch is put back in ``finally``.
"""

import contextlib
import functools
import inspect
import threading


class _State(threading.local):
    grad_enabled = True
    #: an ``anomaly.Detector`` while ``detect_anomaly`` is on
    detector = None
    #: replaces ``save_for_backward``'s storage while ``checkpoint`` runs
    saver = None
    #: True while ``checkpoint`` runs a segment again: side effects
    #: (running statistics) have happened already and must not happen twice
    recomputing = False
    #: what ops draw from in place of the common generator while ``checkpoint`` runs
    generator = None
    #: True while complex-step derivatives are taken: only then may tensors be complex128
    complex_step = False
    #: whether arrays may wait for the op that follows, and whether they may right here
    fusion, inside = True, False

    def __init__(self):
        #: weak references to the tensors whose arrays wait (``deferred``)
        self.waiting = []


state = _State()


def settle():
    """Compute all that waits in this thread: called before any memory is written into."""
    if state.waiting:
        waiting, state.waiting = state.waiting, []
        for ref in waiting:
            tensor = ref()
            if tensor is not None:
                tensor.array  # noqa: B018 (the look is what computes it)


def get_rng_state():
    """The state of the generator that ops draw from; ``tinyconv.ops.random`` fills this in."""


def set_rng_state(state):
    """Set that generator back; ``tinyconv.ops.random`` fills this in."""


def fork_generator(state):
    """A new generator with the state; ``tinyconv.ops.random`` fills this in."""


class _GradMode:
    """A context manager and decorator that sets ``state.grad_enabled``."""

    mode = True

    def __new__(cls, orig_func=None):
        self = super().__new__(cls)
        self._previous = []
        # ``@no_grad`` without brackets decorates, as in PyTorch
        return self(orig_func) if callable(orig_func) else self

    def __enter__(self):
        self._previous.append(state.grad_enabled)
        state.grad_enabled = self.mode
        return self

    def __exit__(self, *exc):
        state.grad_enabled = self._previous.pop()

    def __call__(self, function):
        mode = self.mode
        if inspect.isgeneratorfunction(function):
            return _each_step_in(mode, function)

        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            previous, state.grad_enabled = state.grad_enabled, mode
            try:
                return function(*args, **kwargs)
            finally:
                state.grad_enabled = previous

        return wrapped


def _each_step_in(mode, function):
    """A generator runs in pieces: the mode holds while it runs, not while it waits."""

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        generator = function(*args, **kwargs)
        step, value = generator.send, None
        while True:
            previous, state.grad_enabled = state.grad_enabled, mode
            try:
                result = step(value)
            except StopIteration as stop:
                return stop.value
            finally:
                state.grad_enabled = previous
            try:
                value = yield result
                step = generator.send
            except GeneratorExit:
                generator.close()
                raise
            except BaseException as error:
                step, value = generator.throw, error

    return wrapped


class no_grad(_GradMode):
    """Record nothing inside: results have ``requires_grad=False``.

    Works as ``with no_grad():``, ``@no_grad()`` and ``@no_grad``.

    >>> import tinyconv as tc
    >>> x = tc.ones(2, requires_grad=True)
    >>> with tc.no_grad():
    ...     (x * 2).requires_grad
    False
    """

    mode = False


class inference_mode(_GradMode):
    """``no_grad`` under PyTorch's newer name; ``inference_mode(False)`` is ``enable_grad``.

    In PyTorch a tensor that was made inside can never be recorded afterwards; here it is one like
    any other.

    >>> import tinyconv as tc
    >>> with tc.inference_mode():
    ...     tc.is_grad_enabled()
    False
    """

    def __new__(cls, mode=True):
        self = super().__new__(cls)
        self.mode = not mode
        return self(mode) if callable(mode) else self


class enable_grad(_GradMode):
    """Record again, inside a ``no_grad`` block.

    >>> import tinyconv as tc
    >>> with tc.no_grad(), tc.enable_grad():
    ...     tc.is_grad_enabled()
    True
    """


class set_grad_enabled(_GradMode):
    """Turn recording on or off by a flag: at once, or for a ``with`` block.

    >>> import tinyconv as tc
    >>> with tc.set_grad_enabled(False):
    ...     tc.is_grad_enabled()
    False
    """

    def __new__(cls, mode):
        self = super().__new__(cls)
        self.mode = bool(mode)
        self._before = state.grad_enabled
        state.grad_enabled = self.mode
        return self

    def __enter__(self):
        self._previous.append(self._before)
        state.grad_enabled = self.mode
        return self

    def __call__(self, function):
        state.grad_enabled = self._before  # as a decorator it takes effect inside only
        return super().__call__(function)


@contextlib.contextmanager
def complex_step():
    """Let ops take complex128 for a point and a direction at once: f(x + i h d) with h = 1e-20.

    The imaginary part of the result, divided by h, is the derivative along d without any
    subtraction, so exact to rounding. Every branch (a maximum, a mask, a comparison, an index)
    is decided by the real part, and the real part is that of f(x).

    >>> import numpy as np, tinyconv as tc
    >>> with tc.autograd.complex_step():
    ...     y = tc.relu(tc.from_numpy(np.array([-3.0, 3.0]) + 1e-20j)) ** 2
    >>> y.array.imag / 1e-20
    array([0., 6.])
    """
    previous, state.complex_step = state.complex_step, True
    try:
        yield
    finally:
        state.complex_step = previous


def is_grad_enabled() -> bool:
    """Whether ops are being recorded in this thread.

    >>> import tinyconv as tc
    >>> tc.is_grad_enabled()
    True
    """
    return state.grad_enabled
