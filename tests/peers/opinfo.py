"""PyTorch's own operator samples, run through tinyconv; PyTorch is the judge.

    python tests/peers/opinfo.py conv2d max.binary      # one line per op, then the first failures
    python tests/peers/opinfo.py conv2d --errors        # the error samples with tinyconv's messages
    python tests/peers/opinfo.py                        # the whole table and its totals

Each sample of PyTorch's OpInfo database is rebuilt twice, tensor by tensor with strides and
``requires_grad``, once for torch and once for tinyconv. Compared are the output (structure, shapes,
dtypes, values), the tensors that went in (an op may only change what PyTorch's changes), the
gradients to all inputs, in float64 their gradients again, the output for non-contiguous inputs, and
the tensor's method and in-place method of that name.
Error samples must raise an error of Python's own kinds that names the op.
"""

import argparse
import dataclasses
import math
import traceback
import types
import warnings
from collections import Counter

import numpy as np
import torch
from hypothesis import settings
from samples import (
    TOLERANCE,
    Builder,
    Differs,
    OutOfScope,
    compare,
    describe,
    flat,
    is_absent,
    swapped,
)  # fmt: skip

import tinyconv as tc

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    profile = settings.get_current_profile_name()
    from torch.testing._internal.common_methods_invocations import op_db

    settings.load_profile(profile)  # that import changed it

#: samples of one op and dtype that are looked at
LIMIT = 200
DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "int64": torch.int64,
    "bool": torch.bool,
}
ERRORS = (ValueError, TypeError, RuntimeError, IndexError)
#: what is in memory before anything is written there
UNDEFINED = ("empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided",
             "empty_permuted", "resize_", "resize_as_")  # fmt: skip


@dataclasses.dataclass
class Outcome:
    """One sample at one of ``STAGES``."""

    op: str
    stage: str
    dtype: str
    sample: str
    failure: str = ""  # empty: agrees
    trace: str = ""


# -- the op in both worlds ----------------------------------------------------------------------
def full_name(op):
    """``max.binary``, ``nn.functional.conv2d``."""
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name


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


def counterpart(op, T):
    """The op's function in ``T`` (torch or tinyconv); None where T has none."""
    function = op.op
    if isinstance(function, types.FunctionType) and "torch.testing" in function.__module__:
        return swapped(function, T)
    if T is torch:
        return function
    if op.name.startswith("__"):
        return vars(tc.Tensor).get(op.name)
    owner = tc
    for part in op.name.split("."):
        owner = getattr(owner, part, None)
    return owner


def describe_sample(sample):
    parts = [describe(sample.input), *map(describe, sample.args), describe(sample.kwargs)]
    return ", ".join(part for part in parts if part)


# -- one sample ---------------------------------------------------------------------------------
class Run:
    """The op on one sample in one world, and its derivatives step by step."""

    def __init__(self, T, op, sample, seed=0, method=None):
        self.T, self.builder = T, Builder(T)
        self.function = getattr(T.Tensor, method) if method else counterpart(op, T)
        self.sample = sample
        self.arguments = self.builder((sample.input, list(sample.args), sample.kwargs))
        T.manual_seed(seed)

    def forward(self):
        x, args, kwargs = self.arguments
        self.output = self.function(x, *args, **kwargs)
        return self.output

    def first(self, create_graph):
        """The gradients of <output, random> to every input that asks for one."""
        output = self.output
        process = self.sample.output_process_fn_grad
        if process is not None:
            output = (swapped(process, self.T) if isinstance(process, types.FunctionType)
                      else process)(output)  # fmt: skip
        outputs = [y for y in flat(output, self.T.Tensor) if y.requires_grad]
        self.inputs = [x for x in self.builder.tensors if x.requires_grad]
        if not outputs:
            return None
        self.cotangents = [self.cotangent(y, i) for i, y in enumerate(outputs)]
        self.gradients = self.T.autograd.grad(
            outputs, self.inputs, self.cotangents, create_graph=create_graph, allow_unused=True
        )
        return self.gradients

    def second(self):
        """The gradients of <gradients, random> to the inputs and the cotangents."""
        outputs = [g for g in self.gradients if g is not None and g.requires_grad]
        inputs = self.inputs + self.cotangents
        if not outputs:
            return [None] * len(inputs)
        cotangents = [self.cotangent(y, i + 10) for i, y in enumerate(outputs)]
        return self.T.autograd.grad(outputs, inputs, cotangents, allow_unused=True)

    def cotangent(self, y, seed):
        values = np.random.default_rng(seed).standard_normal(tuple(y.shape))
        dtype = np.float32 if y.dtype in (np.dtype("float32"), torch.float32) else np.float64
        return self.T.from_numpy(np.asarray(values, dtype)).requires_grad_()

    def shapes(self, gradients, inputs):
        """None, which means zero, as zeros."""
        return [
            self.T.zeros(tuple(x.shape), dtype=x.dtype) if g is None else g
            for g, x in zip(gradients, inputs, strict=True)
        ]


