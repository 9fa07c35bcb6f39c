"""Checks that answer by an exception: for tests, and with PyTorch's names."""

import warnings

import numpy as np

from tinyconv.autograd import Tensor
from tinyconv.autograd.gradcheck import NotCheckableError, WrongGradientError
from tinyconv.nn import Module
from tinyconv.testing.examine import Options, check, examine
from tinyconv.testing.modules import check_module
from tinyconv.testing.reproduce import Source
from tinyconv.testing.subject import TensorSubject


def assert_gradients(func, *inputs, **options):
    """For tests: AssertionError with the whole report unless the derivatives of ``func`` are right.

    Under Hypothesis the report is that of the shrunk example, and ends with code that runs it
    again.

    Args:
        func: maps Tensors to Tensors, or a Module (then its parameters are checked too).
        inputs: arrays or Tensors, and whatever else ``func`` takes.
        options: those of ``check``.

    >>> import numpy as np, tinyconv as tc
    >>> from tinyconv.testing import assert_gradients
    >>> assert_gradients(tc.exp, np.array([0.5, -1.0]))
    """
    __tracebackhide__ = True
    if isinstance(func, Module):
        report = check_module(func, *inputs, **options)
    else:
        report = check(func, inputs, **options)
    if not report.passed:
        raise AssertionError(str(report))


def gradcheck(
    func, inputs, *, order, raise_exception, nondet_tol, dtypes, undefined, fast_mode,
    eps, atol, rtol, cotangents=None, strided=False,
):  # fmt: skip
    """What ``autograd.gradcheck`` and ``gradgradcheck`` call."""
    name = "gradcheck" if order == 1 else "gradgradcheck"
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    wrt = [i for i, t in enumerate(inputs) if isinstance(t, Tensor) and t.requires_grad]
    if not wrt:
        raise ValueError(
            f"{name}: no input requires grad; make one with requires_grad=True (float64)"
        )
    skip = [look for look, wanted in (("dtypes", dtypes), ("undefined", undefined)) if not wanted]
    options = Options(
        order=1, mode="fast" if fast_mode else "full", eps=eps, atol=atol, rtol=rtol,
        nondet_tol=nondet_tol, effects=skip or True,
    )  # fmt: skip
    subject = TensorSubject(func, inputs, wrt)
    if order == 2:
        try:
            subject = _gradient(subject, cotangents, strided, options)
        except RuntimeError as error:  # once differentiable
            if raise_exception:
                raise
            warnings.warn(f"gradgradcheck: {error}", stacklevel=3)
            return False
    report = examine(subject, options, Source("check", [func], inputs, options, order))
    if report.passed or _constant(report):
        return True
    if raise_exception:
        raise (WrongGradientError if report.verdict == "wrong" else NotCheckableError)(report)
    return False


def _gradient(subject, cotangents, strided, options):
    """The gradient of ``subject`` as the subject to be checked."""
    subject.settle()
    if cotangents is None:
        cotangents = [options.rng.standard_normal(y.shape) for y in subject.outputs]
    given = (cotangents,) if isinstance(cotangents, Tensor) else tuple(cotangents)
    arrays = [v.array if isinstance(v, Tensor) else np.asarray(v) for v in given]
    shapes, wanted = [v.shape for v in arrays], [y.shape for y in subject.outputs]
    if shapes != wanted:
        raise ValueError(
            f"gradgradcheck: grad_outputs of shapes {shapes}, the outputs have {wanted}"
        )
    if strided:
        arrays = [np.repeat(v[..., None], 2, -1)[..., 0] for v in arrays]
    return subject.gradient(arrays)


def _constant(report):
    """PyTorch passes a function that does not change, with a gradient that is zero; so be it."""
    constant = (
        report.verdict == "vacuous"
        and not report.findings
        and all(pair.verdict == "zero" for pair in report.pairs)
    )
    if constant:
        warnings.warn(
            "gradcheck: the function does not change at these inputs, so any backward that "
            "returns zeros passes",
            stacklevel=4,
        )
    return constant
