"""Normalisations without running statistics."""

from tinyconv.nn import functional as F
from tinyconv.nn import init
from tinyconv.nn.module import Module
from tinyconv.nn.modules.weights import blank
from tinyconv.ops.shape import sizes


class _Weighted(Module):
    """A norm with a weight of 1 and a bias of 0 to begin with, or None for either."""

    def _make(self, shape, weight, bias, device, dtype):
        self.register_parameter("weight", blank(shape, dtype, device) if weight else None)
        if bias is not None:
            self.register_parameter("bias", blank(shape, dtype, device) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Make the weights 1 and 0 again."""
        if self.weight is not None:
            init.ones_(self.weight)
        if getattr(self, "bias", None) is not None:
            init.zeros_(self.bias)


class GroupNorm(_Weighted):
    """``F.group_norm`` with its weights.

    Args:
        num_groups: divides ``num_channels``.
        num_channels: C.
        eps: added to the variance.
        affine: learn ``weight`` and, unless ``bias`` is False, ``bias``.

    State: ``weight``, ``bias`` (C,).

    Raises:
        ValueError: channels that ``num_groups`` does not divide.

    >>> import tinyconv as tc
    >>> tc.nn.GroupNorm(3, 6)(tc.randn(2, 6, 4, 5)).shape
    (2, 6, 4, 5)
    """

    def __init__(
        self, num_groups, num_channels, eps=1e-5, affine=True, device=None, dtype=None, *, bias=True
    ):
        super().__init__()
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(
                f"GroupNorm: num_groups={num_groups} must divide num_channels={num_channels}"
            )
        self.num_groups, self.num_channels = num_groups, num_channels
        self.eps, self.affine = eps, affine
        self._make(num_channels, affine, affine and bias, device, dtype)

    def forward(self, x):
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class LayerNorm(_Weighted):
    """``F.layer_norm`` with its weights.

    Args:
        normalized_shape: the last sizes of the input, or the last one.
        eps: added to the variance.
        elementwise_affine: learn ``weight`` and, unless ``bias`` is False, ``bias``.

    State: ``weight``, ``bias`` of ``normalized_shape``.

    >>> import tinyconv as tc
    >>> tc.nn.LayerNorm(5)
    LayerNorm((5,), eps=1e-05, elementwise_affine=True, bias=True)
    """

    def __init__(
        self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True, device=None,
        dtype=None,
    ):  # fmt: skip
        super().__init__()
        self.normalized_shape = sizes((normalized_shape,))
        self.eps, self.elementwise_affine = eps, elementwise_affine
        weight = elementwise_affine
        self._make(self.normalized_shape, weight, weight and bias, device, dtype)

    def forward(self, x):
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class RMSNorm(_Weighted):
    """``F.rms_norm`` with its ``weight`` of ``normalized_shape``; arguments as in ``LayerNorm``."""

    def __init__(
        self, normalized_shape, eps=None, elementwise_affine=True, device=None, dtype=None
    ):
        super().__init__()
        self.normalized_shape = sizes((normalized_shape,))
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self._make(self.normalized_shape, elementwise_affine, None, device, dtype)

    def forward(self, x):
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self):
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


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
