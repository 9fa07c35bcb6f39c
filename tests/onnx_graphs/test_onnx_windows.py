"""Convolutions and pools of any geometry: onnxruntime and the import agree with them."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from onnx_graphs.running import Net, exported, numbers, operators, round_trip

import tinyconv as tc
from tinyconv import nn
from tinyconv.nn import functional as F

small = st.integers(1, 3)
pairs = st.tuples(small, small)
images = st.tuples(st.just(2), st.sampled_from([1, 2, 4]), st.integers(3, 9), st.integers(3, 9))


def run(forward, shape, **layers):
    """A round trip, unless tinyconv itself has no result for it."""
    x = numbers(shape)
    net = Net(forward, **layers)
    try:
        with tc.no_grad():
            net(tc.from_numpy(x))
    except ValueError:
        assume(False)
    round_trip(net, x)


@given(images, pairs, pairs, st.tuples(*[st.integers(0, 3)] * 4), pairs, small, st.booleans())
def test_convolutions(shape, kernel, stride, padding, dilation, filters, grouped):
    C = shape[1]
    groups = C if grouped else 1
    layer = nn.Conv2d(C, filters * groups, kernel, stride, padding, dilation, groups)
    run(lambda net, x: net.a(x), shape, a=layer)


@given(images, st.sampled_from([1, 2, 3]), pairs)
def test_same_padding(shape, kernel, stride):
    run(lambda net, x: net.a(x), shape, a=nn.Conv2d(shape[1], 3, (kernel, 3), stride, "same"))


@given(images, pairs, pairs, st.tuples(*[st.integers(0, 1)] * 4), pairs, st.booleans())
def test_max_pools(shape, kernel, stride, padding, dilation, ceil):
    run(lambda net, x: F.max_pool2d(x, kernel, stride, padding, dilation, ceil), shape)


@given(
    images, pairs, pairs, st.tuples(*[st.integers(0, 1)] * 4), st.booleans(), st.booleans(),
    st.sampled_from([None, None, 2, 0.5]),
)  # fmt: skip
def test_average_pools(shape, kernel, stride, padding, ceil, count_include_pad, divisor):
    def forward(net, x):
        return F.avg_pool2d(x, kernel, stride, padding, ceil, count_include_pad, divisor)

    run(forward, shape)


@given(images, st.tuples(*[st.integers(1, 11)] * 2))
def test_adaptive_average_pools(shape, output):
    run(lambda net, x: F.adaptive_avg_pool2d(x, output), shape)


@pytest.mark.parametrize(
    "options, told",
    [
        (dict(kernel_size=2), ["AveragePool"]),
        (dict(kernel_size=3, padding=1), ["AveragePool"]),
        (dict(kernel_size=3, padding=1, count_include_pad=False), ["AveragePool"]),
        (dict(kernel_size=3, ceil_mode=True), ["AveragePool"]),
        # a window that hangs over counts some of its padding
        (dict(kernel_size=3, padding=1, ceil_mode=True), ["AveragePool", "Constant", "Mul"]),
        (dict(kernel_size=3, divisor_override=2), ["AveragePool", "Constant", "Mul"]),
    ],
)
def test_what_an_average_pool_becomes(options, told):
    net = Net(lambda net, x: F.avg_pool2d(x, stride=2, **options))
    assert operators(exported(net, numbers((1, 2, 8, 6)))) == told


def test_what_an_adaptive_pool_becomes():
    def told(*output):
        net = Net(lambda net, x: F.adaptive_avg_pool2d(x, output))
        return operators(exported(net, numbers((1, 2, 8, 6))))

    assert told(1, 1) == ["GlobalAveragePool"]
    assert told(4, 2) == told(1, 3) == told(8, 6) == ["AveragePool"]
    assert told(3, 2) == told(16, 6) == ["Constant", "MatMul", "Constant", "MatMul"]


def test_a_max_pool_that_pads_more_than_runtimes_take():
    net = Net(lambda net, x: F.max_pool2d(x, 2, 3, 0, 3, ceil_mode=True))
    x = -np.abs(numbers((1, 2, 5, 5))) - 1  # zeros as padding would win
    assert operators(exported(net, x)) == ["Constant", "Constant", "Pad", "MaxPool"]
    round_trip(net, x)
