"""One sample of PyTorch's operator database in both worlds: output, gradients, errors."""

import dataclasses
import traceback
import types
import warnings

import numpy as np
import torch
from samples import (
    TOLERANCE,
    Builder,
    Differs,
    OutOfScope,
    check_scope,
    compare,
    describe,
    flat,
    is_absent,
    no_worse,
    swapped,
)

import tinyconv as tc

ERRORS = (ValueError, TypeError, RuntimeError, IndexError)
#: old memory, and draws of few values: no two runs agree
UNDEFINED = ("empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided",
             "empty_permuted", "resize_", "resize_as_", "bernoulli")  # fmt: skip
#: ops that may give the place of any of equal values, and where their ``dim`` stands
TIES = {"topk": 1, "kthvalue": 1, "sort": 0, "argsort": 0, "mode": 0}
BEFORE = "the stage before failed"


@dataclasses.dataclass
class Outcome:
    """One sample at one stage."""

    op: str
    stage: str
    dtype: str
    sample: str
    failure: str = ""  # empty: agrees
    trace: str = ""


def full_name(op):
    """``max.binary``, ``nn.functional.conv2d``."""
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name


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


class Run:
    """The op on one sample in one world, and its derivatives step by step."""

    def __init__(self, T, op, sample, seed=0, method=None, order=2, **layout):
        self.T, self.op, self.sample, self.order = T, op, sample, order
        self.builder = Builder(T, **layout)
        self.function = getattr(T.Tensor, method) if method else counterpart(op, T)
        self.arguments = self.builder((sample.input, list(sample.args), sample.kwargs))
        T.manual_seed(seed)

    def step(self, stage):
        return getattr(self, stage)()

    def forward(self):
        """The output, and the tensors that went in as they are now."""
        x, args, kwargs = self.arguments
        self.output = self.function(x, *args, **kwargs)
        return [self.output, self.builder.tensors]

    def grad(self):
        """The gradients of <output, random> to every input that asks for one."""
        process = self.sample.output_process_fn_grad or (lambda output: output)
        if isinstance(process, types.FunctionType):
            process = swapped(process, self.T)
        outputs = [y for y in flat(process(self.output), self.T.Tensor)]
        self.inputs = [x for x in self.builder.tensors if x.requires_grad]
        outputs, self.cotangents = self.weighted(outputs, 0)
        if not outputs:
            raise Differs("grad: no output requires grad")
        self.gradients = self.T.autograd.grad(
            outputs, self.inputs, self.cotangents, create_graph=self.order > 1, allow_unused=True
        )
        return self.filled(self.gradients, self.inputs)

    def gradgrad(self):
        """The gradients of <gradients, random> to the inputs and the cotangents."""
        inputs = self.inputs + self.cotangents
        outputs, cotangents = self.weighted(self.gradients, 10)
        found = [None] * len(inputs)
        if outputs:
            found = self.T.autograd.grad(outputs, inputs, cotangents, allow_unused=True)
        return self.filled(found, inputs)

    def weighted(self, tensors, seed):
        """Those that require grad, and random cotangents for them."""
        pairs = [
            (y, self.cotangent(y, seed + i))
            for i, y in enumerate(tensors)
            if y is not None and y.requires_grad
        ]
        return [y for y, _ in pairs], [c for _, c in pairs]

    def cotangent(self, y, seed):
        values = np.random.default_rng(seed).standard_normal(tuple(y.shape))
        values = np.asarray(values, np.float32)
        single = y.dtype in (np.dtype("float32"), torch.float32)
        return self.T.from_numpy(
            values.astype(np.float32 if single else np.float64)
        ).requires_grad_()

    def filled(self, gradients, inputs):
        """None, which means zero, as zeros."""
        return [
            self.T.zeros(tuple(x.shape), dtype=x.dtype) if g is None else g
            for g, x in zip(gradients, inputs, strict=True)
        ]

    def settled(self):
        """The output with the values at the places that it tells instead of the places."""
        args, kwargs = self.arguments[1:]
        at = TIES[self.op.name]
        dim = kwargs.get("dim", args[at] if len(args) > at else -1)
        alone = isinstance(self.output, self.T.Tensor)
        x = self.arguments[0].detach().numpy()
        places = (self.output if alone else self.output[-1]).numpy()
        if x.ndim:
            places = places if places.ndim == x.ndim else np.expand_dims(places, dim)
            x = np.take_along_axis(x, places, dim)
        return [*([] if alone else self.output[:-1]), self.T.from_numpy(np.array(x))]


