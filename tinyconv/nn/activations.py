"""Activations and losses as layers, from a table: class, function, arguments with defaults."""

from tinyconv.nn import functional as F
from tinyconv.nn.module import Module


def _layer(name, function, **defaults):
    """A Module whose constructor takes ``defaults`` by position or name."""

    def __init__(self, *args, **kwargs):
        Module.__init__(self)
        if len(args) > len(defaults) or set(kwargs) - set(defaults):
            raise TypeError(f"{name}: takes {list(defaults)}, got {args} {kwargs}")
        self._options = {**defaults, **dict(zip(defaults, args)), **kwargs}
        for option, value in self._options.items():
            setattr(self, option, value)

    def forward(self, *inputs):
        return function(*inputs, **{option: getattr(self, option) for option in defaults})

    def extra_repr(self):
        changed = {o: getattr(self, o) for o in defaults if getattr(self, o) != defaults[o]}
        return ", ".join(f"{o}={v!r}" for o, v in changed.items())

    doc = f"``F.{function.__name__}`` as a layer. Arguments: {defaults or 'none'}."
    members = dict(__init__=__init__, forward=forward, extra_repr=extra_repr, __doc__=doc)
    return type(name, (Module,), {**members, "__module__": __name__})


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

CrossEntropyLoss = _layer(
    "CrossEntropyLoss", F.cross_entropy,
    weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0,
)  # fmt: skip
NLLLoss = _layer("NLLLoss", F.nll_loss, weight=None, ignore_index=-100, reduction="mean")
MSELoss = _layer("MSELoss", F.mse_loss, reduction="mean")
L1Loss = _layer("L1Loss", F.l1_loss, reduction="mean")
