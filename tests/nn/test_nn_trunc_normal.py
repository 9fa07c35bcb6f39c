"""Truncated normal numbers: their distribution on wide, narrow and far intervals."""

import math

import numpy as np
import pytest

import tinyconv as tc
from tinyconv.nn import init


def normal_above(z):
    """The chance of a standard normal number above z; exact in the upper tail."""
    return math.erfc(z / math.sqrt(2)) / 2


@pytest.mark.parametrize(
    "mean, std, a, b",
    [
        (0.0, 1.0, -2.0, 2.0),  # the defaults
        (0.0, 0.01, -2.0, 2.0),  # nothing to cut
        (0.3, 0.5, 0.1, 0.4),  # a slot around the mean
        (1.0, 2.0, 3.0, math.inf),  # half a tail
        (0.0, 1.0, 6.0, 7.5),  # a far tail
        (0.0, 1.0, 9.0, 100.0),  # a farther one, mostly empty
    ],
)
def test_numbers_follow_the_truncated_normal(mean, std, a, b):
    n = 20_000
    for sign in (1, -1):  # the interval and its mirror image
        low, high = sorted((sign * a, sign * b))
        w = tc.empty(n // 4, 4, dtype=np.float64)
        assert init.trunc_normal_(w, sign * mean, std, low, high) is w
        x = np.sort(sign * w.numpy().ravel())
        assert a <= x[0] and x[-1] <= b
        above = [normal_above((v - mean) / std) for v in x]
        most, least = normal_above((a - mean) / std), normal_above((b - mean) / std)
        wanted = (most - np.array(above)) / (most - least)  # the distribution function
        # Kolmogorov and Smirnov: larger by chance once in a thousand draws
        assert np.abs(wanted - (np.arange(n) + 0.5) / n).max() < 1.95 / math.sqrt(n)


def test_seed_dtype_and_bounds():
    g = tc.Generator()
    first, again = (
        init.trunc_normal_(tc.empty(3, 5), b=0.1, generator=g.manual_seed(7)) for _ in range(2)
    )
    assert tc.equal(first, again) and first.dtype == np.float32
    # an interval as narrow as the rounding of the mean: its ends must hold
    low, high = 1e-3, 1e-3 + 1e-13
    w = init.trunc_normal_(tc.empty(500, dtype=np.float64), mean=1e3, a=low, b=high).numpy()
    assert low <= w.min() and w.max() <= high
    assert init.trunc_normal_(tc.empty(0, 3)).shape == (0, 3)


def test_weights_record_nothing_and_blank_ones_stay():
    w = tc.zeros(2, 3, requires_grad=True)
    with init.skip_init():
        assert not init.trunc_normal_(w).any()
    assert init.trunc_normal_(w).all() and w.is_leaf and w.requires_grad


@pytest.mark.parametrize("options", [dict(std=0.0), dict(std=-1.0), dict(a=1.0, b=1.0)])
def test_what_is_no_interval_is_refused(options):
    with pytest.raises(ValueError, match="std > 0 and a < b, got std="):
        init.trunc_normal_(tc.empty(2), **options)
