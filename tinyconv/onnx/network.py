"""The network that a file becomes."""

import re
from dataclasses import dataclass, field
from typing import Any

import tinyconv.nn as nn
from tinyconv.autograd import Tensor
from tinyconv.ops.common import as_tensor


@dataclass
class Step:
    """One node: what computes it, and which values it takes, makes, and is the last to need."""

    name: str
    op: str
    run: Any
    inputs: list
    outputs: list
    done: list = field(default_factory=list)


class _Part(nn.Module):
    """A branch of the tree of parameters."""


class GraphModule(nn.Module):
    """The graph of an ONNX file as a Module: it computes, trains and saves like any other.

    Floating initializers are parameters under their own names, each dot a step down the tree;
    signs that no name has become ``_``. The statistics of batch norms are buffers. Batch norm
    and dropout follow ``train()`` and ``eval()``.

    Attributes:
        inputs: name -> shape as the file declares it (None or a name for any size).
        outputs: the names of the results; ``forward`` returns the tensor, or a tuple of several.
    """

    def __init__(self, title, steps, inputs, outputs, weights, constants, statistics):
        super().__init__()
        self.title, self.steps = title, steps
        self.inputs, self.outputs = inputs, outputs
        self._places = {}
        self._modal, self._constants = _Part(), _Part()
        for name, array in weights.items():
            if array.dtype.kind == "f" and array.ndim:
                self._keep(name, array, name in statistics)
            else:
                constants = {**constants, name: array}
        for i, (name, array) in enumerate(constants.items()):
            self._constants.register_buffer(str(i), Tensor(array), persistent=False)
            self._places[name] = "_constants", str(i)
        for i, step in enumerate(steps):
            if isinstance(step.run, nn.Module):
                self._modal.add_module(str(i), step.run)
                step.run = None
        _note_last_use(steps, outputs)

    def forward(self, *inputs):
        """The results for so many inputs as the file declares, in its order."""
        if len(inputs) != len(self.inputs):
            raise ValueError(
                f"{self.title}: takes {len(self.inputs)} inputs {list(self.inputs)}, got "
                f"{len(inputs)}"
            )
        values: dict = {name: self._at(path) for name, path in self._places.items()}
        values.update((n, as_tensor(x, self.title)) for n, x in zip(self.inputs, inputs))
        values[""] = None
        for i, step in enumerate(self.steps):
            run = step.run or self._modal._modules[str(i)]
            try:
                results = run(*[values[name] for name in step.inputs])
            except Exception as error:
                error.add_note(f"in the node {step.name!r} ({step.op}) of an ONNX file")
                raise
            values.update(zip(step.outputs, results if isinstance(results, tuple) else [results]))
            for name in step.done:
                del values[name]
        results = tuple(values[name] for name in self.outputs)
        return results[0] if len(results) == 1 else results

    def extra_repr(self):
        return f"{self.title}: {', '.join(self.inputs)} -> {', '.join(self.outputs)}"

    def _at(self, path):
        part = self
        for name in path:
            part = getattr(part, name)
        return part

    def _keep(self, name, array, statistic):
        """Register a weight in the tree, and note its place."""
        part, path = self, []
        *branches, own = (re.sub(r"\W", "_", n) or "_" for n in name.split("."))
        for branch in branches:
            branch = _free(part, branch, _Part)
            if branch not in part._modules:
                part.add_module(branch, _Part())
            part = part._modules[branch]
            path.append(branch)
        own = _free(part, own)
        self._places[name] = *path, own
        if statistic:
            part.register_buffer(own, Tensor(array))
        else:
            part.register_parameter(own, nn.Parameter(Tensor(array)))


def _free(part, name, kind=()):
    """``name``, with underscores behind it until nothing but a ``kind`` has it."""
    while hasattr(part, name) and not isinstance(getattr(part, name), kind):
        name += "_"
    return name


def _note_last_use(steps, outputs):
    """So that what is not needed any more is let go."""
    needed = {"", *outputs}
    made = {name for step in steps for name in step.outputs}
    for step in reversed(steps):
        names = {*step.inputs, *step.outputs}
        step.done = sorted(n for n in names if n in made and n not in needed)
        needed |= names
