"""Activations as layers, from a table: class, function, what is shown, arguments with defaults."""

import functools

from tinyconv.nn import functional as F
from tinyconv.nn.init import constant_
from tinyconv.nn.module import Module
from tinyconv.nn.modules.table import layer
from tinyconv.nn.modules.weights import blank

_layer = functools.partial(layer, __name__)

ReLU = _layer("ReLU", F.relu, inplace=False)
ReLU6 = _layer("ReLU6", F.relu6, inplace=False)
LeakyReLU = _layer(
    "LeakyReLU", F.leaky_relu, "negative_slope={negative_slope}", negative_slope=0.01, inplace=False
)
ELU = _layer("ELU", F.elu, "alpha={alpha}", alpha=1.0, inplace=False)
CELU = _layer("CELU", F.celu, "alpha={alpha}", alpha=1.0, inplace=False)
SELU = _layer("SELU", F.selu, inplace=False)
SiLU = _layer("SiLU", F.silu, inplace=False)
Mish = _layer("Mish", F.mish, inplace=False)
GELU = _layer("GELU", F.gelu, "approximate={approximate!r}", approximate="none")
GLU = _layer("GLU", F.glu, "dim={dim}", dim=-1)
Hardtanh = _layer(
    "Hardtanh", F.hardtanh, "min_val={min_val}, max_val={max_val}",
    min_val=-1.0, max_val=1.0, inplace=False,
)  # fmt: skip
Hardswish = _layer("Hardswish", F.hardswish, None, inplace=False)
Hardsigmoid = _layer("Hardsigmoid", F.hardsigmoid, None, inplace=False)
Hardshrink = _layer("Hardshrink", F.hardshrink, "{lambd}", lambd=0.5)
Softshrink = _layer("Softshrink", F.softshrink, "{lambd}", lambd=0.5)
Tanhshrink = _layer("Tanhshrink", F.tanhshrink)
Softsign = _layer("Softsign", F.softsign)
Threshold = _layer(
    "Threshold", F.threshold, "threshold={threshold}, value={value}",
    threshold=..., value=..., inplace=False,
)  # fmt: skip
Softplus = _layer(
    "Softplus", F.softplus, "beta={beta}, threshold={threshold}", beta=1.0, threshold=20.0
)
Sigmoid = _layer("Sigmoid", F.sigmoid)
LogSigmoid = _layer("LogSigmoid", F.logsigmoid)
Tanh = _layer("Tanh", F.tanh)
Softmax = _layer("Softmax", F.softmax, "dim={dim}", dim=None)
Softmin = _layer("Softmin", F.softmin, "dim={dim}", dim=None)
LogSoftmax = _layer("LogSoftmax", F.log_softmax, "dim={dim}", dim=None)


class Softmax2d(Module):
    """Softmax over the channels of images (N, C, H, W) or (C, H, W)."""

    def forward(self, x):
        if x.ndim not in (3, 4):
            raise ValueError(
                f"Softmax2d: wants (N, C, H, W) or (C, H, W), got shape {list(x.shape)}"
            )
        return F.softmax(x, -3)


class RReLU(Module):
    """``F.rrelu`` as a layer: slopes are random while training, their mean in ``eval()``."""

    def __init__(self, lower=1 / 8, upper=1 / 3, inplace=False):
        super().__init__()
        self.lower, self.upper, self.inplace = lower, upper, inplace

    def forward(self, x):
        return F.rrelu(x, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self):
        return f"lower={self.lower}, upper={self.upper}" + ", inplace=True" * bool(self.inplace)


class PReLU(Module):
    """``F.prelu`` with its slopes. State: ``weight`` (num_parameters,).

    Args:
        num_parameters: 1, or the number of channels.
        init: what the slopes start from.
    """

    def __init__(self, num_parameters=1, init=0.25, device=None, dtype=None):
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = blank((num_parameters,), dtype, device)
        self.reset_parameters()

    def reset_parameters(self):
        """Set the slopes back to ``init``."""
        constant_(self.weight, self.init)

    def forward(self, x):
        return F.prelu(x, self.weight)

    def extra_repr(self):
        return f"num_parameters={self.num_parameters}"
