"""The update rules that have a kernel, each as its paper states it too.

g is the gradient, p the parameter; with ``maximize`` g is taken with the other sign. The options
by which PyTorch chooses among its own ways to compute (``foreach``, ``fused``) are accepted and
mean nothing.
"""

import numpy as np

from tinyconv import kernels
from tinyconv.optim.optimizer import Optimizer

_INFINITY = float("inf")


def with_decay(p, g, group):
    """The gradient with weight decay in it; a decoupled one is taken off ``p`` at once."""
    decay = group["weight_decay"]
    if not decay:
        return g
    if group.get("decoupled_weight_decay"):
        p *= 1 - group["lr"] * decay
        return g
    return g + decay * p


class SGD(Optimizer):
    """Stochastic gradient descent.

        g <- g + weight_decay p
        v <- momentum v + (1 - dampening) g          (v = g in the first step)
        p <- p - lr v          or, with nesterov, p - lr (g + momentum v)

    Args:
        lr: learning rate, default 1e-3.
        momentum, dampening, weight_decay: default 0.
        nesterov: wants momentum and no dampening.
        maximize: go up instead of down.

    Source: Sutskever et al. 2013, in PyTorch's form.

    >>> import tinyconv as tc
    >>> p = tc.nn.Parameter(tc.ones(1)); p.grad = tc.ones(1)
    >>> tc.optim.SGD([p], lr=0.25).step(); p.detach()
    tensor([0.7500])
    """

    _limits = {"lr": (0, _INFINITY), "momentum": (0, _INFINITY), "weight_decay": (0, _INFINITY)}

    def __init__(
        self, params, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False, *,
        maximize=False, **hints,
    ):  # fmt: skip
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError(
                f"SGD: nesterov wants momentum > 0 and dampening 0, got {momentum}, {dampening}"
            )
        defaults = dict(
            lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay,
            nesterov=nesterov, maximize=maximize,
        )  # fmt: skip
        super().__init__(params, defaults, hints)

    def _update(self, p, g, state, group):
        momentum = group["momentum"]
        g = with_decay(p, g, group)
        if momentum:
            v = state.get("momentum_buffer")
            if v is None:
                v = state["momentum_buffer"] = np.array(g)  # g of a 0-d p may be a scalar
            else:
                v *= momentum
                v += (1 - group["dampening"]) * g
            g = g + momentum * v if group["nesterov"] else v
        p -= group["lr"] * g

    def _slots(self, group):
        return ("momentum_buffer",) if group["momentum"] else ()

    def _update_all(self, rows, states, group):
        kernels.optimizer.sgd(
            rows, group["lr"], group["momentum"], group["dampening"], group["weight_decay"],
            group["nesterov"],
        )  # fmt: skip


