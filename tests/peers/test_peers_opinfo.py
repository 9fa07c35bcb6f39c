"""PyTorch's own operator samples: every one agrees, or is listed in known.py with its reason."""

import fnmatch
import functools

import pytest

opinfo = pytest.importorskip("opinfo", reason="needs torch", exc_type=ImportError)
known = pytest.importorskip("known")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

#: what the ops of a convolutional network are; each must be there
ESSENTIAL = """
    nn.functional.conv2d nn.functional.conv_transpose2d nn.functional.max_pool2d
    nn.functional.avg_pool2d nn.functional.adaptive_avg_pool2d nn.functional.adaptive_max_pool2d
    nn.functional.batch_norm nn.functional.instance_norm nn.functional.layer_norm
    nn.functional.group_norm nn.functional.local_response_norm nn.functional.linear
    nn.functional.relu nn.functional.relu6 nn.functional.leaky_relu nn.functional.prelu
    nn.functional.elu nn.functional.selu nn.functional.silu nn.functional.gelu
    nn.functional.hardtanh nn.functional.hardswish nn.functional.hardsigmoid
    nn.functional.softplus sigmoid tanh softmax log_softmax logsumexp nn.functional.normalize
    nn.functional.one_hot nn.functional.dropout nn.functional.dropout2d
    nn.functional.pad.constant nn.functional.pad.reflect nn.functional.pad.replicate
    nn.functional.pad.circular nn.functional.unfold nn.functional.pixel_shuffle
    nn.functional.pixel_unshuffle nn.functional.interpolate.nearest
    nn.functional.interpolate.bilinear nn.functional.interpolate.area
    nn.functional.cross_entropy nn.functional.nll_loss nn.functional.mse_loss
    nn.functional.l1_loss nn.functional.smooth_l1_loss nn.functional.huber_loss
    nn.functional.binary_cross_entropy nn.functional.binary_cross_entropy_with_logits
    nn.functional.kl_div add sub mul div.no_rounding_mode div.trunc_rounding div.floor_rounding
    pow abs exp log log1p sqrt rsqrt sin cos sum mean var std prod amax amin
    max.reduction_with_dim max.reduction_no_dim max.binary min.reduction_with_dim
    min.reduction_no_dim min.binary argmax argmin maximum minimum clamp where cat stack split
    split.list_args chunk unbind reshape view transpose permute flatten squeeze squeeze.multiple
    unsqueeze expand broadcast_to flip roll repeat __getitem__ index_select gather masked_fill
    cumsum topk sort matmul mm bmm einsum norm norm.fro norm.inf triu tril eq ne lt le gt ge
    logical_and logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor bitwise_not
    zeros ones full eye arange linspace empty zeros_like ones_like full_like empty_like
    randn randn_like rand_like randint randint_like normal bernoulli multinomial uniform
""".split()


OPS = {opinfo.full_name(op): op for op in opinfo.op_db if not opinfo.is_internal(op)}
PRESENT = [name for name, op in OPS.items() if opinfo.counterpart(op, opinfo.tc) is not None]


@functools.cache
def outcomes(name):
    return list(opinfo.outcomes(OPS[name]))


@pytest.mark.parametrize("name", PRESENT)
def test_samples_agree(name):
    try:
        found = outcomes(name)
    except LookupError as absent:
        pytest.skip(f"absent: {absent}")
    failures = [o for o in found if o.failure and not known.reason(o)]
    assert not failures, "\n".join(
        f"{o.stage} {o.dtype}: {o.sample}: {o.failure}" for o in failures[:5]
    )


def test_essential_ops_are_there_and_agree():
    """Float32, float64 and errors; forward, gradients, second gradients: 99 % agree."""
    found = [o for name in ESSENTIAL for o in outcomes(name) if o.dtype not in ("int64", "bool")]
    samples = {(o.op, o.dtype, o.sample) for o in found if o.dtype}
    assert len(samples) > 2300
    passed = sum(not o.failure for o in found)
    assert passed >= 0.99 * len(found), f"{passed} of {len(found)}"


@pytest.mark.parametrize("entry", known.KNOWN, ids=lambda entry: entry.ops.split()[0])
def test_known_differences_are_there(entry):
    """An exception that is none any more leaves the list."""
    patterns = entry.ops.split()
    names = [n for n in PRESENT if any(fnmatch.fnmatchcase(n, p) for p in patterns)]
    assert any(entry.covers(o) for name in names for o in outcomes(name) if o.failure)
