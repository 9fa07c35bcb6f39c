"""How layers make their weights: PyTorch's default, uniform in +-1 / sqrt(fan_in)."""

import math

import numpy as np

from tinyconv.autograd import Tensor, get_default_dtype
from tinyconv.nn import init
from tinyconv.nn.module import Parameter
from tinyconv.ops.shape import check_device


def blank(shape, dtype, device=None) -> Parameter:
    """A Parameter of zeros."""
    check_device(device)
    # zeros cost nothing before they are touched
    return Parameter(Tensor(np.zeros(shape, dtype or get_default_dtype())))


def reset(weight, bias) -> None:
    """Draw a layer's weights anew."""
    init.kaiming_uniform_(weight, a=math.sqrt(5))
    if bias is not None:
        bound = 1 / math.sqrt(init.fans(weight)[0] or 1)
        init.uniform_(bias, -bound, bound)
