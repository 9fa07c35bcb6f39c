"""Losses as layers, from a table: class, function, arguments with defaults."""

import functools

from tinyconv.nn import functional as F
from tinyconv.nn.modules.table import layer

_layer = functools.partial(layer, __name__)

CrossEntropyLoss = _layer(
    "CrossEntropyLoss", F.cross_entropy,
    weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0,
)  # fmt: skip
NLLLoss = _layer("NLLLoss", F.nll_loss, weight=None, ignore_index=-100, reduction="mean")
MSELoss = _layer("MSELoss", F.mse_loss, reduction="mean")
L1Loss = _layer("L1Loss", F.l1_loss, reduction="mean")
