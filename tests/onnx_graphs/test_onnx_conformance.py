"""The onnx library's own cases: one node each, with its inputs and results."""

import warnings
from collections import Counter

import numpy as np
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

import tinyconv as tc
from tinyconv.onnx import load
from tinyconv.onnx.operators import OPERATORS

OURS = {np.dtype(n) for n in "float32 float64 bool uint8 int8 int16 int32 int64".split()}
#: what the cases ask for and the import refuses
REFUSED = (
    "axes: tinyconv has images", "training_mode=1", "select_last_index", "Pad with mode",
    "more than its first result", "storage_order", "of a dtype", "is of a dtype",
)  # fmt: skip
#: what differs, and why
OTHERWISE = {
    "test_training_dropout": "dropout follows train() and eval(), not the file",
    "test_training_dropout_default": "the same",
    "test_maxpool_2d_uint8": "pools are for floats",
    "test_pow_types_int64_float32": "promoted as PyTorch does it",
    "test_pow_types_int32_float32": "the same",
    "test_reduce_max_empty_set": "the largest of nothing is an error",
    "test_reduce_max_empty_set_bool": "the same",
    "test_reduce_min_empty_set": "the same",
}


def cases():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        collect = collect_testcases(None)
    for case in collect:
        known = case.name in OTHERWISE or case.name.startswith("test_causal_conv")  # of one axis
        if case.model is not None and not known:
            if {node.op_type for node in case.model.graph.node} <= OPERATORS.keys() | {"Constant"}:
                yield case


def arrays(values):
    """As arrays, or None where one is of a dtype that no Tensor has."""
    values = [numpy_helper.to_array(v) if hasattr(v, "raw_data") else v for v in values]
    fit = all(isinstance(v, np.ndarray | np.generic) and v.dtype in OURS for v in values)
    return [np.array(v) for v in values] if fit else None


def outcome(case):
    """'passed', 'refused' or 'dtype'; anything else raises."""
    try:
        net = load(case.model.SerializeToString())
    except ValueError as error:
        if any(told in str(error) for told in REFUSED) or "operator set is 1" in str(error):
            return "refused"
        raise
    for inputs, outputs in case.data_sets:
        inputs, outputs = arrays(inputs), arrays(outputs)
        if inputs is None or outputs is None:
            return "dtype"
        with tc.no_grad():
            results = net(*map(tc.from_numpy, inputs))
        for y, theirs in zip(results if isinstance(results, tuple) else [results], outputs):
            assert y.shape == theirs.shape and y.dtype == theirs.dtype
            np.testing.assert_allclose(y.array, theirs, rtol=case.rtol, atol=case.atol)
    return "passed"


def test_the_cases_of_the_library():
    outcomes, faults = Counter(), []
    for case in cases():
        try:
            outcomes[outcome(case)] += 1
        except Exception as error:
            faults.append(f"{case.name}: {error!r:.200}")
    assert not faults, "\n".join(faults)
    assert outcomes["passed"] > 300, outcomes
