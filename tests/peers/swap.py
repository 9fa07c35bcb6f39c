"""Code that others wrote for PyTorch, run as it is with its imports swapped for tinyconv's."""

import contextlib
import importlib
import pkgutil
import sys

import numpy as np
import torch

import tinyconv

#: never imported by scripts as a part of ``torch``, and slow or without effect to load
_APART = ("cli", "viz", "onnx", "__main__")


def _parts():
    """{"torch" or "torch.a.b": the module of tinyconv in its place}"""
    found = {"torch": tinyconv}
    for _, name, _ in pkgutil.walk_packages(tinyconv.__path__, "tinyconv."):
        if name.split(".")[1] not in _APART:
            found["torch" + name.removeprefix("tinyconv")] = importlib.import_module(name)
    return found


@contextlib.contextmanager
def swapped(*packages):
    """Inside, ``import torch`` gives tinyconv, and ``packages`` are imported anew."""

    def concerned(name):
        return any(name == p or name.startswith(f"{p}.") for p in ("torch", *packages))

    before = {name: module for name, module in sys.modules.items() if concerned(name)}
    parts = _parts()
    for name in before:
        del sys.modules[name]
    sys.modules.update(parts)
    try:
        yield
    finally:
        for name in [name for name in sys.modules if concerned(name)]:
            del sys.modules[name]
        sys.modules.update(before)


def copy_state(theirs, ours):
    """Give tinyconv's model the parameters and buffers of PyTorch's, by name."""
    ours.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})


def outputs(result):
    """All tensors in what a network returned, in order."""
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, (tuple, list)):
        return [y for part in result for y in outputs(part)]
    return [result]


def disagreement(theirs, ours, image, training):
    """The largest difference between two models of the same weights, of outputs and of weight
    gradients, each relative to the largest number there; in float64.

    The loss is the outputs' product with fixed random numbers. Dropout must be off.
    """
    theirs.train(training), ours.train(training)
    theirs.zero_grad(), ours.zero_grad()
    image = np.asarray(image, np.float64)
    wanted, found = outputs(theirs(torch.from_numpy(image))), outputs(ours(tinyconv.tensor(image)))
    assert [tuple(y.shape) for y in wanted] == [y.shape for y in found]
    errors = [_error(y.detach().numpy(), z.detach().numpy()) for y, z in zip(wanted, found)]
    rng = np.random.default_rng(7)
    loss = [0.0, 0.0]
    for y, z in zip(wanted, found):
        g = rng.standard_normal(z.shape)
        loss[0] += (y * torch.from_numpy(g)).sum()
        loss[1] += (z * tinyconv.tensor(g)).sum()
    loss[0].backward(), loss[1].backward()
    largest = max(float(p.grad.abs().max()) for p in theirs.parameters() if p.grad is not None)
    gradients = []
    mine = dict(ours.named_parameters())
    for name, p in theirs.named_parameters():
        g = mine[name].grad
        assert (p.grad is None) == (g is None), f"only one of the two has a gradient of {name}"
        if g is not None:
            gradients.append(np.abs(p.grad.numpy() - g.numpy()).max(initial=0) / largest)
    return max(errors), max(gradients)


def _error(a, b):
    return np.abs(a - b).max(initial=0) / max(np.abs(a).max(initial=0), 1e-300)
