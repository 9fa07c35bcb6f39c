"""The same networks in PyTorch: their files are written with its names, so they are run once more
with the imports swapped.
"""

import inspect
import re
import types

import tinyconv as tc
from benchmarks import nets
from tinyconv.models import inception_small, lenet, resnet_cifar

_SOURCES = (lenet, inception_small, resnet_cifar, nets)


def namespace(framework):
    """The classes of ``tinyconv.models`` and ``benchmarks.nets``, in tinyconv or in PyTorch."""
    result = types.ModuleType("twin")
    for module in _SOURCES:
        if framework is tc:
            result.__dict__.update(module.__dict__)
            continue
        source = inspect.getsource(module)
        # classes of the other files are there already
        source = re.sub(r"^from tinyconv\.models.*$", "", source, flags=re.M)
        source = source.replace("from tinyconv.ops.join import cat", "from torch import cat")
        source = source.replace("tinyconv.nn", "torch.nn")
        exec(compile(source, "twin", "exec"), result.__dict__)
    return result


def copy_weights(torch, net, other):
    """Give a network in PyTorch the weights of its twin."""
    state = {name: torch.from_numpy(t.numpy().copy()) for name, t in net.state_dict().items()}
    other.load_state_dict(state)
