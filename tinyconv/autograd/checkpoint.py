"""checkpoint: trade a second forward pass for the memory of what it saved."""

import weakref

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
        function: anything callable that gives the same result each time it is called; hooks
            that it registers are registered twice.
        use_reentrant: accepted for PyTorch's sake; there is one way here.
        preserve_rng_state: repeat random draws (dropout) in the second run; draws from a
            generator of your own are not repeated.

    Raises:
        RuntimeError: in backward, if the second run took another path than the first, or
            a tensor that it uses was changed in place in between.

    Source: Chen et al. 2016, arXiv:1604.06174.

    >>> import tinyconv as tc
    >>> x = tc.tensor([0.5], requires_grad=True)
    >>> y = tc.autograd.checkpoint(lambda t: (t.exp() * t).sum(), x)
    >>> y.backward(); x.grad
    tensor([2.4731])
    """
    segment = _Segment(function, args, kwargs)
    if not preserve_rng_state:
        return segment.first_run()
    # draws come from a generator of this thread's own, set up the same way for both runs:
    # other threads may draw from the common one in between
    segment.rng = modes.get_rng_state()
    outer, state.generator = state.generator, modes.fork_generator(segment.rng)
    try:
        return segment.first_run()
    finally:
        after, state.generator = modes.get_rng_state(), outer
        modes.set_rng_state(after)


class _Segment:
    """One checkpointed call: what it needs to run again, and what that gave."""

    def __init__(self, function, args, kwargs):
        self.function, self.args, self.kwargs = function, args, kwargs
        self.rng = None
        self.running = False
        self.seen = {}  # id -> version counter of each tensor that an op inside used
        self.used = {}  # id -> weak reference to the tensor
        self.metas = []  # (shape, dtype) of each array that was packed
        self.arrays = {}

    def first_run(self):
        outer, state.saver = state.saver, self
        self.running = True
        given = [t for t in (*self.args, *self.kwargs.values()) if isinstance(t, Tensor)]
        before = [(t._counter, t._counter[0]) for t in given]
        try:
            results = self.function(*self.args, **self.kwargs)
        finally:
            state.saver, self.running = outer, False
            self.arrays.clear()
            # the versions at the end: what the function itself changed is its own affair
            self.versions = [(counter, counter[0]) for counter in self.seen.values()]
            living = [(ref, ref()) for ref in self.used.values()]
            self.memory = [(ref, t._counter) for ref, t in living if t is not None]
        if any(t._counter is not c or c[0] != v for t, (c, v) in zip(given, before)):
            raise RuntimeError(
                "checkpoint: the function changes its input in place, so that it would do something"
                " else when it is run again; .clone() the input in it first"
            )
        return results

    def watch(self, args):
        for a in args:
            if isinstance(a, Tensor):
                self.seen[id(a._counter)] = a._counter
                self.used[id(a)] = weakref.ref(a)

    def pack(self, array):
        index = len(self.metas)
        self.metas.append((array.shape, array.dtype))
        if self.running:  # ``grad`` inside the function may ask for it
            self.arrays[index] = array
        return _Handle(self, index)

    def fetch(self, index):
        if index not in self.arrays:
            self._run_again()
        return self.arrays[index]

    def _run_again(self):
        if any(counter[0] != version for counter, version in self.versions) or any(
            (t := ref()) is not None and t._counter is not counter for ref, counter in self.memory
        ):
            raise RuntimeError(
                "checkpoint: a tensor that the function uses was changed in place before backward "
                "could run it again; run backward first (or do without checkpoint)"
            )
        collector = _Collector()
        outer = state.saver, state.recomputing, state.generator
        try:
            state.saver, state.recomputing = collector, True
            if self.rng is not None:
                state.generator = modes.fork_generator(self.rng)
            with enable_grad():
                self.function(*self.args, **self.kwargs)
        finally:
            state.saver, state.recomputing, state.generator = outer
        if [(a.shape, a.dtype) for a in collector.arrays] != self.metas:
            raise RuntimeError(
                f"checkpoint: the function saved {len(self.metas)} arrays in its first run and "
                f"{len(collector.arrays)} in its second, or of other shapes; it must do the same "
                "each time"
            )
        self.arrays = dict(enumerate(collector.arrays))


class _Collector:
    """Takes the place of a segment during the second run and keeps the arrays."""

    def __init__(self):
        self.arrays = []

    def watch(self, args):
        pass

    def pack(self, array):
        self.arrays.append(array)
        return array


class _Handle:
    """Stands for one array that will be computed again."""

    def __init__(self, segment, index):
        self.segment, self.index = segment, index

    def unpack(self):
        return self.segment.fetch(self.index)

    def release(self):
        # the memory goes back as the walk moves on
        self.segment.arrays.pop(self.index, None)
