"""Group, instance, layer and RMS norm beyond what the registry draws."""

import numpy as np
import pytest
from arrays import laid_out, uniform

import tinyconv as tc
import tinyconv.nn.functional as F
from tinyconv.testing import assert_gradients

X = (3, 4, 5, 2)


def test_one_norm_in_four_spellings():
    """Groups of one channel are instances; one group is a layer; a batch of one is both."""
    x = tc.from_numpy(uniform(X))
    w, b = (tc.from_numpy(uniform((4,), seed=k)) for k in (1, 2))

    def close(a, b):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-13)

    close(F.group_norm(x, 4, w, b), F.instance_norm(x, weight=w, bias=b))
    close(F.group_norm(x, 1), F.layer_norm(x, X[1:]))
    alone = F.batch_norm(x[:1], None, None, w, b, training=True)
    close(F.instance_norm(x[:1], weight=w, bias=b), alone)


def test_the_third_derivative():
    def gradient(x, w):
        y = F.group_norm(x, 2, w, eps=0.1).tanh()
        return tc.autograd.grad(y, x, tc.ones_like(y), create_graph=True)[0]

    assert_gradients(gradient, uniform((2, 4, 2)), uniform((4,), seed=1))


def test_running_statistics_of_instances_are_those_of_the_mean_image():
    x = uniform(X) + 1
    mean, var = tc.zeros(4, dtype=tc.float64), tc.ones(4, dtype=tc.float64)
    F.instance_norm(tc.from_numpy(x), mean, var, momentum=0.25)
    np.testing.assert_allclose(mean.numpy(), 0.25 * x.mean((0, 2, 3)))
    wanted = 0.75 + 0.25 * x.var((2, 3), ddof=1).mean(0)
    np.testing.assert_allclose(var.numpy(), wanted)
    before = mean.numpy().copy()
    y = F.instance_norm(tc.from_numpy(x), mean, var, use_input_stats=False)
    assert tc.equal(y, F.batch_norm(tc.from_numpy(x), mean, var)) and (mean.numpy() == before).all()


@pytest.mark.parametrize("op", [F.batch_norm, F.instance_norm])
def test_running_statistics_that_cannot_be_written_are_refused(op):
    mean, var = tc.zeros(4), tc.tensor(np.broadcast_to(np.float32(1), (4,)))
    var.array.flags.writeable = False
    with pytest.raises(ValueError, match="read-only memory"):
        op(tc.rand(*X), mean, var, None, None, True)
    assert not mean.numpy().any()


@pytest.mark.parametrize("layout", ["transposed", "reversed"])
def test_any_layout_will_do(layout):
    x = laid_out(uniform(X), layout)
    x.flags.writeable = False
    for op in (lambda t: F.group_norm(t, 2), lambda t: F.layer_norm(t, (5, 2)), F.instance_norm,
               lambda t: F.layer_norm(t.permute(0, 2, 3, 1), (4,))):  # fmt: skip
        np.testing.assert_allclose(
            op(tc.tensor(x)).numpy(), op(tc.tensor(np.ascontiguousarray(x))).numpy(), atol=1e-13
        )


@pytest.mark.parametrize(
    "call, shape",
    [
        (lambda x: F.group_norm(x, 2), (0, 4, 3)), (lambda x: F.group_norm(x, 2), (3, 4, 0)),
        (lambda x: F.group_norm(x, 2), (3, 0, 2)), (F.instance_norm, (0, 4, 3)),
        (lambda x: F.layer_norm(x, (4, 3)), (0, 4, 3)), (lambda x: F.layer_norm(x, (0,)), (4, 0)),
        (lambda x: F.rms_norm(x, (3,)), (0, 3)),
        (lambda x: F.batch_norm(x, None, None, training=True), (0, 4, 3)),
        (lambda x: F.batch_norm(x, tc.zeros(4), tc.ones(4)), (0, 4, 3)),
    ],
)  # fmt: skip
def test_norms_of_nothing(call, shape):
    x = tc.ones(*shape, requires_grad=True)
    y = call(x)
    y.sum().backward()
    assert y.shape == x.grad.shape == shape


def test_a_layer_of_one_number_is_its_bias():
    x, b = tc.ones(5, 1, requires_grad=True), tc.full((1,), 2.0)
    y = F.layer_norm(x, (1,), tc.full((1,), 3.0), b)
    y.backward(tc.rand(5, 1))
    assert y.flatten().tolist() == [2] * 5 and not x.grad.numpy().any()


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda x: F.group_norm(x, 3), ValueError,
         r"group_norm: num_groups=3 must divide the 4 channels of input of shape \[3, 4, 5, 2\]"),
        (lambda x: F.group_norm(x, 0), ValueError, "num_groups=0"),
        (lambda x: F.group_norm(x, 2, tc.ones(2)), ValueError, r"weight has shape \[2\].* 4 chann"),
        (lambda x: F.group_norm(x[0, 0, 0], 1), ValueError, r"wants \(N, C, ...\)"),
        (lambda x: F.group_norm(x[:1, :, 0, 0], 4), ValueError, "leaves one number to each"),
        (lambda x: F.instance_norm(x[..., :1, :1]), ValueError, "more than one number"),
        (lambda x: F.instance_norm(x, use_input_stats=False), RuntimeError, "running_mean"),
        (lambda x: F.instance_norm(x, tc.ones(4)), ValueError, "both running_mean"),
        (lambda x: F.layer_norm(x, (5,)), ValueError,
         r"layer_norm: input of shape \[3, 4, 5, 2\] must end in normalized_shape=\[5\]"),
        (lambda x: F.layer_norm(x, ()), ValueError, "one size at least"),
        (lambda x: F.layer_norm(x, (1, 3, 4, 5, 2)), ValueError, "must end in"),
        (lambda x: F.layer_norm(x, (5, 2), tc.ones(2)), ValueError, r"weight of shape \[2\]"),
        (lambda x: F.layer_norm(x, (2,), tc.ones(2).double()), TypeError, "float32, a parameter"),
        (lambda x: F.layer_norm(x.long(), (2,)), TypeError, "got int64"),
        (lambda x: F.rms_norm(x, (3,)), ValueError, "rms_norm: input of shape"),
        (lambda x: F.batch_norm(x, None, None), RuntimeError, "wants running_mean and running_var"),
        (lambda x: F.batch_norm(x, None, None, training=True, eps=-1), ValueError, "eps=-1"),
    ],
)  # fmt: skip
def test_errors_name_the_op_what_it_got_and_the_rule(call, error, words):
    with pytest.raises(error, match=words):
        call(tc.ones(*X))
