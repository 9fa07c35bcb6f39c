"""The whole examination of a derivative, from arguments to Report: check, check_vjp."""

import inspect
import time

import numpy as np

from tinyconv.autograd import Tensor
from tinyconv.names import nearest_or
from tinyconv.testing import compare, trace, twin
from tinyconv.testing.effects import INVALID, Effects, Finding
from tinyconv.testing.judge import fast_pairs, full_pairs, verdict
from tinyconv.testing.oracles import ORACLES, choose, signed
from tinyconv.testing.report import Report
from tinyconv.testing.reproduce import Source
from tinyconv.testing.subject import ArraySubject, ShapesChange, TensorSubject, is_float

#: up to so many elements of inputs and outputs together "auto" looks at every one
FULL = 1200
_KINKS, _MODES = ("hull", "skip", "error"), ("auto", "full", "fast")


def check(func, inputs, **options):
    """Check the derivatives of ``func`` at ``inputs``, and say what is wrong with them.

    d(output)/d(input), as backward gives it, is compared element by element with slopes of the
    function that carry error bars (see ``oracles``); then the gradient is checked in the same
    way as a function of inputs and cotangents (order 2). Besides the values, all that a backward
    must keep is looked at: no argument written to, linear in the cotangent, the same for any
    memory layout and number of threads ...

    Args:
        func: maps Tensors to a Tensor or to a tuple, list or dict of them.
        inputs: array or Tensor, or a sequence of them and of anything else that ``func`` takes.
            Tensors that require grad are differentiated; where there is none, all floats are.
        order: 1, or 2 for second derivatives too (default 2).
        oracle: "auto" (default; the strongest that applies), "exact", "adjoint", "complex",
            "richardson" or "twin" (float32 against float64; the default for float32 inputs).
        mode: "full" compares every element, "fast" random directions; "auto" (default) is full
            for up to 1200 elements of inputs and outputs, and else fast, with a search for the
            guilty elements where a direction fails.
        directions: how many per input and output in fast mode (default 3). A single wrong
            element shows in each; faults that cancel in one direction do so in all with a
            probability below 2^-directions.
        kinks: "hull" (default): where the one-sided slopes differ, the derivative must lie
            between them; "skip" or "error".
        eps: an absolute step for the differences (default: relative ones).
        atol, rtol: errors up to atol + rtol |slope| pass too (default 0).
        effects: False, or names of looks to skip (see ``effects.Effects.names``).
        nondet_tol: by how much two runs may differ (default 0).
        seed: of signs, steps and directions (default: a fresh one, which the report shows).

    Returns:
        Report; true if all passed.

    Raises:
        ValueError, TypeError: bad arguments. What ``func`` itself raises comes through.

    >>> import numpy as np, tinyconv as tc
    >>> from tinyconv.testing import check
    >>> check(tc.tanh, np.array([0.5, -1.0])).verdict
    'passed'
    """
    arguments, wrt = differentiated(inputs, "check")
    options = Options.of("check", options, order=2)
    subject = TensorSubject(_callable(func, "func"), arguments, wrt)
    return examine(subject, options, Source("check", [func], arguments, options))


def check_vjp(forward, backward, arrays, **options):
    """Check a derivative written in plain NumPy, without any Tensor.

    Args:
        forward: ``forward(*arrays)`` returns an array, or a tuple of them.
        backward: ``backward(gy, *arrays)`` returns the gradient of every array: one array for
            one, else a tuple, with None where an array has none. ``gy`` has the shape of the
            output, and is a tuple where ``forward`` returns one.
        arrays: array or sequence of arrays; the float ones are differentiated.
        options: those of ``check``; order is 1 (second derivatives: give ``backward`` as the
            forward of another check).

    Returns:
        Report; true if all passed.

    Raises:
        ValueError, TypeError: bad arguments.

    >>> import numpy as np
    >>> from tinyconv.testing import check_vjp
    >>> report = check_vjp(np.square, lambda gy, x: 3 * x * gy, np.array([1.0, -2.5]))
    >>> report.verdict, report.cause
    ('wrong', 'constant factor')
    """
    arguments, wrt = differentiated(arrays, "check_vjp")
    options = Options.of("check_vjp", options, order=1)
    if options.order != 1:
        raise ValueError("check_vjp: order=2 needs Tensors; check backward as a forward instead")
    for name, function in (("forward", forward), ("backward", backward)):
        _callable(function, name)
    subject = ArraySubject(forward, backward, [_bare(a) for a in arguments], wrt)
    source = Source("check_vjp", [forward, backward], arguments, options)
    return examine(subject, options, source)


