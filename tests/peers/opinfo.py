"""PyTorch's own operator samples, run through tinyconv; PyTorch is the judge.

    python tests/peers/opinfo.py conv2d max.binary      # one line per op, then the first failures
    python tests/peers/opinfo.py conv2d --errors        # the error samples with tinyconv's messages
    python tests/peers/opinfo.py relu --special         # with NaN and infinities in the samples
    python tests/peers/opinfo.py                        # the whole table and its totals

Each sample of PyTorch's OpInfo database is rebuilt twice, tensor by tensor with strides and
``requires_grad``, once for torch and once for tinyconv. Compared are the output (structure, shapes,
dtypes, values), the tensors that went in (an op may only change what PyTorch's changes), the
gradients to all inputs, in float64 their gradients again, the output for non-contiguous inputs and
for read-only inputs of negative strides ("backward"), and the tensor's method and in-place method
of that name. Error samples must raise an error of Python's own kinds that names the op.
"""

import argparse
import dataclasses
import itertools
import math
import types
import warnings
from collections import Counter

import numpy as np
import torch
from databases import op_db
from runs import (
    BEFORE,
    check,
    check_error,
    check_method,
    counterpart,
    full_name,
    is_determined,
)
from samples import TOLERANCE, OutOfScope, is_absent

import tinyconv as tc

#: samples of one op and dtype that are looked at
LIMIT = 200
DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "int64": torch.int64,
    "bool": torch.bool,
}
STAGES = ("forward", "noncontiguous", "backward", "method", "inplace", "grad", "gradgrad", "error")


def select(names):
    """The OpInfos that go by one of ``names``: whole, without module, without variant."""
    wanted = [n.replace("F.", "nn.functional.", 1) if n.startswith("F.") else n for n in names]
    return [
        op
        for op in op_db
        if any(
            full == n or full.endswith(f".{n}") for n in wanted for full in (op.name, full_name(op))
        )
    ]


def methods_of(op, skipped):
    """The names of the op's method and in-place method; those that are absent are counted."""
    names = [op.name] if op.method_variant else []
    names += [f"{op.name}_"] if op.inplace_variant else []
    for name in names:
        if hasattr(torch.Tensor, name) and not name.startswith("__"):
            if hasattr(tc.Tensor, name):
                yield name
            else:
                skipped[f"Tensor.{name} absent"] = 1


# -- one op -------------------------------------------------------------------------------------
def outcomes(op, dtypes=tuple(DTYPES), limit=LIMIT, samples=True, errors=True, skipped=None):
    """All outcomes of ``op``; ``skipped`` (a Counter) counts what is out of scope, by reason.

    Raises:
        LookupError: if tinyconv does not have the op.
    """
    skipped = Counter() if skipped is None else skipped
    if counterpart(op, tc) is None:
        raise LookupError(full_name(op))
    try:
        for dtype in dtypes if samples else ():
            yield from _samples(op, dtype, limit, skipped)
        for error in op.error_inputs("cpu") if errors and op.error_inputs_func else ():
            try:
                yield check_error(op, error)
            except OutOfScope as reason:
                skipped[str(reason)] += 1
    except AttributeError as error:
        if is_absent(error):
            raise LookupError(full_name(op)) from error
        raise


def _samples(op, dtype, limit, skipped):
    kind = DTYPES[dtype]
    if kind not in op.supported_dtypes("cpu"):
        return
    torch.manual_seed(0)
    np.random.seed(0)
    needs = dtype in TOLERANCE and op.supports_autograd
    methods = list(methods_of(op, skipped))
    for i, sample in enumerate(op.sample_inputs("cpu", kind, requires_grad=needs)):
        if i == limit:
            skipped["dtypes cut at the limit"] += 1
            return
        try:
            yield from check(op, sample, dtype)
            if dtype == "float64":
                (outcome,) = check(op, sample.noncontiguous(), dtype, derivatives=False)
                yield dataclasses.replace(outcome, stage="noncontiguous")
                (outcome,) = check(op, sample, dtype, derivatives=False, backward=True)
                yield dataclasses.replace(outcome, stage="backward")
            if isinstance(sample.input, torch.Tensor):
                outcomes = (check_method(op, sample, dtype, name) for name in methods)
                yield from filter(None, outcomes)
        except OutOfScope as reason:
            skipped[str(reason)] += 1


