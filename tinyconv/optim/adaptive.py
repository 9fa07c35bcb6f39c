"""The update rules that NumPy computes, one parameter at a time.

g is the gradient, p the parameter, t the number of the step. All of them take ``weight_decay``
(weight_decay p is added to g) and ``maximize`` (g is taken with the other sign).
"""

import math

import numpy as np

from tinyconv.optim.algorithms import with_decay
from tinyconv.optim.optimizer import Optimizer

_POSITIVE = (0, float("inf"))
_SHARE = (0, 1)


class Adagrad(Optimizer):
    """Rates that fall with all that a weight has moved so far.

        s <- s + g^2
        p <- p - lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)

    s begins as ``initial_accumulator_value``.

    Source: Duchi, Hazan, Singer 2011.

    >>> import tinyconv as tc
    >>> p = tc.nn.Parameter(tc.ones(1)); p.grad = tc.ones(1)
    >>> tc.optim.Adagrad([p], lr=0.25).step(); p.detach()
    tensor([0.7500])
    """

    _limits = dict.fromkeys(
        ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps"), _POSITIVE
    )

    def __init__(
        self, params, lr=1e-2, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1e-10,
        *, maximize=False, **hints,
    ):  # fmt: skip
        defaults = dict(
            lr=lr, lr_decay=lr_decay, weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value, eps=eps, maximize=maximize,
        )  # fmt: skip
        super().__init__(params, defaults, hints)

    def _update(self, p, g, state, group):
        if not state:
            state.update(step=0, sum=np.full_like(p, group["initial_accumulator_value"]))
        state["step"] += 1
        g = with_decay(p, g, group)
        s = state["sum"]
        s += g * g
        rate = group["lr"] / (1 + (state["step"] - 1) * group["lr_decay"])
        p -= rate * (g / (np.sqrt(s) + group["eps"]))


class Adadelta(Optimizer):
    """Steps in the unit of the parameter: the size of past steps over that of past gradients.

        v <- rho v + (1 - rho) g^2
        d = sqrt(u + eps) / sqrt(v + eps) g,   u <- rho u + (1 - rho) d^2
        p <- p - lr d

    Source: Zeiler 2012, arXiv:1212.5701, Algorithm 1.
    """

    _limits = {
        **dict.fromkeys(("lr", "eps", "weight_decay"), _POSITIVE),
        "rho": (0, math.nextafter(1, 2)),
    }

    def __init__(
        self, params, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0, *,
        maximize=False, **hints,
    ):  # fmt: skip
        defaults = dict(lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, maximize=maximize)
        super().__init__(params, defaults, hints)

    def _update(self, p, g, state, group):
        if not state:
            state.update(step=0, square_avg=np.zeros_like(p), acc_delta=np.zeros_like(p))
        state["step"] += 1
        g = with_decay(p, g, group)
        rho, eps, v, u = group["rho"], group["eps"], state["square_avg"], state["acc_delta"]
        v *= rho
        v += (1 - rho) * (g * g)
        d = np.sqrt(u + eps)
        d /= np.sqrt(v + eps)
        d *= g
        u *= rho
        u += (1 - rho) * (d * d)
        p -= group["lr"] * d


class _Moments(Optimizer):
    """What Adam's kin share: their options."""

    _limits = {"lr": _POSITIVE, "betas": _SHARE, "eps": _POSITIVE, "weight_decay": _POSITIVE}

    def _first_moment(self, p, g, state, group, second):
        """(g with its decay, the first moment, t); all state is made in the first step."""
        if not state:
            state.update({"step": 0, "exp_avg": np.zeros_like(p), second: np.zeros_like(p)})
        state["step"] += 1
        g = with_decay(p, g, group)
        m = state["exp_avg"]
        m += (1 - group["betas"][0]) * (g - m)
        return g, m, state["step"]

    def _second_moment(self, g, state, group):
        b2, v = group["betas"][1], state["exp_avg_sq"]
        v *= b2
        v += (1 - b2) * (g * g)
        return v


class Adamax(_Moments):
    """Adam with the largest gradient in place of the root of the second moment.

        m <- b1 m + (1 - b1) g,   u <- max(b2 u, |g| + eps)
        p <- p - lr / (1 - b1^t) m / u

    Source: Kingma and Ba 2014, arXiv:1412.6980, Algorithm 2.
    """

    def __init__(
        self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, *,
        maximize=False, **hints,
    ):  # fmt: skip
        defaults = dict(
            lr=lr, betas=tuple(betas), eps=eps, weight_decay=weight_decay, maximize=maximize
        )
        super().__init__(params, defaults, hints)

    def _update(self, p, g, state, group):
        g, m, t = self._first_moment(p, g, state, group, "exp_inf")
        b1, b2 = group["betas"]
        u = state["exp_inf"]
        u *= b2
        np.maximum(u, np.abs(g) + group["eps"], out=u)
        p -= group["lr"] / (1 - b1**t) * (m / u)