class Options:
    """The keywords of ``check``, checked."""

    @classmethod
    def of(cls, what, given, order):
        """Options from the keywords given to ``what``."""
        names = inspect.signature(cls).parameters
        for name in given:
            if name not in names:
                hint = nearest_or(name, names, f"There are {', '.join(names)}")
                raise TypeError(f"{what}: unknown option {name!r}; {hint}")
        return cls(**{"order": order, **given})

    def __init__(
        self, *, order, oracle="auto", mode="auto", directions=3, kinks="hull", eps=None,
        atol=None, rtol=None, effects=True, nondet_tol=0.0, seed=None,
    ):  # fmt: skip
        _one_of("oracle", oracle, ("auto", *ORACLES, "twin"))
        _one_of("mode", mode, _MODES)
        _one_of("kinks", kinks, _KINKS)
        if isinstance(order, bool) or order not in (1, 2):
            raise ValueError(f"order={order!r}: wants 1 or 2")
        if not isinstance(effects, bool):
            if isinstance(effects, str) or effects is None:
                raise TypeError(
                    f"effects={effects!r}: wants True, False or a list of names to skip"
                )
            for name in effects:
                _one_of("effects", name, Effects.names)
        for name, value in (
            ("eps", eps),
            ("atol", atol),
            ("rtol", rtol),
            ("nondet_tol", nondet_tol),
        ):
            if value is not None and not (_is_number(value) and 0 <= value < np.inf):
                raise ValueError(f"{name}={value!r}: wants a number of at least 0")
        if eps == 0:
            raise ValueError("eps=0: wants a positive step, or None")
        for name, value, least in (("directions", directions, 1), ("seed", seed, 0)):
            whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
            if not (whole and value >= least) and not (name == "seed" and value is None):
                raise ValueError(f"{name}={value!r}: wants a whole number of at least {least}")
        if seed is None:
            seed = int(np.random.SeedSequence().entropy % 2**32)
        self.order, self.oracle, self.mode, self.directions = order, oracle, mode, directions
        self.kinks, self.eps, self.atol, self.rtol = kinks, eps, atol or 0.0, rtol or 0.0
        self.effects, self.nondet_tol, self.seed = effects, nondet_tol, seed
        self.rng = np.random.default_rng(seed)


def examine(subject, options, source):
    """Run all parts of a check on a subject; returns the Report."""
    began = time.perf_counter()
    report = Report(source.names, options.seed, source=source)
    with np.errstate(all="ignore"):
        if options.oracle == "twin" or any(x.dtype == np.float32 for x in subject.x):
            subjects = _examine_twins(subject, options, report)
        else:
            subjects = _examine(subject, options, report)
    report.verdict = verdict(report)
    report.evaluations = sum(s.evaluations for s in subjects)
    report.pulls = sum(s.pulls for s in subjects)
    report.seconds = time.perf_counter() - began
    return report


def _examine(subject, options, report):
    subjects = [subject]
    subject.settle()
    if not _checkable(subject, report):
        return subjects
    _effects(subject, options, report)
    if any(f.kind in INVALID or f.kind in ("raises", "shape") for f in report.findings):
        return subjects
    compared(subject, options, report)
    settled = verdict(report) in ("wrong", "vacuous")  # of what is not seen no more is to be seen
    if options.order == 2 and not settled:
        cotangents = [signed(options.rng, y.shape, y.dtype) for y in subject.outputs]
        second = _second(subject, cotangents, report)
        if second is not None:
            subjects.append(second)
            compared(second, options, report)
    wrong = any(p.verdict == "wrong" for p in report.pairs)
    if wrong and isinstance(subject, TensorSubject) and not subject.alone:
        trace.judge(subject, options, report, _examine)
    return subjects


def _examine_twins(subject, options, report):
    """float32: the derivative is proven in float64, then float32 is held against it."""
    if options.oracle == "twin":
        options.oracle = "auto"
    high, low = twin.pair_up(subject)
    if any(y.dtype != np.float64 for y in high.outputs):
        raise ValueError(
            "oracle='twin': the function gives float32 for float64 inputs, so there is no twin to "
            "compare with; let it follow the dtype of its inputs"
        )
    subjects = _examine(high, options, report)
    if high.outputs and not any(f.kind in INVALID for f in report.findings):
        _effects(low, options, report)
        twin.compared(high, low, options, report)
    return [low, *subjects]


