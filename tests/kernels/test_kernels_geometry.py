"""One geometry record and one output-size function for convolutions and pools."""

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyconv.kernels import Window, output_size

small = st.integers(0, 4)


@given(
    size=st.integers(1, 12), kernel=st.integers(1, 4), stride=st.integers(1, 5),
    before=small, after=small, dilation=st.integers(1, 3),
)  # fmt: skip
def test_output_size_counts_the_windows(size, kernel, stride, before, after, dilation):
    got = output_size(size, kernel, stride, before, after, dilation)
    assert got == naive.extent(size, kernel, stride, before, after, dilation)


@given(more=st.integers(0, 9), kernel=st.integers(1, 5), stride=st.integers(1, 5), data=st.data())
def test_output_size_in_ceil_mode_counts_windows_that_hang_over(more, kernel, stride, data):
    before, after = (data.draw(st.integers(0, kernel // 2)) for _ in "ab")
    size = max(1, kernel - before - after) + more
    got = output_size(size, kernel, stride, before, after, ceil_mode=True)
    assert got == naive.extent(size, kernel, stride, before, after, ceil=True)


@given(
    size=st.integers(1, 20), kernel=st.integers(1, 5), stride=st.integers(1, 4),
    dilation=st.integers(1, 3),
)  # fmt: skip
def test_same_padding_gives_ceil_of_size_over_stride(size, kernel, stride, dilation):
    window = Window.of((kernel, 1), (stride, 1), "same", (dilation, 1), (size, 3))
    assert window.output_shape(size, 3) == (int(np.ceil(size / stride)), 3)
    assert window.bottom - window.top in (0, 1), "an odd rest goes to the bottom"


def test_every_spelling_of_padding():
    def sides(padding, **more):
        w = Window.of((3, 4), 1, padding, **more)
        return w.left, w.right, w.top, w.bottom

    assert sides(1) == (1, 1, 1, 1)
    assert sides((1, 2)) == (2, 2, 1, 1)
    assert sides((1, 2, 3, 4)) == (1, 2, 3, 4)
    assert sides("valid") == (0, 0, 0, 0)
    assert sides("same", size=(5, 6)) == (1, 2, 1, 1)
    assert sides([np.int64(2)]) == (2, 2, 2, 2)


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        (dict(kernel_size=0), ValueError, "kernel_size=0.*at least 1"),
        (dict(kernel_size=(3, 2.5)), TypeError, "whole numbers"),
        (dict(kernel_size=(1, 2, 3)), ValueError, "1 or 2 numbers, got 3"),
        (dict(kernel_size=3, stride=0), ValueError, "stride=0"),
        (dict(kernel_size=3, stride="2"), TypeError, "stride='2'"),
        (dict(kernel_size=3, dilation=(1, 0)), ValueError, "dilation"),
        (dict(kernel_size=3, padding=-1), ValueError, "padding=-1"),
        (dict(kernel_size=3, padding=(1, 2, 3)), ValueError, "1, 2 or 4 numbers, got 3"),
        (dict(kernel_size=3, padding=(1, 1, 1, -2)), ValueError, "padding"),
        (dict(kernel_size=3, padding="full"), ValueError, "'full'.*'same' or 'valid'"),
    ],
)
def test_bad_windows_are_refused_by_name(arguments, error, words):
    with pytest.raises(error, match=f"conv2d: .*{words}"):
        Window.of(**arguments, op="conv2d")
