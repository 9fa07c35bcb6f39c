"""Every differentiable op: forward by kernels, backward by ops, one family a file.

Importing this floor gives Tensor its operators (``tinyconv.ops.methods``).
"""

from tinyconv.ops import methods, random  # noqa: F401
