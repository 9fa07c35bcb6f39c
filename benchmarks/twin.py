"""A network of tinyconv.models as a PyTorch module, so that both sides run the same one.

The model files are written with PyTorch's names, so their classes are defined once more with
the imports swapped the other way round.
"""

import inspect
import sys
import types

import tinyconv as tc


def twin(torch, net):
    """The same network in PyTorch, with the same weights."""
    source = inspect.getsource(sys.modules[type(net).__module__])
    source = source.replace("from tinyconv.ops.join import cat", "from torch import cat")
    source = source.replace("import tinyconv.nn as nn", "import torch.nn as nn")
    source = source.replace(
        "from tinyconv.nn import functional as F", "from torch.nn import functional as F"
    )
    module = types.ModuleType("twin")
    exec(compile(source, "twin", "exec"), module.__dict__)
    other = _build(getattr(module, type(net).__name__), net)
    state = {name: torch.from_numpy(t.numpy().copy()) for name, t in net.state_dict().items()}
    other.load_state_dict(state)
    return other


def _build(cls, net):
    """Call the class with the arguments that ``net`` was made with."""
    options = dict(in_channels=net.conv1.in_channels, num_classes=10)
    if isinstance(net, tc.models.CifarResNet):
        blocks = len(net.layer1)
        options.update(depth=6 * blocks + 2)
    return cls(**options)