def check(op, sample, dtype, derivatives=True):
    """Outcomes of one sample: forward, grad, gradgrad."""
    name, text = full_name(op), describe_sample(sample)
    differentiable = derivatives and dtype in TOLERANCE and op.supports_autograd
    stages = ["forward"]
    ours, theirs = Run(tc, op, sample), Run(torch, op, sample)
    values = is_determined(op, sample)
    found = {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = theirs.forward()
            if any(y.requires_grad for y in flat(expected, torch.Tensor)) and differentiable:
                stages += ["grad"]
                if dtype == "float64" and op.supports_gradgrad:
                    stages += ["gradgrad"]
            compare(ours.forward(), expected, values=values)
            compare(ours.builder.tensors, theirs.builder.tensors, "input after the op", values)
            found["forward"] = ("", "")
            if "grad" in stages:
                expected = theirs.first("gradgrad" in stages)
                got = ours.first("gradgrad" in stages)
                if got is None:
                    raise Differs("grad: no output requires grad")
                compare_gradients(ours, theirs, got, expected, "grad", values)
                found["grad"] = ("", "")
            if "gradgrad" in stages:
                expected, got = theirs.second(), ours.second()
                compare_gradients(ours, theirs, got, expected, "gradgrad", values)
                found["gradgrad"] = ("", "")
    except OutOfScope:
        raise
    except Exception as error:
        if is_absent(error):
            raise
        kind = "" if isinstance(error, Differs) else f"{type(error).__name__}: "
        failed = next(stage for stage in stages if stage not in found)
        found[failed] = (f"{kind}{error}", traceback.format_exc())
    for stage in stages:
        failure, trace = found.get(stage, ("the stage before failed", ""))
        yield Outcome(name, stage, dtype, text, failure, trace)


def check_method(op, sample, dtype, method):
    """Outcome of ``Tensor.method`` on the sample; None where PyTorch has it not or refuses."""
    ours, theirs = (Run(T, op, sample, method=method) for T in (tc, torch))
    inplace = method.endswith("_") and not method.endswith("__")
    failure = trace = ""
    with warnings.catch_warnings(), torch.no_grad(), tc.no_grad():
        warnings.simplefilter("ignore")
        try:
            expected = theirs.forward()
        except Exception:
            return None
        values = is_determined(op, sample)
        try:
            compare(ours.forward(), expected, values=values)
            compare(ours.builder.tensors, theirs.builder.tensors, "input after the op", values)
            if inplace and ours.output is not ours.arguments[0]:
                raise Differs("the tensor itself must come back")
        except Exception as error:
            failure, trace = f"Tensor.{method}: {error!r}", traceback.format_exc()
    stage = "inplace" if inplace else "method"
    return Outcome(full_name(op), stage, dtype, describe_sample(sample), failure, trace)


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


def compare_gradients(ours, theirs, got, expected, what, values):
    many = len(expected) > len(theirs.inputs)
    inputs = [run.inputs + (run.cotangents if many else []) for run in (ours, theirs)]
    got, expected = ours.shapes(got, inputs[0]), theirs.shapes(expected, inputs[1])
    compare(list(got), list(expected), what, values)


def is_determined(op, sample):
    """Whether PyTorch's answer depends on the sample alone, not on the seed or on old memory."""
    if op.name in UNDEFINED:
        return False
    if (
        not isinstance(op.op, types.FunctionType)
        or "wrapper_set_seed" not in op.op.__code__.co_names
    ):
        return True
    a, b = (Run(torch, op, sample, seed).forward() for seed in (1, 2))
    return all(map(torch.equal, flat(a, torch.Tensor), flat(b, torch.Tensor)))


def check_error(op, error):
    """Outcome of one error sample: tinyconv raises, and the message names the op."""
    sample = error.sample_input
    if "out" in sample.kwargs:
        raise OutOfScope("out=")
    if op.name.startswith("__") and not isinstance(sample.input, torch.Tensor):
        raise OutOfScope("number as self")
    run = Run(tc, op, sample)
    failure = message = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run.forward()
        failure = f"nothing raised; torch: {error.error_type.__name__}: {error.error_regex}"
    except ERRORS as raised:
        message = f"{type(raised).__name__}: {raised}"
        if not any(n.strip("_") in str(raised) for n in names_of(op)):
            failure = f"message does not name the op: {message}"
    except Exception as raised:
        if is_absent(raised):
            raise
        failure = f"{type(raised).__name__}: {raised}"
    return Outcome(full_name(op), "error", "", describe_sample(sample), failure, message)


def names_of(op):
    return [name.rsplit(".", 1)[-1] for name in (op.name, *(str(a) for a in op.aliases))]


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
            skipped["over the limit"] += 1
            return
        try:
            yield from check(op, sample, dtype)
            if dtype == "float64":
                (outcome,) = check(op, sample.noncontiguous(), dtype, derivatives=False)
                yield dataclasses.replace(outcome, stage="noncontiguous")
            if isinstance(sample.input, torch.Tensor):
                outcomes = (check_method(op, sample, dtype, name) for name in methods)
                yield from filter(None, outcomes)
        except OutOfScope as reason:
            skipped[str(reason)] += 1


def is_internal(op):
    """PyTorch's own machinery, devices, sparse and complex numbers: no public CPU function."""
    return (
        not isinstance(op.op, (types.FunctionType, types.BuiltinFunctionType))
        and not op.name.startswith("__")
        or op.name.startswith(("_", "torch.", "sparse.", "jiterator", "native_"))
        and not op.name.startswith("__")
    )


STAGES = ("forward", "noncontiguous", "method", "inplace", "grad", "gradgrad", "error")


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
    parser.add_argument("--verbose", action="store_true", help="all failures, with tracebacks")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    ops = select(options.names) if options.names else [op for op in op_db if not is_internal(op)]
    totals, absent = Counter(), []
    for op in ops:
        skipped = Counter()
        try:
            found = list(
                outcomes(op, tuple(options.dtype or DTYPES), options.limit, not options.errors,
                         skipped=skipped)
            )  # fmt: skip
        except LookupError:
            absent.append(full_name(op))
            continue
        print(line(full_name(op), found, skipped), flush=True)
        failures = [o for o in found if o.failure and o.failure != "the stage before failed"]
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
