"""Normalisations without running statistics."""

from tinyconv.nn import functional as F
from tinyconv.nn.module import Module


class LocalResponseNorm(Module):
    """``F.local_response_norm`` as a layer: divides by what neighbouring channels hold.

    Args:
        size, alpha, beta, k: see there; the paper's are 5, 5e-4, 0.75 and 2.

    >>> import tinyconv as tc
    >>> tc.nn.LocalResponseNorm(5, alpha=5e-4, k=2)
    LocalResponseNorm(5, alpha=0.0005, beta=0.75, k=2)
    """

    def __init__(self, size, alpha=1e-4, beta=0.75, k=1.0):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x):
        return F.local_response_norm(x, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self):
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