class Adam(Optimizer):
    """Adam: steps of about lr, scaled by running moments of the gradient.

        m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2
        p <- p - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)

    ``weight_decay`` adds weight_decay p to g, or, if ``decoupled_weight_decay``, takes it off p
    as in AdamW. With ``amsgrad`` the largest v so far is used.

    Source: Kingma and Ba 2014, arXiv:1412.6980, Algorithm 1.

    >>> import tinyconv as tc
    >>> p = tc.nn.Parameter(tc.ones(1)); p.grad = tc.ones(1)
    >>> tc.optim.Adam([p], lr=0.25).step(); p.detach()
    tensor([0.7500])
    """

    _limits = {
        "lr": (0, _INFINITY), "betas": (0, 1), "eps": (0, _INFINITY),
        "weight_decay": (0, _INFINITY),
    }  # fmt: skip

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, amsgrad=False, *,
        maximize=False, decoupled_weight_decay=False, **hints,
    ):  # fmt: skip
        defaults = dict(
            lr=lr, betas=tuple(betas), eps=eps, weight_decay=weight_decay, amsgrad=amsgrad,
            maximize=maximize, decoupled_weight_decay=decoupled_weight_decay,
        )  # fmt: skip
        super().__init__(params, defaults, hints)

    def _update(self, p, g, state, group):
        if not state:
            state.update(step=0, exp_avg=np.zeros_like(p), exp_avg_sq=np.zeros_like(p))
        if group["amsgrad"] and "max_exp_avg_sq" not in state:
            state["max_exp_avg_sq"] = np.zeros_like(p)
        b1, b2 = group["betas"]
        state["step"] += 1
        g = with_decay(p, g, group)
        m, v = state["exp_avg"], state["exp_avg_sq"]
        m += (1 - b1) * (g - m)
        v *= b2
        v += (1 - b2) * (g * g)
        if group["amsgrad"]:
            v = np.maximum(state["max_exp_avg_sq"], v, out=state["max_exp_avg_sq"])
        step_size = group["lr"] / (1 - b1 ** state["step"])
        root = np.sqrt(v)
        root /= (1 - b2 ** state["step"]) ** 0.5
        root += group["eps"]
        p -= step_size * (m / root)

    def _slots(self, group):
        return "exp_avg", "exp_avg_sq", "max_exp_avg_sq" if group["amsgrad"] else None

    def _update_all(self, rows, states, group):
        b1, b2 = group["betas"]
        rates = {}  # all parameters take their steps together, but for some that join later
        for state in states:
            state["step"] += 1
            rates[state["step"]] = None
        for t in rates:
            rates[t] = group["lr"] / (1 - b1**t), (1 - b2**t) ** -0.5
        decay, decoupled = group["weight_decay"], group["decoupled_weight_decay"]
        kernels.optimizer.adam(
            rows,
            np.array([rates[state["step"]] for state in states]).T.copy(),
            group["betas"],
            group["eps"],
            0 if decoupled else decay,
            1 - group["lr"] * decay if decoupled else 1,
            group["amsgrad"],
        )


class AdamW(Adam):
    """Adam with weight decay taken off the parameter itself: p <- p (1 - lr weight_decay).

    Source: Loshchilov and Hutter 2017, arXiv:1711.05101, Algorithm 2.
    """

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False, *,
        maximize=False, **hints,
    ):  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize,
            decoupled_weight_decay=True, **hints,
        )  # fmt: skip


class RMSprop(Optimizer):
    """Steps scaled by the running mean square of the gradient.

        v <- alpha v + (1 - alpha) g^2
        p <- p - lr g / (sqrt(v) + eps)

    With ``momentum`` the scaled gradients are accumulated; ``centered`` takes the variance
    in place of the mean square.

    Source: Hinton, Coursera lecture 6e (2012); Graves 2013, arXiv:1308.0850 (centered).
    """

    _limits = {
        "lr": (0, _INFINITY), "alpha": (0, _INFINITY), "eps": (0, _INFINITY),
        "momentum": (0, _INFINITY), "weight_decay": (0, _INFINITY),
    }  # fmt: skip

    def __init__(
        self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False,
        capturable=False, foreach=None, maximize=False, **hints,
    ):  # fmt: skip
        defaults = dict(
            lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum,
            centered=centered, maximize=maximize,
        )  # fmt: skip
        super().__init__(params, defaults, dict(hints, capturable=capturable, foreach=foreach))

    def _update(self, p, g, state, group):
        alpha = group["alpha"]
        g = with_decay(p, g, group)
        if not state:
            state.update(step=0, square_avg=np.zeros_like(p))
        state["step"] += 1
        v = state["square_avg"]
        v *= alpha
        v += (1 - alpha) * (g * g)
        if group["centered"]:
            mean = state.setdefault("grad_avg", np.zeros_like(p))
            mean += (1 - alpha) * (g - mean)
            v = v - mean * mean
        scaled = g / (np.sqrt(v) + group["eps"])
        if group["momentum"]:
            buffer = state.setdefault("momentum_buffer", np.zeros_like(p))
            buffer *= group["momentum"]
            buffer += scaled
            scaled = buffer
        p -= group["lr"] * scaled

    def _slots(self, group):
        return (
            "square_avg",
            "grad_avg" if group["centered"] else None,
            "momentum_buffer" if group["momentum"] else None,
        )

    def _update_all(self, rows, states, group):
        for state in states:
            state["step"] += 1
        kernels.optimizer.rmsprop(
            rows, group["lr"], group["alpha"], group["eps"], group["weight_decay"],
            group["momentum"], group["centered"],
        )  # fmt: skip
