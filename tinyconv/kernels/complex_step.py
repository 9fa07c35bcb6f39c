"""Complex steps through code that computes with real numbers.

In a complex-step check an array holds x + i h d: a point, and a direction of about 1e-20. Where
a kernel is linear in each of two arrays it needs no complex arithmetic:

    f(a + i da, b + i db) = f(a, b) + i (f(da, b) + f(a, db))    but for f(da, db), 1e-40

So the vector code stays real, the check runs that code and no stand-in for it, and the real
part is to the last bit what it is without the step.
"""

import functools

import numpy as np

_ARRAYS = np.ndarray, np.generic


def joined(real, imag):
    """real + i imag, without the products that make NaN of infinity."""
    z = np.empty(real.shape, np.complex128)
    z.real, z.imag = real, imag
    return z


def analytic(function):
    """Give what ``function`` makes of complex steps the real part that it has without them.

    Complex arithmetic rounds otherwise than real, and is finite where a real result is NaN;
    with the step and without, branches further on shall go the same way.
    """

    @functools.wraps(function)
    def wrapped(*args):
        results = function(*args)
        several = isinstance(results, tuple)
        if (results[0] if several else results).dtype.kind != "c":
            return results
        values = function(*[a.real if isinstance(a, _ARRAYS) else a for a in args])
        if not several:
            return joined(values, results.imag)
        return tuple([joined(value, z.imag) for value, z in zip(values, results)])

    return wrapped


def bilinear(product):
    """Let a kernel ``product(a, b, *rest)`` take complex steps; an array in ``rest`` (a bias)
    is what it adds to the product."""

    @functools.wraps(product)
    def wrapped(a, b, *rest):
        if a.dtype.kind != "c":
            return product(a, b, *rest)
        point = [r.real if isinstance(r, np.ndarray) else r for r in rest]
        direction = [r.imag if isinstance(r, np.ndarray) else r for r in rest]
        nothing = [np.zeros_like(r.real) if isinstance(r, np.ndarray) else r for r in rest]
        return joined(
            product(a.real, b.real, *point),
            product(a.imag, b.real, *direction) + product(a.real, b.imag, *nothing),
        )

    return wrapped
