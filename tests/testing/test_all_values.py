"""Every registered op gives what its oracle, the same op in plain NumPy, gives."""

import re

import numpy as np
import pytest
from hypothesis import given, settings

import tinyconv as tc
from tinyconv.testing.plain import ORACLES, plain
from tinyconv.testing.registry import OPS, VALUES, names_in

#: ops whose value is chance: their cases are compared by other tests
RANDOM = {"F.dropout", "F.dropout1d", "F.dropout2d", "F.dropout3d", "F.alpha_dropout"}
RANDOM |= {"F.feature_alpha_dropout", "F.gumbel_softmax", "tc.rrelu"}
RANDOM |= {"tc.dropout", "tc.alpha_dropout", "tc.feature_alpha_dropout"}
#: spelled in Python, not called by name: ndarrays have them
NATIVE = {"Tensor.T", "Tensor.mT", "Tensor.shape", "Tensor.dtype", "Tensor.ndim"}
NATIVE |= {"Tensor.H", "Tensor.mH", "tc.int32", "tc.int64"}
#: NumPy's own functions, as arguments
NATIVE |= {"Tensor.array", "Tensor.int64"}
#: fields of the named tuples that ops return, and dtypes
NATIVE |= {"Tensor.values", "Tensor.indices", "tc.float32", "tc.float64"}
ALL = {**OPS, **VALUES}


def comparable(case):
    """Whether the case is written in public ops alone, none of them random."""
    source = case.source
    hidden = "nn." in source or "ops." in source or ".apply(" in source
    return bool(source) and not hidden and not RANDOM & names_in(source)


def compare(case):
    if not comparable(case):
        return
    unknown = names_in(case.source) - set(ORACLES) - NATIVE
    # operators are ndarrays' own, and what is called of NumPy is no op
    unknown -= {f"Tensor.{name}" for name in re.findall(r"\bnp\.(\w+)", case.source)}
    unknown = {name for name in unknown if not name.startswith("Tensor.__")}
    assert not unknown, f"no oracle for {sorted(unknown)} in {case}"
    ours = case.func(*[tc.tensor(x) for x in case.inputs])
    theirs = plain(case)
    pairs = zip(ours, theirs) if isinstance(ours, (tuple, list)) else [(ours, theirs)]
    for y, z in pairs:
        if not isinstance(y, tc.Tensor):
            assert y == z, case
            continue
        z = np.asarray(z)
        assert y.shape == z.shape, f"{case}: {y.shape}, the oracle's is {z.shape}"
        assert (y.dtype.kind in "fc") == (z.dtype.kind in "fc"), f"{case}: {y.dtype}, {z.dtype}"
        scale = np.abs(z[np.isfinite(z)]).max(initial=1) if z.dtype.kind in "fc" else 1
        np.testing.assert_allclose(y.array, z, rtol=1e-9, atol=1e-11 * scale, err_msg=str(case))


@pytest.mark.parametrize("name", ALL)
def test_values(name):
    op = ALL[name]
    for case in op.examples:
        compare(case)
    share = settings(max_examples=max(2, settings().max_examples // (2 * len(op.variants))))
    for variant in op.variants:
        share(given(case=variant)(compare))()
