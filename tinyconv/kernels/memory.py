"""Buffers that are used again: the memory that kernels write their results into.

Fresh memory costs several times what warm memory does, for the system clears each page
when it is first touched; and a training step asks for the same sizes over and over. So a
block that nobody sees any more waits here for the next array of its size class.

Who still sees it is left to NumPy: the array that is handed out is a view of a lease, every
view of it (slices, memoryviews, other libraries' tensors) keeps the lease alive, and only
when the lease dies does the block come back.
"""

import contextlib
import functools
import math
import mmap
import os
import threading
from collections import defaultdict, deque

import numpy as np

#: bytes below which the system's allocator recycles well itself
_SMALL = 1 << 15
#: bytes of one huge page, where the system has them: a 512th of the page faults
_HUGE = 1 << 21
#: idle bytes beyond what was ever lent at once: a block of the wrong size is of no use
_SPARE = 1 << 26
#: how many times too large a block may be; twice as many where there is no room for another
_ROOM = 4
#: asks after which a block that no one took is given back to the system
_PATIENCE = 1 << 13


class _Block:
    """Memory of one size class; ``home`` is where it waits between two leases."""

    __slots__ = ("memory", "size", "home", "waited")

    def __init__(self, size, home):
        self.memory, self.size, self.home = _memory(size), size, home


class _Lease(np.ndarray):
    """The array at the root of all views on a block; its end sets the block free.

    NumPy shortens chains of views as far as they are of one type, so a subclass stays in
    the chain, for as long as any view lives.
    """

    __slots__ = ("block",)

    def __del__(self):
        try:
            block = self.block
        except AttributeError:  # a view of the lease itself: it has no block, it holds the lease
            return
        # atomic, without a lock: this may run in the middle of anything, at exit too
        block.home.append(block)


class _Pool:
    """Idle blocks by size class, last used first.

    What it holds, idle and lent, stays within the most that was lent at once, counted by blocks,
    and ``_SPARE``. A block may be up to ``2 * _ROOM`` times as large as what it is lent for.
    """

    def __init__(self):
        self.lock = threading.Lock()
        self.classes = defaultdict(deque)
        self.held = 0
        self.peak = 0  # the most that was lent when memory was asked for, and
        self.peak_before = 0  # the same of the period before
        self.asked = 0

    def take(self, size):
        """A block of ``size`` bytes that nobody sees."""
        self.asked += 1
        if self.asked >= _PATIENCE:
            self._forget()
        try:
            return self.classes[size].pop()
        except IndexError:
            return self._larger(size, _ROOM * size) or self._new(size)

    def _larger(self, size, most):
        """An idle block of more than ``size`` and at most ``most`` bytes, or None.

        To map memory, and clear it, costs more than all that is written into it.
        """
        for other in sorted([other for other, home in list(self.classes.items()) if home]):
            if size < other <= most:
                with contextlib.suppress(IndexError):  # another thread took it
                    return self.classes[other].pop()
        return None

    def _new(self, size):
        with self.lock:
            idle = self._idle()
            self.peak = max(self.peak, self.held - idle + size)
            most = max(self.peak, self.peak_before) + max(_SPARE, self.peak // 8)
            if self.held + size > most:
                block = self._larger(size, 2 * _ROOM * size)
                if block is not None:
                    return block
            for home in list(self.classes.values()):
                while self.held + size > most and home:
                    self._drop(home)
            self.held += size
        return _Block(size, self.classes[size])

    def _drop(self, home):
        """Let go of the block of ``home`` that has waited longest."""
        with contextlib.suppress(IndexError):  # another thread took it
            self.held -= home.popleft().size

    def _idle(self):
        return sum(size * len(home) for size, home in list(self.classes.items()))

    def _forget(self):
        """Drop what was idle in the last period; start the next one."""
        with self.lock:
            if self.asked < _PATIENCE:
                return  # another thread was faster
            self.asked = 0
            self.peak_before, self.peak = self.peak, self.held - self._idle()
            for home in list(self.classes.values()):
                for _ in range(len(home)):
                    with contextlib.suppress(IndexError):
                        block = home.popleft()
                        if block.waited:
                            self.held -= block.size
                        else:
                            block.waited = True
                            home.append(block)

    def clear(self):
        with self.lock:
            for home in list(self.classes.values()):
                while home:
                    self._drop(home)
            self.peak = self.peak_before = 0


def _memory(size):
    """``size`` bytes of zeros of this process alone, from a page's start."""
    if not hasattr(mmap, "MAP_ANONYMOUS"):
        return mmap.mmap(-1, size)
    # private: a forked child must not write into its parent's arrays
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if size >= _HUGE and hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a system without them
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


_pool = _Pool()


@functools.lru_cache(4096)
def _block_size(shape, dtype):
    """Bytes of the block that an array is laid in; 0: it is small."""
    count = math.prod(shape) * np.dtype(dtype).itemsize
    if count < _SMALL:
        return 0
    step = (count - 1).bit_length() - 3  # classes are quarters of powers of two
    return ((count - 1 >> step) + 1) << step


def empty(shape, dtype):
    """An array of any content: C-contiguous, writeable, from a page's start unless it is small.

    ``shape`` is a tuple.
    """
    size = _block_size(shape, dtype)
    if not size:
        return np.empty(shape, dtype)
    block = _pool.take(size)
    block.waited = False
    lease = _Lease(shape, dtype, block.memory)
    lease.block = block
    return lease.view(np.ndarray)


def zeros(shape, dtype):
    """An array of zeros, otherwise as ``empty``."""
    array = empty(shape, dtype)
    array.fill(0)
    return array


def is_new(array):
    """Whether ``array`` is on memory of its own and no view: NumPy's or one of ``empty``."""
    return array.base is None or type(array.base) is _Lease


def clear():
    """Give all idle memory back to the system.

    >>> from tinyconv.kernels import memory
    >>> before = memory.held()
    >>> memory.clear(); memory.held() <= before
    True
    """
    _pool.clear()


def held():
    """Bytes that the pool holds: under living arrays, and idle."""
    return _pool.held


def _after_fork():
    """Another thread may have held the lock at the moment of the fork."""
    _pool.lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
