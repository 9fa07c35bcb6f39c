"""PyTorch's gradcheck and gradgradcheck; ``tinyconv.testing`` does the work."""


class GradcheckError(RuntimeError):
    """A derivative is wrong, or cannot be checked; ``report`` holds all that was seen."""

    def __init__(self, report):
        super().__init__(str(report))
        self.report = report


class WrongGradientError(GradcheckError):
    """The derivative is wrong."""


class NotCheckableError(GradcheckError):
    """The derivative was not judged: the function breaks a rule that a check rests on."""


def set_checker(load):
    """``tinyconv.testing``, which stands above this floor, tells how its checker is loaded."""
    global _load_checker
    _load_checker = load


def gradcheck(
    func,
    inputs,
    *,
    eps=None,
    atol=None,
    rtol=None,
    raise_exception=True,
    nondet_tol=0.0,
    check_undefined_grad=True,
    check_grad_dtypes=True,
    check_batched_grad=False,
    check_batched_forward_grad=False,
    check_forward_ad=False,
    check_backward_ad=True,
    fast_mode=False,
    masked=None,
):
    """Check the first derivatives of ``func`` at ``inputs``: True, or GradcheckError.

    Every element of the Jacobian is compared with differences that carry an error bar of their
    own, so there is no step to choose and no tolerance. At kinks the derivative must lie between
    the one-sided slopes.

    Args:
        func: Tensors to a Tensor or a tuple of Tensors.
        inputs: Tensor or tuple; the float ones that require grad are differentiated, float32
            ones by comparison with float64.
        eps: a step to use in place of the ladder of steps (default None).
        atol, rtol: errors up to atol + rtol |slope| pass as well (default None: 0).
        raise_exception: with False, return False in place of raising.
        nondet_tol: by how much two backward passes may differ (default 0: by no bit).
        check_undefined_grad: also walk with cotangents for some of the outputs only.
        check_grad_dtypes: gradients must have their input's dtype.
        fast_mode: random directions in place of every element.
        check_backward_ad, masked, check_batched_grad, check_batched_forward_grad,
            check_forward_ad: for PyTorch's signature; forward mode and batched gradients do not
            exist here.

    Raises:
        WrongGradientError: a derivative is wrong; ``error.report`` names elements and cause.
        NotCheckableError: the function is not deterministic, changes its inputs, has no
            differentiable output, or nothing but rounding could be seen.
        ValueError, TypeError: bad arguments.

    >>> import tinyconv as tc
    >>> x = tc.randn(3, 2, dtype=tc.float64, requires_grad=True)
    >>> tc.autograd.gradcheck(tc.tanh, x)
    True
    """
    _refuse(check_batched_grad or check_batched_forward_grad, "gradcheck: batched gradients")
    _refuse(check_forward_ad, "gradcheck: forward mode")
    return _load_checker().gradcheck(
        func, inputs, order=1, eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception,
        nondet_tol=nondet_tol, dtypes=check_grad_dtypes, undefined=check_undefined_grad,
        fast_mode=fast_mode,
    )  # fmt: skip


def gradgradcheck(
    func,
    inputs,
    grad_outputs=None,
    *,
    eps=None,
    atol=None,
    rtol=None,
    gen_non_contig_grad_outputs=False,
    raise_exception=True,
    nondet_tol=0.0,
    check_undefined_grad=True,
    check_grad_dtypes=False,
    check_batched_grad=False,
    check_fwd_over_rev=False,
    check_rev_over_rev=True,
    fast_mode=False,
    masked=False,
):
    """Check the second derivatives of ``func`` at ``inputs``: True, or GradcheckError.

    The gradient, as a function of the inputs *and* of the cotangents, is checked like any other
    function.

    Args:
        grad_outputs: cotangents of the outputs (default: random ones of either sign).
        gen_non_contig_grad_outputs: make those random ones non-contiguous.
        others: as for ``gradcheck``.

    Raises:
        WrongGradientError, NotCheckableError, ValueError, TypeError: as ``gradcheck``.

    >>> import tinyconv as tc
    >>> x = tc.randn(3, 2, dtype=tc.float64, requires_grad=True)
    >>> tc.autograd.gradgradcheck(tc.tanh, x)
    True
    """
    _refuse(check_batched_grad, "gradgradcheck: batched gradients")
    _refuse(check_fwd_over_rev, "gradgradcheck: forward mode")
    return _load_checker().gradcheck(
        func, inputs, order=2, eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception,
        nondet_tol=nondet_tol, dtypes=check_grad_dtypes, undefined=check_undefined_grad,
        fast_mode=fast_mode, cotangents=grad_outputs, strided=gen_non_contig_grad_outputs,
    )  # fmt: skip


def _refuse(asked, what):
    if asked:
        raise ValueError(f"{what} do not exist in tinyconv; leave the argument False")
