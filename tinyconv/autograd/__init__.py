"""The engine: Tensor, Function, the backward walk and its modes. It knows no op."""

from tinyconv.autograd import functional
from tinyconv.autograd.anomaly import detect_anomaly, is_anomaly_enabled, set_detect_anomaly
from tinyconv.autograd.backward import backward, grad
from tinyconv.autograd.checkpoint import checkpoint
from tinyconv.autograd.deferred import fusion
from tinyconv.autograd.function import Function, once_differentiable
from tinyconv.autograd.gradcheck import gradcheck, gradgradcheck
from tinyconv.autograd.modes import (
    complex_step,
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from tinyconv.autograd.tensor import Tensor, get_default_dtype, set_default_dtype
from tinyconv.autograd.variable import Variable

__all__ = [
    "Function",
    "Tensor",
    "Variable",
    "backward",
    "checkpoint",
    "complex_step",
    "detect_anomaly",
    "enable_grad",
    "functional",
    "fusion",
    "get_default_dtype",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "no_grad",
    "once_differentiable",
    "set_default_dtype",
    "set_detect_anomaly",
    "set_grad_enabled",
]
