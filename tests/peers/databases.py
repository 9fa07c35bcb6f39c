"""PyTorch's databases of samples; their import would change Hypothesis' profile."""

import warnings

from hypothesis import settings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    profile = settings.get_current_profile_name()
    from torch.testing._internal.common_methods_invocations import op_db
    from torch.testing._internal.common_modules import ModuleErrorEnum, module_db
    from torch.testing._internal.common_optimizers import optim_db

    settings.load_profile(profile)

__all__ = ["ModuleErrorEnum", "module_db", "op_db", "optim_db"]
