"""A network exported, checked, run by onnxruntime and loaded again, next to the network itself."""

import io

import numpy as np
import onnx
import onnxruntime

import tinyconv as tc
from tinyconv import nn
from tinyconv.onnx import export, load


class Net(nn.Module):
    """A forward from a function; parameters and layers by name."""

    def __init__(self, forward, **members):
        super().__init__()
        self.does = forward
        for name, member in members.items():
            setattr(self, name, member)

    def forward(self, x):
        return self.does(self, x)


def parameter(*shape, seed=1):
    return nn.Parameter(tc.from_numpy(numbers(shape, seed)))


def numbers(shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).uniform(-2, 2, shape).astype(dtype)


def exported(net, x, **options):
    file = io.BytesIO()
    export(net, tc.from_numpy(x), file, **options)
    return file.getvalue()


def by_onnxruntime(data, *inputs):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = 2, 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return session.run(None, {i.name: x for i, x in zip(session.get_inputs(), inputs)})


def close(ours, theirs, rtol=1e-4):
    """To 1e-4 of each number and 1e-5 of the largest one."""
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    largest = np.abs(theirs).max(initial=0)
    assert np.isfinite(largest)
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol / 10 * (largest or 1))


def round_trip(net, x, **options):
    """Export it for one size of batch, compare for another; the loaded network."""
    net.eval()
    data = exported(net, x, **options)
    onnx.checker.check_model(data, full_check=True)
    with tc.no_grad():
        y = net(tc.from_numpy(x)).numpy()
    (theirs,) = by_onnxruntime(data, x)
    close(y, theirs)
    loaded = load(data)
    with tc.no_grad():
        close(loaded(tc.from_numpy(x)).numpy(), y)
    return loaded


def gradients(net, x):
    """d(y * c)/d of the input and of each parameter, for a fixed c."""
    x = tc.from_numpy(x).requires_grad_()
    net.zero_grad()
    y = net(x)
    (y * tc.from_numpy(numbers(y.shape, 5, y.dtype))).sum().backward()
    found = {"input": x.grad, **{n: p.grad for n, p in net.named_parameters()}}
    return {name: gradient for name, gradient in found.items() if gradient is not None}


def operators(data):
    return [node.op_type for node in onnx.load_from_string(data).graph.node]
