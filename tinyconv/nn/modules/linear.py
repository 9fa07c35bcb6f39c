"""Layers that weigh features."""

from tinyconv.nn import functional as F
from tinyconv.nn.module import Module
from tinyconv.nn.modules.weights import blank, reset


class Linear(Module):
    """y = x w^T + b. State: ``weight`` (out, in), ``bias`` (out,).

    >>> import tinyconv as tc
    >>> tc.nn.Linear(3, 4)
    Linear(in_features=3, out_features=4, bias=True)
    """

    def __init__(self, in_features, out_features, bias=True, device=None, dtype=None):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = blank((out_features, in_features), dtype, device)
        self.register_parameter("bias", blank(out_features, dtype, device) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw new weights."""
        reset(self.weight, self.bias)

    def forward(self, x):
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self):
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Identity(Module):
    """Returns its input; arguments are ignored."""

    def __init__(self, *args, **kwargs):
        super().__init__()

    def forward(self, x):
        return x
