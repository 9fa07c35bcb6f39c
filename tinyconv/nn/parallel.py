"""``DataParallel``, as it is where there is one device."""

from tinyconv import absent as _absent
from tinyconv.nn.module import Module

__all__ = ["DataParallel"]


class DataParallel(Module):
    """``module`` under the name ``module``; its state keys begin with ``module.``.

    Args:
        device_ids, output_device, dim: accepted; the whole batch goes through ``module``.

    >>> import tinyconv as tc
    >>> list(tc.nn.DataParallel(tc.nn.Linear(2, 3)).state_dict())
    ['module.weight', 'module.bias']
    """

    def __init__(self, module, device_ids=None, output_device=None, dim=0):
        super().__init__()
        self.module, self.device_ids = module, []

    def forward(self, *inputs, **kwargs):
        return self.module(*inputs, **kwargs)


def __getattr__(name):
    raise AttributeError(_absent.why(name, __name__))
