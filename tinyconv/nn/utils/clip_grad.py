"""Gradients clipped by their norm, or number by number."""

import numpy as np

from tinyconv.autograd import Tensor
from tinyconv.autograd.modes import settle

__all__ = ["clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]


def get_total_norm(tensors, norm_type=2.0, error_if_nonfinite=False, foreach=None) -> Tensor:
    """The norm of all numbers in ``tensors`` (a Tensor or several), as if they were one vector.

    Args:
        norm_type: p of the p-norm; ``inf`` for the largest absolute value.
        error_if_nonfinite: raise where the norm is NaN or infinite.
        foreach: accepted, and means nothing.

    Raises:
        RuntimeError: see ``error_if_nonfinite``.

    >>> import tinyconv as tc
    >>> tc.nn.utils.get_total_norm([tc.tensor([3.0]), tc.tensor([0.0, 4.0])])
    tensor(5.)
    """
    arrays = [t.array for t in _several(tensors)]
    if not arrays:
        return Tensor(np.zeros((), np.float32))
    p = float(norm_type)
    with np.errstate(all="ignore"):
        norms = [np.linalg.norm(a.reshape(-1), p) if a.size else 0.0 for a in arrays]
        total = np.linalg.norm(np.asarray(norms), p)
    if error_if_nonfinite and not np.isfinite(total):
        raise RuntimeError(
            f"get_total_norm: the norm of order {p:g} is {total}: a gradient is NaN or infinite. "
            "Leave out error_if_nonfinite to scale by it all the same"
        )
    return Tensor(np.asarray(total, np.result_type(*arrays)))


def clip_grads_with_norm_(parameters, max_norm, total_norm, foreach=None) -> None:
    """Scale all gradients by max_norm / total_norm if that is less than 1."""
    scale = float(max_norm) / (float(total_norm) + 1e-6)
    if scale >= 1:
        return
    settle()
    for g in _writable("clip_grads_with_norm_", parameters):
        with np.errstate(all="ignore"):
            np.multiply(g.array, g.dtype.type(scale), out=g.array)
        g._bump()


def clip_grad_norm_(
    parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None
) -> Tensor:
    """Scale the gradients in place so that their norm, taken together, is at most ``max_norm``.

    g <- g min(1, max_norm / (norm + 1e-6)).

    Args:
        parameters: a Tensor or several; those without a gradient are passed over.
        max_norm: the largest norm allowed.
        norm_type, error_if_nonfinite: as in ``get_total_norm``.

    Returns:
        the norm before.

    Source: Pascanu, Mikolov, Bengio 2012, arXiv:1211.5063, Algorithm 1.

    >>> import tinyconv as tc
    >>> p = tc.nn.Parameter(tc.zeros(2)); p.grad = tc.tensor([3.0, 4.0])
    >>> tc.nn.utils.clip_grad_norm_([p], 1.0), p.grad
    (tensor(5.), tensor([0.6000, 0.8000]))
    """
    parameters = _several(parameters)
    norm = get_total_norm(_gradients(parameters), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, max_norm, norm)
    return norm


def clip_grad_value_(parameters, clip_value, foreach=None) -> None:
    """Bring every number of the gradients into [-clip_value, clip_value], in place."""
    settle()
    for g in _writable("clip_grad_value_", parameters):
        np.clip(g.array, -float(clip_value), float(clip_value), out=g.array)
        g._bump()


def _several(tensors):
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _gradients(parameters):
    return [p.grad for p in _several(parameters) if p.grad is not None]


def _writable(op, parameters):
    """The gradients, if every one of them can be changed: all are, or none."""
    gradients = _gradients(parameters)
    for i, g in enumerate(gradients):
        if not g.array.flags.writeable:
            raise RuntimeError(
                f"{op}: gradient {i} of shape {list(g.shape)} has read-only or expanded memory; "
                "nothing was changed. Give it memory of its own by .clone()"
            )
    return gradients
