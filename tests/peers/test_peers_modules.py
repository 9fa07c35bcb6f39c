"""PyTorch's own module samples: arguments, state, text, outputs and gradients next to PyTorch's."""

import numpy as np
import pytest

databases = pytest.importorskip("databases", reason="needs torch", exc_type=ImportError)
samples = pytest.importorskip("samples", reason="needs torch", exc_type=ImportError)
runs = pytest.importorskip("runs", reason="needs torch", exc_type=ImportError)
torch, tc = samples.torch, samples.tc
pytestmark = pytest.mark.peers


#: modules of PyTorch's database that are not here: volumes, sequences, what infers its sizes
ABSENT = """
    nn.AdaptiveAvgPool3d nn.AdaptiveMaxPool3d nn.AvgPool3d nn.Conv3d nn.ConvTranspose3d
    nn.FractionalMaxPool2d nn.FractionalMaxPool3d nn.LPPool3d nn.MaxPool3d nn.InstanceNorm3d
    nn.LazyConv1d nn.LazyConv2d nn.LazyConv3d nn.LazyConvTranspose1d nn.LazyConvTranspose2d
    nn.LazyConvTranspose3d nn.LinearCrossEntropyLoss nn.TransformerEncoder
    nn.TransformerEncoderLayer nn.TransformerDecoderLayer nn.Transformer nn.MultiheadAttention
    nn.RNNCell nn.GRUCell nn.LSTMCell nn.RNN nn.GRU nn.LSTM nn.CTCLoss
""".split()
ERRING = [info for info in databases.module_db if info.module_error_inputs_func]


def inputs(info, training, dtype=torch.float64):
    torch.manual_seed(0)
    return info.module_inputs_func(
        info, device="cpu", dtype=dtype, requires_grad=True, training=training
    )


def ours(info):
    return getattr(tc.nn, info.name.removeprefix("nn."), None)


def build(T, kind, module_input):
    """The module of ``T`` with the sample's constructor arguments."""
    arguments = samples.Builder(T)
    x = module_input.constructor_input
    return kind(*arguments(list(x.args)), **arguments(x.kwargs))


def pair(info, module_input, training):
    """PyTorch's module and ours with its state."""
    theirs = build(torch, info.module_cls, module_input).double().train(training)
    mine = build(tc, ours(info), module_input).double().train(training)
    return mine, theirs


def load(mine, theirs):
    state = {k: tc.from_numpy(v.numpy().copy()) for k, v in theirs.state_dict().items()}
    assert list(mine.state_dict()) == list(state)
    mine.load_state_dict(state)


def run(T, module, module_input, seed=0):
    """The output, then the gradients to inputs and parameters."""
    arguments = samples.Builder(T)
    args, kwargs = arguments((list(module_input.forward_input.args),
                              module_input.forward_input.kwargs))  # fmt: skip
    T.manual_seed(seed)
    output = module(*args, **kwargs)
    wanted = [x for x in arguments.tensors if x.requires_grad] + list(module.parameters())
    outputs = [y for y in samples.flat(output, T.Tensor) if y.requires_grad]
    gradients = ()
    if outputs and wanted:
        draws = np.random.default_rng(0)
        cotangents = [
            T.from_numpy(np.asarray(draws.standard_normal(tuple(y.shape)))) for y in outputs
        ]
        gradients = T.autograd.grad(
            outputs, wanted, cotangents, allow_unused=True, materialize_grads=True
        )
    return output, list(gradients)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("info", databases.module_db, ids=lambda info: info.name)
def test_module(info, training):
    if info.name in ABSENT:
        assert ours(info) is None, "present now: take it out of ABSENT"
        pytest.skip("absent")
    kind = ours(info)
    assert kind is not None, "absent"
    failures = []
    for module_input in inputs(info, training):
        try:
            check(info, module_input, training)
        except samples.OutOfScope:
            continue
        except Exception as error:
            failures.append(f"{module_input.desc or describe(module_input)}: {error!r}"[:500])
    assert not failures, "\n".join(failures)


def check(info, module_input, training):
    mine, theirs = pair(info, module_input, training)
    assert repr(mine) == repr(theirs)
    load(mine, theirs)
    if module_input.forward_input is None:
        return
    before = theirs.state_dict()
    before = {k: v.clone() for k, v in before.items()}
    expected, gradients = run(torch, theirs, module_input)
    got, our_gradients = run(tc, mine, module_input)
    after = {k: v.clone() for k, v in theirs.state_dict().items()}
    theirs.load_state_dict(before)
    again, _ = run(torch, theirs, module_input, seed=1)
    first, second = (samples.flat(y, torch.Tensor) for y in (expected, again))
    values = all(map(torch.equal, first, second))  # else random: only shapes are compared
    samples.compare(got, expected, values=values)
    samples.compare(our_gradients, gradients, "gradients", values)
    samples.compare(list(mine.state_dict().values()), list(after.values()), "state", values)


def describe(module_input):
    x = module_input.constructor_input
    return samples.describe(list(x.args)) + samples.describe(x.kwargs)


@pytest.mark.parametrize(
    "info",
    [i for i in databases.module_db if i.module_error_inputs_func],
    ids=lambda info: info.name,
)
def test_module_errors(info):
    kind = ours(info)
    if kind is None:
        pytest.skip("absent")
    torch.manual_seed(0)
    for error in info.module_error_inputs_func(
        info, device="cpu", dtype=torch.float64, requires_grad=False, training=True
    ):
        try:
            with pytest.raises(runs.ERRORS):
                mine = build(tc, kind, error.module_error_input).double()
                assert error.error_on is databases.ModuleErrorEnum.FORWARD_ERROR, "nothing raised"
                run(tc, mine, error.module_error_input)
        except samples.OutOfScope:
            continue
