"""checkpoint: trade a second forward pass for the memory of what it saved."""

from tinyconv.autograd import modes
from tinyconv.autograd.modes import enable_grad, state
from tinyconv.autograd.tensor import Tensor


def checkpoint(function, *args, use_reentrant=False, preserve_rng_state=True, **kwargs):
    """Call ``function(*args, **kwargs)`` without keeping what its ops save for backward.

    The graph is recorded as usual, but in the place of each saved array stands a note
    of how to get it again: when ``backward`` first asks for one, the function is run
    once more and all of them are filled in. So ``grad``, hooks, parameters used inside
    and higher derivatives work as without ``checkpoint``. In the second run random ops
    repeat their draws and running statistics are left alone.

    Args:
        function: anything callable that gives the same result for the same arguments.
        use_reentrant: accepted for PyTorch's sake; there is one way here.
        preserve_rng_state: repeat random draws (dropout) in the second run.

    Raises:
        RuntimeError: in backward, if the second run took another path than the first
            or an argument was changed in place in between.

    Source: Chen et al. 2016, arXiv:1604.06174.

    >>> import tinyconv as tc
    >>> x = tc.tensor([0.5], requires_grad=True)
    >>> y = tc.autograd.checkpoint(lambda t: (t.exp() * t).sum(), x)
    >>> y.backward(); x.grad
    tensor([2.4731])
    """
    segment = _Segment(function, args, kwargs, preserve_rng_state)
    previous, state.saver = state.saver, segment
    try:
        return function(*args, **kwargs)
    finally:
        state.saver = previous


class _Segment:
    """One checkpointed call: what it needs to run again, and what that gave."""

    def __init__(self, function, args, kwargs, preserve_rng_state):
        self.function, self.args, self.kwargs = function, args, kwargs
        self.versions = [(a, a._version) for a in args if isinstance(a, Tensor)]
        self.rng = modes.get_rng_state() if preserve_rng_state else None
        self.count = 0
        self.arrays = {}

    def pack(self, array):
        handle = _Handle(self, self.count)
        self.count += 1
        return handle

    def fetch(self, index):
        if index not in self.arrays:
            self._run_again()
        # popped: the memory goes back as the walk moves on; another walk runs again
        return self.arrays.pop(index)

    def _run_again(self):
        for tensor, version in self.versions:
            if tensor._version != version:
                raise RuntimeError(
                    f"checkpoint: an argument (shape {list(tensor.shape)}) was changed in place "
                    "before backward could run the function again"
                )
        collector = _Collector()
        before = modes.get_rng_state()
        outer = state.saver, state.recomputing
        state.saver, state.recomputing = collector, True
        if self.rng is not None:
            modes.set_rng_state(self.rng)
        try:
            with enable_grad():
                self.function(*self.args, **self.kwargs)
        finally:
            state.saver, state.recomputing = outer
            if self.rng is not None:
                modes.set_rng_state(before)
        if len(collector.arrays) != self.count:
            raise RuntimeError(
                f"checkpoint: the function saved {self.count} arrays in its first run and "
                f"{len(collector.arrays)} in its second; it must do the same each time"
            )
        self.arrays = dict(enumerate(collector.arrays))


class _Collector:
    """Takes the place of a segment during the second run and keeps the arrays."""

    def __init__(self):
        self.arrays = []

    def pack(self, array):
        self.arrays.append(array)
        return array


class _Handle:
    """Stands for one array that will be computed again."""

    def __init__(self, segment, index):
        self.segment, self.index = segment, index

    def unpack(self):
        return self.segment.fetch(self.index)
