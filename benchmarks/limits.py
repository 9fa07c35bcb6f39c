"""What the machine can do: the limits beside which every other figure stands.

The FMA peak is measured by multiply-adds on registers alone, the copy rate by a NumPy copy of
arrays far larger than any cache; both in the run whose figures they bound.
"""

import functools
import threading
import time

import numpy as np

import tinyconv as tc
from tinyconv.kernels.jit import kernel
from tinyconv.kernels.parallel import available_threads
from tinyconv.kernels.simd import BITS, fma, lanes, load, store

#: independent sums: enough to hide the latency of an FMA on two ports
_SUMS = 12
_STEPS = 4_000_000
_RUNS = 10
#: bytes to copy: far more than any cache holds
_COPIED = 1 << 28


@kernel
def _multiply_add(a, steps):
    n = lanes(a)
    b, c = load(a, 0), load(a, n)
    r0 = r1 = r2 = r3 = r4 = r5 = r6 = r7 = r8 = r9 = r10 = r11 = load(a, 2 * n)
    for _ in range(steps):
        r0, r1, r2, r3 = fma(b, r0, c), fma(b, r1, c), fma(b, r2, c), fma(b, r3, c)
        r4, r5, r6, r7 = fma(b, r4, c), fma(b, r5, c), fma(b, r6, c), fma(b, r7, c)
        r8, r9, r10, r11 = fma(b, r8, c), fma(b, r9, c), fma(b, r10, c), fma(b, r11, c)
    store(a, 3 * n, r0)
    store(a, 4 * n, r1)
    store(a, 5 * n, r2)
    store(a, 6 * n, r3)
    store(a, 7 * n, r4)
    store(a, 8 * n, r5)
    store(a, 9 * n, r6)
    store(a, 10 * n, r7)
    store(a, 11 * n, r8)
    store(a, 12 * n, r9)
    store(a, 13 * n, r10)
    store(a, 14 * n, r11)


def _at_once(calls):
    """Seconds until all calls have ended, each in a thread of its own: the best of some runs."""
    seconds = []
    for _ in range(_RUNS):
        workers = [threading.Thread(target=call) for call in calls]
        began = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def fma_peak(threads=1):
    """GFLOP/s of float32 multiply-adds on registers, two FLOPs each."""
    n = BITS // 32
    arrays = [np.full(15 * n, 0.5, np.float32) for _ in range(threads)]
    _multiply_add(arrays[0], 10)  # compiled
    seconds = _at_once([functools.partial(_multiply_add, a, _STEPS) for a in arrays])
    return threads * _SUMS * n * 2 * _STEPS / seconds / 1e9


def copy_rate(threads=1):
    """GB/s, read and written together, of threads that copy from one part of memory to another."""
    source = np.zeros((threads, _COPIED // threads), np.uint8)
    to = np.ones_like(source)
    seconds = _at_once([functools.partial(np.copyto, a, b) for a, b in zip(to, source)])
    return 2 * source.nbytes / seconds / 1e9


def measure():
    """The limits of this run: of one thread, and of all that are in use."""
    threads = tc.get_num_threads()
    return dict(peak_one_thread=fma_peak(), peak=fma_peak(threads), copy=copy_rate(threads))


def machine():
    """What a reader needs to know of the machine, and nothing that names it."""
    return dict(cores=available_threads(), threads=tc.get_num_threads(), vector_bits=BITS)
