"""All parameters as one vector, and back."""

from tinyconv.autograd import Tensor
from tinyconv.ops.join import cat

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters) -> Tensor:
    """All parameters, flattened, as one vector; differentiable."""
    return cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec, parameters) -> None:
    """Give each parameter its part of ``vec``, as its data.

    Raises:
        TypeError: if ``vec`` is no Tensor.
        ValueError: if it is too short; nothing is changed then.
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"vector_to_parameters: wants a Tensor, got {type(vec).__name__}")
    parameters, start = list(parameters), 0
    wanted = sum(p.numel() for p in parameters)
    if vec.numel() < wanted:
        raise ValueError(
            f"vector_to_parameters: a vector of shape {list(vec.shape)} for {wanted} numbers"
        )
    for p in parameters:
        p.data = vec.detach()[start : start + p.numel()].reshape(p.shape)
        start += p.numel()