def check(op, sample, dtype, derivatives=True, **layout):
    """Outcomes of one sample: forward, grad, gradgrad; ``layout`` is for our tensors alone."""
    order = 2 if dtype == "float64" and op.supports_gradgrad else 1
    ours, theirs = Run(tc, op, sample, order=order, **layout), Run(torch, op, sample, order=order)
    values = is_determined(op, sample)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = theirs.forward()
        outputs = flat(expected[0], torch.Tensor)
        check_scope(outputs)
        stages = ["forward"]
        if derivatives and dtype in TOLERANCE and any(y.requires_grad for y in outputs):
            stages += ["grad", "gradgrad"][:order]
        failure = trace = ""
        for stage in stages:
            if not failure:
                try:
                    expected = expected if stage == "forward" else theirs.step(stage)
                    agree(ours, theirs, stage, expected, stages, dtype, values)
                except OutOfScope:
                    raise
                except Exception as error:
                    if is_absent(error):
                        raise
                    failure, trace = told(error), traceback.format_exc()
            elif failure:
                failure = BEFORE
            yield Outcome(full_name(op), stage, dtype, describe_sample(sample), failure, trace)


def agree(ours, theirs, stage, expected, stages, dtype, values):
    """Raise Differs unless tinyconv's step gives what PyTorch's gave."""
    got = ours.step(stage)
    ties = stage == "forward" and ours.op.name in TIES and not ours.sample.kwargs.get("stable")
    try:
        compare(got, expected, stage, values and not ties)
    except Differs:
        if dtype != "float32":
            raise
        exact = Run(torch, ours.op, ours.sample, double=True)
        results = {step: exact.step(step) for step in stages}
        if not no_worse(got, expected, results[stage]):
            raise
    if ties:
        compare(ours.settled(), theirs.settled())


def told(error):
    return str(error) if isinstance(error, Differs) else f"{type(error).__name__}: {error}"


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
        check_scope(flat(expected[0], torch.Tensor))
        try:
            values = is_determined(op, sample)
            agree(ours, theirs, "forward", expected, ["forward"], dtype, values)
            if inplace and ours.output is not ours.arguments[0]:
                raise Differs("the tensor itself must come back")
        except Exception as error:
            failure, trace = f"Tensor.{method}: {told(error)}", traceback.format_exc()
    stage = "inplace" if inplace else "method"
    return Outcome(full_name(op), stage, dtype, describe_sample(sample), failure, trace)


def is_determined(op, sample):
    """Whether PyTorch's answer depends on the sample alone, not on the seed or on old memory."""
    if op.name in UNDEFINED:
        return False
    code = getattr(op.op, "__code__", None)
    if code is None or "wrapper_set_seed" not in code.co_names:
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
    ours, theirs = Run(tc, op, sample), Run(torch, op, sample)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            theirs.forward()
        except Exception:
            pass
        else:
            raise OutOfScope("PyTorch raises nothing")
        failure = message = ""
        try:
            ours.forward()
            failure = f"nothing raised; torch: {error.error_type.__name__}: {error.error_regex}"
        except ERRORS as raised:
            message = f"{type(raised).__name__}: {raised}"
            if not any(name.strip("_") in str(raised) for name in names_of(op)):
                failure = f"message does not name the op: {message}"
        except Exception as raised:
            if is_absent(raised):
                raise
            failure = told(raised)
    return Outcome(full_name(op), "error", "", describe_sample(sample), failure, message)


def names_of(op):
    return [name.rsplit(".", 1)[-1] for name in (op.name, *(str(a) for a in op.aliases))]