def special(op, limit=30):
    """Outcomes of float64 samples into whose tensors NaN, infinities and 0 are put."""
    if counterpart(op, tc) is None:
        raise LookupError(full_name(op))
    torch.manual_seed(0)
    kind, needs = torch.float64, op.supports_autograd
    samples = op.sample_inputs("cpu", kind, requires_grad=needs)
    for sample in itertools.islice(samples if kind in op.supported_dtypes("cpu") else (), limit):
        try:
            sample = sample.transform(with_special)
            if is_determined(op, sample):
                yield from (o for o in check(op, sample, "float64") if o.stage != "gradgrad")
        except Exception:
            continue  # PyTorch refuses them


def with_special(value):
    if not isinstance(value, torch.Tensor) or not value.is_floating_point() or not value.numel():
        return value
    changed = value.detach().clone().contiguous()
    for i, number in enumerate((0.0, -math.inf, math.inf, math.nan)):
        changed.view(-1)[i * changed.numel() // 4] = number
    return changed.requires_grad_(value.requires_grad)


def is_internal(op):
    """PyTorch's own machinery, devices, sparse and complex numbers: no public CPU function."""
    return (
        not isinstance(op.op, (types.FunctionType, types.BuiltinFunctionType))
        and not op.name.startswith("__")
        or op.name.startswith(("_", "torch.", "sparse.", "jiterator", "native_"))
        and not op.name.startswith("__")
    )


def line(name, found, skipped):
    """``forward 40/40  grad 38/40 ...`` of one op."""
    cells = []
    for stage in STAGES:
        of_stage = [o for o in found if o.stage == stage]
        if of_stage:
            passed = sum(not o.failure for o in of_stage)
            mark = " " if passed == len(of_stage) else "!"
            cells.append(f"{stage} {passed}/{len(of_stage)}{mark}")
    aside = ", ".join(
        reason if "absent" in reason else f"{n} {reason}" for reason, n in skipped.items()
    )
    return f"{name:44} {' '.join(cells)}" + (f"  (aside: {aside})" if aside else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="conv2d, max.binary, F.relu; none: all")
    parser.add_argument("--errors", action="store_true", help="error samples alone, with messages")
    parser.add_argument("--dtype", choices=DTYPES, action="append")
    parser.add_argument("--limit", type=int, default=LIMIT)
    parser.add_argument("--special", action="store_true", help="NaN and infinities instead")
    parser.add_argument("--verbose", action="store_true", help="all failures, with tracebacks")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    ops = select(options.names) if options.names else [op for op in op_db if not is_internal(op)]
    totals, absent = Counter(), []
    for op in ops:
        skipped = Counter()
        try:
            dtypes, limit, samples = options.dtype or DTYPES, options.limit, not options.errors
            of_op = special(op) if options.special else outcomes(
                op, tuple(dtypes), limit, samples, skipped=skipped
            )  # fmt: skip
            found = list(of_op)
        except LookupError:
            absent.append(full_name(op))
            continue
        print(line(full_name(op), found, skipped), flush=True)
        failures = [o for o in found if o.failure and o.failure != BEFORE]
        totals["samples"] += len(found)
        totals["passed"] += sum(not o.failure for o in found)
        for outcome in failures if options.verbose else failures[:3]:
            print(f"    {outcome.stage} {outcome.dtype}: {outcome.sample}"[:600])
            print(f"        {outcome.failure}"[:600])
            if options.verbose and outcome.stage != "error":
                print(outcome.trace)
        if len(failures) > 3 and not options.verbose:
            print(f"    ... and {len(failures) - 3} more")
        if options.errors:
            for outcome in found:
                if not outcome.failure:
                    print(f"    {outcome.sample}\n        {outcome.trace}")
    if absent:
        print("absent:", " ".join(absent))
    share = totals["passed"] / totals["samples"] if totals["samples"] else math.nan
    print(
        f"{totals['passed']} of {totals['samples']} agree ({share:.2%}); {len(absent)} ops absent"
    )


if __name__ == "__main__":
    main()
