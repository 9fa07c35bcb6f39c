"""The functions behind the layers. Arguments are checked here, once; then one op is called.

Names, arguments and defaults are PyTorch's; each file says what it adds, and its ``__all__``
what it offers.
"""

# ruff: noqa: F403

from tinyconv.nn.functional import (
    activation,
    conv,
    distance,
    dropouts,
    grids,
    linears,
    loss,
    margins,
    normalization,
    pooling,
    regression,
    vision,
)
from tinyconv.nn.functional.activation import *
from tinyconv.nn.functional.conv import *
from tinyconv.nn.functional.distance import *
from tinyconv.nn.functional.dropouts import *
from tinyconv.nn.functional.grids import *
from tinyconv.nn.functional.linears import *
from tinyconv.nn.functional.loss import *
from tinyconv.nn.functional.margins import *
from tinyconv.nn.functional.normalization import *
from tinyconv.nn.functional.pooling import *
from tinyconv.nn.functional.regression import *
from tinyconv.nn.functional.vision import *

__all__ = []
__all__ += activation.__all__
__all__ += conv.__all__
__all__ += distance.__all__
__all__ += dropouts.__all__
__all__ += grids.__all__
__all__ += linears.__all__
__all__ += loss.__all__
__all__ += margins.__all__
__all__ += normalization.__all__
__all__ += pooling.__all__
__all__ += regression.__all__
__all__ += vision.__all__
