"""detect_anomaly names the op, the module and the line, forward and backward."""

import threading

import pytest

import tinyconv as tc
import tinyconv.nn as nn
from tinyconv.autograd import Function, detect_anomaly


def test_forward_names_op_line_and_inputs():
    x = tc.tensor([-1.0, 4.0], requires_grad=True)
    with pytest.raises(RuntimeError) as caught, detect_anomaly():
        x.log()  # this very line
    message = str(caught.value)
    assert message.startswith("Log made 1 NaN of 2 values in forward")
    assert "test_autograd_anomaly.py" in message and "this very line" in message
    assert "[2] float32 in [-1, 4], mean 1.5" in message


def test_forward_names_the_path_of_the_module():
    class Bad(nn.Module):
        def forward(self, x):
            return (x - 10).log()

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.ReLU(), Bad())

        def forward(self, x):
            return self.body(x)

    with pytest.raises(RuntimeError, match=r"Log made.* in Net\.body\.1 at"), detect_anomaly():
        Net()(tc.ones(1))


def test_an_op_that_only_passes_a_nan_on_is_told_from_one_that_made_it():
    with pytest.raises(RuntimeError, match="passed on 1 NaN"), detect_anomaly():
        tc.tensor([float("nan")]) * 2


def test_backward_names_the_op_and_where_it_was_built():
    x = tc.zeros(1, requires_grad=True)
    with pytest.raises(RuntimeError) as caught, detect_anomaly():
        y = x.sqrt() * 0  # infinity times zero
        y.backward()
    assert "Sqrt made 1 NaN" in str(caught.value) and "in backward" in str(caught.value)
    assert "infinity times zero" in str(caught.value)
    assert x.grad is None


def test_infinities_are_looked_for_if_asked():
    with detect_anomaly():
        tc.zeros(1).log()
    with pytest.raises(RuntimeError, match="Log made 1 infinite"), detect_anomaly(check_inf=True):
        tc.zeros(1).log()


def test_the_detector_is_gone_after_the_block_and_never_in_other_threads():
    with pytest.raises(RuntimeError), detect_anomaly():
        tc.tensor([-1.0]).log()
    done = []
    with detect_anomaly():
        thread = threading.Thread(target=lambda: done.append(tc.tensor([-1.0]).log()))
        thread.start()
        thread.join()
    tc.tensor([-1.0]).log()
    assert len(done) == 1


def test_users_functions_are_watched_too():
    class Nan(Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, gy):
            return gy * float("nan")

    with pytest.raises(RuntimeError, match="Nan made 1 NaN.*in backward"), detect_anomaly():
        Nan.apply(tc.ones(1, requires_grad=True)).backward()


def test_a_clean_step_passes():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU())
    with detect_anomaly():
        net(tc.randn(2, 1, 5, 5)).sum().backward()
    assert net[0].weight.grad is not None
