"""Activations as layers, from a table: class, function, arguments with defaults."""

import functools

from tinyconv.nn import functional as F
from tinyconv.nn.modules.table import layer

_layer = functools.partial(layer, __name__)

ReLU = _layer("ReLU", F.relu, inplace=False)
ReLU6 = _layer("ReLU6", F.relu6, inplace=False)
LeakyReLU = _layer("LeakyReLU", F.leaky_relu, negative_slope=0.01, inplace=False)
ELU = _layer("ELU", F.elu, alpha=1.0, inplace=False)
SELU = _layer("SELU", F.selu, inplace=False)
SiLU = _layer("SiLU", F.silu, inplace=False)
GELU = _layer("GELU", F.gelu, approximate="none")
Hardtanh = _layer("Hardtanh", F.hardtanh, min_val=-1.0, max_val=1.0, inplace=False)
Softplus = _layer("Softplus", F.softplus, beta=1.0, threshold=20.0)
Sigmoid = _layer("Sigmoid", F.sigmoid)
LogSigmoid = _layer("LogSigmoid", F.logsigmoid)
Tanh = _layer("Tanh", F.tanh)
Softmax = _layer("Softmax", F.softmax, dim=None)
LogSoftmax = _layer("LogSoftmax", F.log_softmax, dim=None)
