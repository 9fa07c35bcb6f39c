"""Switching recording off and on: blocks, decorators, exceptions, generators."""

import pytest

import tinyconv as tc


def test_no_grad_records_nothing_and_is_put_back():
    x = tc.ones(2, requires_grad=True)
    with tc.no_grad():
        y = x * 2
    assert not y.requires_grad and y.grad_fn is None
    assert tc.is_grad_enabled() and (x * 2).requires_grad


@pytest.mark.parametrize(
    "mode", [tc.no_grad, tc.inference_mode, lambda: tc.set_grad_enabled(False)]
)
def test_the_mode_is_restored_after_an_exception(mode):
    with pytest.raises(ZeroDivisionError), mode():
        assert not tc.is_grad_enabled()
        raise ZeroDivisionError
    assert tc.is_grad_enabled()


def test_the_mode_is_restored_after_an_exception_in_a_decorated_function():
    @tc.no_grad()
    def fail():
        assert not tc.is_grad_enabled()
        raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert tc.is_grad_enabled()


def test_the_mode_is_restored_after_an_exception_in_backward():
    class Broken(tc.autograd.Function):
        def forward(ctx, x):
            return x

        def backward(ctx, gy):
            assert not tc.is_grad_enabled()
            raise KeyError("broken")

    x = tc.ones(1, requires_grad=True)
    with pytest.raises(KeyError, match="broken"):
        Broken.apply(x).backward()
    assert tc.is_grad_enabled() and x.grad is None


def test_nested_blocks_come_back_one_by_one():
    with tc.no_grad():
        with tc.enable_grad():
            with tc.no_grad():
                assert not tc.is_grad_enabled()
            assert tc.is_grad_enabled()
        assert not tc.is_grad_enabled()


def test_one_object_may_be_entered_twice():
    block = tc.no_grad()
    with block, block:
        assert not tc.is_grad_enabled()
    assert tc.is_grad_enabled()


@pytest.mark.parametrize("decorate", [tc.no_grad, tc.no_grad(), tc.inference_mode()])
def test_both_spellings_decorate_and_keep_the_name(decorate):
    @decorate
    def inspect(value, *, more=1):
        """Doc."""
        return tc.is_grad_enabled(), value, more

    assert inspect(3, more=4) == (False, 3, 4)
    assert inspect.__name__ == "inspect" and inspect.__doc__ == "Doc."
    assert tc.is_grad_enabled()


def test_a_decorated_function_may_call_itself():
    @tc.no_grad()
    def down(n):
        return tc.is_grad_enabled() if n == 0 else down(n - 1)

    assert down(5) is False and tc.is_grad_enabled()


def test_a_decorated_generator_runs_in_its_mode_and_leaks_it_nowhere():
    @tc.no_grad()
    def numbers():
        yield tc.is_grad_enabled()
        yield tc.is_grad_enabled()

    inside = []
    for value in numbers():
        inside.append(value)
        assert tc.is_grad_enabled()
    assert inside == [False, False]


def test_set_grad_enabled_works_at_once_as_block_and_as_decorator():
    tc.set_grad_enabled(False)
    try:
        assert not tc.is_grad_enabled()
    finally:
        tc.set_grad_enabled(True)
    with tc.set_grad_enabled(False):
        with tc.set_grad_enabled(True):
            assert tc.is_grad_enabled()
        assert not tc.is_grad_enabled()
    assert tc.is_grad_enabled()

    @tc.set_grad_enabled(False)
    def inspect():
        return tc.is_grad_enabled()

    assert tc.is_grad_enabled() and inspect() is False


def test_backward_works_inside_no_grad():
    x = tc.ones(2, requires_grad=True)
    y = (x * x).sum()
    with tc.no_grad():
        y.backward()
    assert x.grad.tolist() == [2.0, 2.0] and not x.grad.requires_grad


def test_the_default_dtype_is_what_floats_become():
    tc.set_default_dtype(tc.float64)
    try:
        assert tc.tensor(1.5).dtype == tc.zeros(1).dtype == tc.float64
        assert (tc.arange(3) * 0.5).dtype == tc.float64
    finally:
        tc.set_default_dtype(tc.float32)
    assert tc.tensor(1.5).dtype == tc.float32
    with pytest.raises(TypeError, match="int64, wants float32 or float64"):
        tc.set_default_dtype(tc.int64)


def test_inference_mode_by_a_flag_and_as_a_decorator():
    x = tc.ones(2, requires_grad=True)

    @tc.inference_mode
    def bare(x):
        return x * 2

    @tc.inference_mode(mode=True)
    def called(x):
        return x * 2

    assert not bare(x).requires_grad and not called(x).requires_grad
    with tc.inference_mode():
        made = x * 2
        with tc.inference_mode(False):
            assert (x * 2).requires_grad
    assert (made * x).requires_grad  # unlike PyTorch's, it may be used in a graph


def test_anomalies_are_detected_by_a_flag():
    x = tc.tensor([-1.0], requires_grad=True)
    assert not tc.is_anomaly_enabled()
    tc.autograd.set_detect_anomaly(True)
    try:
        with pytest.raises(RuntimeError, match="Log made 1 NaN"):
            x.log()
        with tc.autograd.set_detect_anomaly(False):
            x.log()
        with tc.autograd.detect_anomaly(check_nan=False):
            x.log()
        assert tc.is_anomaly_enabled()
    finally:
        tc.autograd.set_detect_anomaly(False)
    assert not tc.is_anomaly_enabled()
