"""Networks: one file per paper, one class per figure of it.

``get_model(name)`` and the functions of the same names make them; ``list_models()`` tells which
there are. The blocks that they are built of are public too.
"""

# ruff: noqa: F401, F403  (each file's __all__ is what it offers)

from types import ModuleType as _Module

from tinyconv.models.alexnet import *
from tinyconv.models.blocks import *
from tinyconv.models.bn_inception import *
from tinyconv.models.densenet import *
from tinyconv.models.googlenet import *
from tinyconv.models.inception_resnet import *
from tinyconv.models.inception_small import *
from tinyconv.models.inception_v3 import *
from tinyconv.models.inception_v4 import *
from tinyconv.models.lenet import *
from tinyconv.models.mobilenet import *
from tinyconv.models.nin import *
from tinyconv.models.preact_resnet import *
from tinyconv.models.registry import get_model, list_models
from tinyconv.models.resnet import *
from tinyconv.models.resnet_cifar import *
from tinyconv.models.squeezenet import *
from tinyconv.models.summary import Summary, summary
from tinyconv.models.vgg import *
from tinyconv.models.xception import *
from tinyconv.models.zfnet import *

__all__ = [
    name
    for name, value in globals().items()
    if not (name.startswith("_") or isinstance(value, _Module))
]
