"""The onnx library's node cases through tinyconv's functions, beyond what ``onnx.load`` reads.

``tests/onnx_graphs`` runs the cases of the operators that the import knows. Here are the others
that tinyconv has a function for, by the adapters in onnx_nodes.py.
"""

import functools
import warnings

import numpy as np
import pytest

import tinyconv as tc
from tinyconv.onnx.operators import OPERATORS

onnx_nodes = pytest.importorskip("onnx_nodes", reason="needs onnx", exc_type=ImportError)
onnx = onnx_nodes.onnx

DTYPES = {np.dtype(n) for n in "float32 float64 bool uint8 int8 int16 int32 int64".split()}
#: the version whose operators are all named here
NAMED_FOR = "1.23.2"
#: operators that are no function here
SKIPPED = {
    "sequences and attention": "Attention LinearAttention RotaryEmbedding GRU LSTM RNN "
    "ReverseSequence CausalConvWithState SwiGLU TensorScatter",
    "whole numbers for floats": "ConvInteger MatMulInteger QLinearConv QLinearMatMul "
    "QuantizeLinear DequantizeLinear DynamicQuantizeLinear",
    "control flow and containers": "If Loop Scan OptionalGetElement OptionalHasElement Constant",
    "detection": "DeformConv NonMaxSuppression RoiAlign",
    "signals and text": "BlackmanWindow HammingWindow HannWindow DFT STFT MelWeightMatrix "
    "TfIdfVectorizer ImageDecoder",
    "no function of that kind in PyTorch": "BitCast CenterCropPad MeanVarianceNormalization",
    "random": "Bernoulli",
    "linear algebra": "Det",
}


# -- the cases --------------------------------------------------------------------------------
def node_of(case):
    """The one node of the case, its attributes in a dict; None for graphs and other domains."""
    if case.model is None or len(case.model.graph.node) != 1 or case.model.graph.node[0].domain:
        return None
    return case.model.graph.node[0]


def arrays(values):
    """As arrays; None where one is of a dtype that no Tensor has."""
    values = [onnx.numpy_helper.to_array(v) if hasattr(v, "raw_data") else v for v in values]
    fit = all(isinstance(v, np.ndarray | np.generic) and v.dtype in DTYPES for v in values)
    return [np.array(v) for v in values] if fit else None


@functools.cache
def cases():
    """Operator -> its cases of one node, in dtypes that a Tensor has."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = collect_testcases(None)
    of = {}
    for case in found:
        node = node_of(case)
        fit = all(arrays(i) is not None and arrays(o) is not None for i, o in case.data_sets)
        if node is not None and fit:
            of.setdefault(node.op_type, []).append(case)
    return of


def run(case):
    node = node_of(case)
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    attributes = {k: v.decode() if isinstance(v, bytes) else v for k, v in attributes.items()}
    for inputs, outputs in case.data_sets:
        given = iter(map(tc.from_numpy, arrays(inputs)))
        inputs = [next(given) if name else None for name in node.input]
        results = onnx_nodes.ADAPTERS[node.op_type](attributes, *inputs)
        results = results if isinstance(results, tuple) else (results,)
        wanted = [y for y, name in zip(results, node.output) if name]
        for y, theirs in zip(wanted, arrays(outputs), strict=True):
            assert y.shape == theirs.shape and y.dtype == theirs.dtype, (y.shape, theirs.shape)
            np.testing.assert_allclose(
                y.detach().numpy(), theirs, rtol=max(case.rtol, 1e-4), atol=max(case.atol, 1e-6)
            )


@functools.cache
def outcomes(name):
    """How many cases pass, how many PyTorch's function cannot say, and what fails."""
    passed, elsewhere, faults = 0, 0, []
    for case in cases().get(name, []):
        try:
            run(case)
            passed += 1
        except onnx_nodes.Elsewhere:
            elsewhere += 1
        except Exception as error:
            faults.append(f"{case.name}: {type(error).__name__}: {error}"[:400])
    return passed, elsewhere, faults


@pytest.mark.parametrize("name", onnx_nodes.ADAPTERS)
def test_operator(name):
    faults = outcomes(name)[2]
    assert not faults, "\n".join(faults)


def test_most_can_be_said():
    passed, elsewhere = (sum(outcomes(n)[i] for n in onnx_nodes.ADAPTERS) for i in (0, 1))
    assert passed > 4 * elsewhere


@pytest.mark.skipif(onnx.__version__ != NAMED_FOR, reason="another version has other operators")
def test_every_operator_is_named():
    skipped = {name for names in SKIPPED.values() for name in names.split()}
    assert cases().keys() <= OPERATORS.keys() | onnx_nodes.ADAPTERS.keys() | skipped
    assert not skipped & onnx_nodes.ADAPTERS.keys()