class NAdam(_Moments):
    """Adam that looks ahead by Nesterov's rule, its momentum mu growing with time.

        mu_t = b1 (1 - 0.96^(t momentum_decay) / 2),   m and v as in Adam
        p <- p - lr ((1 - mu_t) g / (1 - mu_1 ... mu_t) + mu_t+1 m / (1 - mu_1 ... mu_t+1))
                 / (sqrt(v / (1 - b2^t)) + eps)

    Source: Dozat 2016, "Incorporating Nesterov momentum into Adam".
    """

    _limits = {**_Moments._limits, "momentum_decay": _POSITIVE}

    def __init__(
        self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, momentum_decay=4e-3,
        decoupled_weight_decay=False, *, maximize=False, **hints,
    ):  # fmt: skip
        defaults = dict(
            lr=lr, betas=tuple(betas), eps=eps, weight_decay=weight_decay,
            momentum_decay=momentum_decay, decoupled_weight_decay=decoupled_weight_decay,
            maximize=maximize,
        )  # fmt: skip
        super().__init__(params, defaults, hints)

    def _update(self, p, g, state, group):
        g, m, t = self._first_moment(p, g, state, group, "exp_avg_sq")
        b1, b2 = group["betas"]
        mu, following = (b1 * (1 - 0.5 * 0.96 ** (n * group["momentum_decay"])) for n in (t, t + 1))
        product = state["mu_product"] = state.get("mu_product", 1.0) * mu
        root = np.sqrt(self._second_moment(g, state, group) / (1 - b2**t))
        root += group["eps"]
        ahead = (1 - mu) / (1 - product) * g
        ahead += following / (1 - product * following) * m
        p -= group["lr"] * (ahead / root)


class RAdam(_Moments):
    """Adam that waits to divide by the second moment until its variance is finite.

        n = 2 / (1 - b2) - 1,   n_t = n - 2 t b2^t / (1 - b2^t),   m and v as in Adam
        n_t > 5:  p <- p - lr r m / (1 - b1^t) sqrt(1 - b2^t) / (sqrt(v) + eps),
                  r^2 = (n_t - 4) (n_t - 2) n / ((n - 4) (n - 2) n_t)
        else:     p <- p - lr m / (1 - b1^t)

    Source: Liu et al. 2019, arXiv:1908.03265, Algorithm 2.
    """

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0,
        decoupled_weight_decay=False, *, maximize=False, **hints,
    ):  # fmt: skip
        defaults = dict(
            lr=lr, betas=tuple(betas), eps=eps, weight_decay=weight_decay,
            decoupled_weight_decay=decoupled_weight_decay, maximize=maximize,
        )  # fmt: skip
        super().__init__(params, defaults, hints)

    def _update(self, p, g, state, group):
        g, m, t = self._first_moment(p, g, state, group, "exp_avg_sq")
        v, (b1, b2) = self._second_moment(g, state, group), group["betas"]
        rate, rest = group["lr"] / (1 - b1**t), 1 - b2**t
        n = 2 / (1 - b2) - 1
        nt = n - 2 * t * b2**t / rest
        if nt > 5:
            r = ((nt - 4) * (nt - 2) * n / ((n - 4) * (n - 2) * nt)) ** 0.5
            p -= rate * r * rest**0.5 * (m / (np.sqrt(v) + group["eps"]))
        else:
            p -= rate * m


class ASGD(Optimizer):
    """SGD with a falling rate eta, and the mean ``ax`` of the parameters from step ``t0`` on.

        p <- (1 - lambd eta) p - eta g,   eta = lr / (1 + lambd lr t)^alpha
        ax <- ax + mu (p - ax),           mu = 1 / max(1, t - t0)

    Source: Polyak and Juditsky 1992.
    """

    _limits = {"lr": _POSITIVE, "weight_decay": _POSITIVE}

    def __init__(
        self, params, lr=1e-2, lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0, foreach=None,
        maximize=False, **hints,
    ):  # fmt: skip
        defaults = dict(
            lr=lr, lambd=lambd, alpha=alpha, t0=t0, weight_decay=weight_decay, maximize=maximize
        )
        super().__init__(params, defaults, dict(hints, foreach=foreach))

    def _update(self, p, g, state, group):
        lr, lambd = group["lr"], group["lambd"]
        if not state:
            state.update(step=0, eta=lr, mu=1.0, ax=np.zeros_like(p))
        state["step"] += 1
        g = with_decay(p, g, group)
        p *= 1 - lambd * state["eta"]
        p -= state["eta"] * g
        state["ax"] += state["mu"] * (p - state["ax"])
        state["eta"] = lr / (1 + lambd * lr * state["step"]) ** group["alpha"]
        state["mu"] = 1 / max(1, state["step"] - group["t0"])


class Rprop(Optimizer):
    """Steps by the sign of the gradient alone, their sizes grown and cut.

    A size grows by etas[1] while the sign stays, and shrinks by etas[0] when it changes (then
    the weight rests for this step); it begins as lr and stays within ``step_sizes``.

    Source: Riedmiller and Braun 1993, in the form without backtracking.
    """

    _limits = {"lr": _POSITIVE}

    def __init__(
        self, params, lr=1e-2, etas=(0.5, 1.2), step_sizes=(1e-6, 50), *, maximize=False, **hints
    ):
        if not 0 < etas[0] < 1 < etas[1]:
            raise ValueError(f"Rprop: etas={etas} must be in (0, 1) and above 1")
        defaults = dict(lr=lr, etas=tuple(etas), step_sizes=tuple(step_sizes), maximize=maximize)
        super().__init__(params, defaults, hints)

    def _update(self, p, g, state, group):
        if not state:
            state.update(step=0, prev=np.zeros_like(p), step_size=np.full_like(p, group["lr"]))
        state["step"] += 1
        (shrink, grow), size = group["etas"], state["step_size"]
        agreed = np.sign(g * state["prev"])
        size *= np.where(agreed > 0, grow, np.where(agreed < 0, shrink, 1)).astype(p.dtype)
        np.clip(size, *group["step_sizes"], out=size)
        state["prev"][...] = np.where(agreed < 0, 0, g)
        p -= np.sign(state["prev"]) * size
