"""Every update rule written out again, number by number.

Each takes one number, its gradients and the options, and gives the number after each step.
"""

import math

from tinyconv import optim


def sgd(p, gs, lr, momentum=0, dampening=0, weight_decay=0, nesterov=False):
    v = None
    for g in gs:
        g = g + weight_decay * p
        if momentum:
            v = g if v is None else momentum * v + (1 - dampening) * g
            g = g + momentum * v if nesterov else v
        p = p - lr * g
        yield p


def adam(p, gs, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, amsgrad=False, decoupled=False):
    m = v = largest = 0.0
    for t, g in enumerate(gs, 1):
        if decoupled:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        largest = max(largest, v)
        root = math.sqrt((largest if amsgrad else v) / (1 - betas[1] ** t))
        p = p - lr * (m / (1 - betas[0] ** t)) / (root + eps)
        yield p


def adamw(p, gs, lr, weight_decay=1e-2, **options):
    return adam(p, gs, lr, weight_decay=weight_decay, decoupled=True, **options)


def rmsprop(p, gs, lr, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False):
    v = mean = buffer = 0.0
    for g in gs:
        g = g + weight_decay * p
        v = alpha * v + (1 - alpha) * g * g
        mean = alpha * mean + (1 - alpha) * g
        buffer = momentum * buffer + g / (math.sqrt(v - mean * mean if centered else v) + eps)
        p = p - lr * buffer
        yield p


def adagrad(p, gs, lr, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1e-10):
    total = initial_accumulator_value
    for t, g in enumerate(gs):
        g = g + weight_decay * p
        total += g * g
        p = p - lr / (1 + t * lr_decay) * g / (math.sqrt(total) + eps)
        yield p


def adadelta(p, gs, lr, rho=0.9, eps=1e-6, weight_decay=0):
    v = u = 0.0
    for g in gs:
        g = g + weight_decay * p
        v = rho * v + (1 - rho) * g * g
        move = math.sqrt((u + eps) / (v + eps)) * g
        u = rho * u + (1 - rho) * move * move
        p = p - lr * move
        yield p


def adamax(p, gs, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0):
    m = u = 0.0
    for t, g in enumerate(gs, 1):
        g = g + weight_decay * p
        m = betas[0] * m + (1 - betas[0]) * g
        u = max(betas[1] * u, abs(g) + eps)
        p = p - lr * m / (1 - betas[0] ** t) / u
        yield p


def nadam(p, gs, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, momentum_decay=4e-3,
          decoupled_weight_decay=False):  # fmt: skip
    def mu(t):
        return betas[0] * (1 - 0.96 ** (t * momentum_decay) / 2)

    m = v = 0.0
    for t, g in enumerate(gs, 1):
        if decoupled_weight_decay:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        product = math.prod(mu(n) for n in range(1, t + 1))
        ahead = (1 - mu(t)) * g / (1 - product) + mu(t + 1) * m / (1 - product * mu(t + 1))
        p = p - lr * ahead / (math.sqrt(v / (1 - betas[1] ** t)) + eps)
        yield p


def radam(p, gs, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, decoupled_weight_decay=False):
    m, v, longest = 0.0, 0.0, 2 / (1 - betas[1]) - 1
    for t, g in enumerate(gs, 1):
        if decoupled_weight_decay:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        rest = 1 - betas[1] ** t
        length = longest - 2 * t * (1 - rest) / rest
        if length > 5:
            r = (length - 4) * (length - 2) / length * longest / (longest - 4) / (longest - 2)
            scale = math.sqrt(r * rest) / (math.sqrt(v) + eps)
        else:
            scale = 1.0
        p = p - lr * m / (1 - betas[0] ** t) * scale
        yield p


def asgd(p, gs, lr, lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0):
    eta = lr
    for t, g in enumerate(gs, 1):
        p = p * (1 - lambd * eta) - eta * (g + weight_decay * p)
        eta = lr / (1 + lambd * lr * t) ** alpha
        yield p


def rprop(p, gs, lr, etas=(0.5, 1.2), step_sizes=(1e-6, 50)):
    before, size = 0.0, lr
    for g in gs:
        size *= etas[1] if g * before > 0 else etas[0] if g * before < 0 else 1
        size = min(max(size, step_sizes[0]), step_sizes[1])
        before = 0.0 if g * before < 0 else g
        p = p - math.copysign(size, before) * (before != 0)
        yield p


def climbing(rule):
    return lambda p, gs, lr, maximize, **options: rule(p, [-g for g in gs], lr, **options)


#: class, oracle, options
CASES = [
    (optim.SGD, sgd, {}),
    (optim.SGD, sgd, dict(weight_decay=0.1)),
    (optim.SGD, sgd, dict(momentum=0.9)),
    (optim.SGD, sgd, dict(momentum=0.9, dampening=0.3, weight_decay=0.1)),
    (optim.SGD, sgd, dict(momentum=0.9, nesterov=True, weight_decay=0.1)),
    (optim.Adam, adam, {}),
    (optim.Adam, adam, dict(betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1)),
    (optim.Adam, adam, dict(amsgrad=True)),
    (optim.AdamW, adamw, {}),
    (optim.AdamW, adamw, dict(weight_decay=0.3, amsgrad=True)),
    (optim.RMSprop, rmsprop, {}),
    (optim.RMSprop, rmsprop, dict(alpha=0.9, eps=1e-3, weight_decay=0.1)),
    (optim.RMSprop, rmsprop, dict(momentum=0.9)),
    (optim.RMSprop, rmsprop, dict(centered=True, momentum=0.5)),
    (optim.SGD, climbing(sgd), dict(maximize=True, momentum=0.9, weight_decay=0.1)),
    (optim.Adam, climbing(adam), dict(maximize=True, weight_decay=0.1)),
    (optim.Adagrad, adagrad, {}),
    (optim.Adagrad, adagrad, dict(lr_decay=0.3, weight_decay=0.1, initial_accumulator_value=0.2)),
    (optim.Adadelta, adadelta, {}),
    (optim.Adadelta, climbing(adadelta), dict(rho=0.7, eps=1e-3, weight_decay=0.1, maximize=True)),
    (optim.Adamax, adamax, {}),
    (optim.Adamax, adamax, dict(betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1)),
    (optim.NAdam, nadam, {}),
    (optim.NAdam, nadam, dict(momentum_decay=0.1, weight_decay=0.1, betas=(0.8, 0.95))),
    (optim.NAdam, nadam, dict(decoupled_weight_decay=True, weight_decay=0.1)),
    (optim.RAdam, radam, {}),
    (optim.RAdam, radam, dict(decoupled_weight_decay=True, weight_decay=0.1, betas=(0.8, 0.95))),
    (optim.ASGD, asgd, {}),
    (optim.ASGD, asgd, dict(lambd=0.1, t0=2, weight_decay=0.1)),
    (optim.Rprop, rprop, {}),
    (optim.Rprop, rprop, dict(etas=(0.4, 1.5), step_sizes=(0.004, 0.15))),
]