def compared(subject, options, report):
    """Compare the derivative with the oracle; adds one Pair per output and input."""
    total = subject.size + sum(x.size for x in subject.x)
    mode = options.mode
    if mode == "auto":
        mode = "full" if total <= FULL else "fast"
    oracles = choose(subject, options.oracle, options.rng, options.eps, mode == "full")
    comparison = compare.Comparison(
        subject, oracles, options.rng, options.kinks, options.atol, options.rtol
    )
    report.mode = mode
    if mode == "full":
        report.pairs += full_pairs(comparison)
        subject.kinked = comparison.kinked
        if comparison.dense is not None and options.effects is True:
            report.findings.append(Finding("not linear", comparison.dense))
    else:
        report.pairs += fast_pairs(comparison, options.directions, locate=options.mode == "auto")


def _checkable(subject, report):
    """Whether there is a differentiable output with finite values; notes why not."""
    if not subject.outputs:
        floats, changes = subject.changes()
        if floats and not changes:
            report.notes.append("no output hangs on an input, and none changes with one either")
        else:
            report.findings.append(Finding(
                "not differentiable", "no output is a float that requires grad: the function "
                "detaches, returns integers, or does not use its inputs",
            ))  # fmt: skip
        return False
    if not all(np.isfinite(y).any() or not y.size for y in subject.outputs):
        report.findings.append(Finding("not finite", "an output has no finite value at this point"))
        return False
    return True


def _effects(subject, options, report):
    try:
        subject([x.copy() for x in subject.x])
    except ShapesChange as error:
        report.findings.append(Finding("nondeterministic", str(error)))
        return
    except RuntimeError:
        if not isinstance(subject, TensorSubject):
            raise
        subject.records = True  # it differentiates inside, and so needs tensors that record
        subject([x.copy() for x in subject.x])
    if options.effects is False:
        return
    skip = () if options.effects is True else tuple(options.effects)
    seen = {f.kind for f in report.findings}
    found = Effects(subject, options.rng, options.nondet_tol).run(skip)
    report.findings += [f for f in found if f.kind not in seen]


def _second(subject, cotangents, report):
    """The gradient as a Subject, or None with a note on why there is none."""
    try:
        second = subject.gradient(cotangents)
    except RuntimeError as error:
        if "once_differentiable" in str(error):
            report.notes.append(f"no second derivative: {error}")
            return None
        report.findings.append(Finding("raises", f"the gradient with create_graph=True: {error}"))
        return None
    except Exception as error:
        report.findings.append(
            Finding("raises", f"with create_graph=True: {type(error).__name__}: {error}")
        )
        return None
    if not second.connected and any(np.any(y) for y in second.outputs):
        report.notes.append(
            "no second derivative: the gradient records nothing, so that of a gradient would "
            "silently be zero; mark backward with @once_differentiable, or write it in Tensor ops"
        )
        return None
    return second


# -- arguments ------------------------------------------------------------------------------
def differentiated(inputs, what):
    """(arguments, which of them are differentiated)."""
    if isinstance(inputs, (np.ndarray, np.generic, Tensor, float)):
        inputs = (inputs,)
    try:
        arguments = list(inputs)
    except TypeError:
        raise TypeError(
            f"{what}: inputs is {type(inputs).__name__}; wants arrays or Tensors"
        ) from None
    arguments = [np.asarray(a) if isinstance(a, (float, np.generic)) else a for a in arguments]
    asked = [i for i, a in enumerate(arguments) if isinstance(a, Tensor) and a.requires_grad]
    wrt = asked or [i for i, a in enumerate(arguments) if is_float(a)]
    if not wrt:
        kinds = (
            ", ".join(str(getattr(a, "dtype", type(a).__name__)) for a in arguments) or "nothing"
        )
        raise ValueError(f"{what}: no input to differentiate: wants a float array, got {kinds}")
    for i in wrt:
        if arguments[i].dtype not in (np.float32, np.float64):
            raise TypeError(f"{what}: input {i} is {arguments[i].dtype}; wants float64 or float32")
        values = _bare(arguments[i])
        if not np.isfinite(values).all():
            raise ValueError(
                f"{what}: input {i} holds NaN or infinity; derivatives exist at numbers"
            )
    return arguments, wrt


def _is_number(value):
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _bare(value):
    return value.array if isinstance(value, Tensor) else value


def _callable(function, name):
    if not callable(function):
        raise TypeError(f"{name} is {type(function).__name__}; wants a function")
    return function


def _one_of(name, value, allowed):
    if value not in allowed:
        raise ValueError(f"{name}={value!r}: wants one of {', '.join(map(repr, allowed))}")
