"""A network's graph folded into blocks, as tables and diagrams show it.

Modules are opened down to a depth; below it a call is one block, with the sums of all that is in it.
Ops called in the forward of an opened module are blocks of their own if they are layers (windows,
weights, norms, sums) or join branches; all others (ReLU, reshaping) count to what is before them.
"""

import math
from dataclasses import dataclass, field

from tinyconv.models.receptive import receptive_fields
from tinyconv.models.trace import Call, Op, Value
from tinyconv.ops.conv import Conv2d
from tinyconv.ops.linalg import Linear, Matmul
from tinyconv.ops.lrn import LocalResponseNorm
from tinyconv.ops.norm import BatchNorm, RunningNorm
from tinyconv.ops.pool import AvgPool2d, MaxPool2d, PlaneGather
from tinyconv.ops.reduce import Amax, Sum

#: ops that are layers -> the names of their functions
_LAYERS = {
    Conv2d: "conv2d", Linear: "linear", Matmul: "matmul", MaxPool2d: "max_pool2d",
    AvgPool2d: "avg_pool2d", PlaneGather: "adaptive_max_pool2d", BatchNorm: "batch_norm",
    RunningNorm: "batch_norm", LocalResponseNorm: "local_response_norm", Sum: "sum", Amax: "amax",
}  # fmt: skip


@dataclass
class Row:
    """One layer, or one block of them, and what one image costs in it.

    Attributes:
        path: where it is in the network; of an op, that of the module which calls it.
        type: the module's class, or the op's function (in small letters).
        output_shape: of the first tensor that it returns.
        parameters: of these, each is counted where it is used first.
        macs: multiply-accumulates.
        smallest_field, largest_field: [height, width] in pixels of the receptive field, by the
            shortest and along the longest path; the image's size where all of it is seen. None
            for networks that take no images.
        count: equal blocks, one behind the other, that the row stands for.
    """

    path: str
    type: str
    output_shape: list
    parameters: int
    macs: int
    smallest_field: list | None
    largest_field: list | None
    count: int = 1


@dataclass(eq=False)
class Block:
    """A ``Row`` with its place in the graph.

    Attributes:
        ops: all that it holds.
        parts: its blocks, if it is opened.
        sources: the blocks that it reads, or None for the network's input, in order.
    """

    row: Row
    ops: list
    parts: list = field(default_factory=list)
    sources: list = field(default_factory=list)

    @property
    def leaves(self):
        """The blocks that are not opened, in order."""
        return [leaf for part in self.parts for leaf in part.leaves] if self.parts else [self]


def macs(op):
    """Multiply-accumulates of one op, for the whole batch: convolutions and matrix products."""
    if op.function is Conv2d:
        depth = math.prod(op.args[1].shape[1:])  # C / groups, kh, kw
    elif op.function is Linear:
        depth = op.args[1].shape[1]
    elif op.function is Matmul:
        depth = op.args[0].shape[-1]
    else:
        return 0
    return depth * math.prod(op.outputs[0].shape)


class Outline:
    """Folds a ``Graph`` to any depth."""

    def __init__(self, graph, parameters):
        self.graph = graph
        self.fields = receptive_fields(graph)
        self._image = graph.inputs[0].shape[2:]
        # id(op) -> what it costs; a parameter counts where it is used first
        self._macs = {op: macs(op) // max(1, graph.inputs[0].shape[0]) for op in graph.ops}
        self._parameters = dict.fromkeys(graph.ops, 0)
        unseen = dict(parameters)
        for op in graph.ops:
            for a in op.args:
                if isinstance(a, Value) and a.name in unseen:
                    self._parameters[op] += unseen.pop(a.name).numel()
        #: parameters that no op used
        self.unused = sum(p.numel() for p in unseen.values())

    def tree(self, depth=None):
        """The network as a ``Block``, opened down to ``depth`` (None: all the way)."""
        root = self._block(self.graph.call, math.inf if depth is None else depth)
        self._connect(root)
        _merge(root)
        return root

    def readable(self, limit):
        """The tree opened as deep as it has at most ``limit`` leaves (or one level)."""
        best, depth = self.tree(1), 2
        while True:
            tree = self.tree(depth)
            if len(tree.leaves) > limit or len(tree.leaves) == len(best.leaves) == limit:
                return best
            if _opened(tree) == _opened(best):
                return tree
            best, depth = tree, depth + 1

    def _block(self, call, depth):
        block = Block(self._row(call.path, type(call.module).__name__, call.outputs, call.ops), call.ops)
        shown = [p for p in call.parts if isinstance(p, Call) or self._is_shown(p)]
        if depth >= 1 and (len(shown) > 1 or any(isinstance(p, Call) for p in shown)):
            for part in shown:
                if isinstance(part, Call):
                    block.parts.append(self._block(part, depth - 1))
                else:
                    row = self._row(call.path, _name(part), part.outputs, [part])
                    block.parts.append(Block(row, [part]))
        return block

    def _row(self, path, kind, outputs, ops):
        smallest = largest = None
        y = next((v for v in outputs if v in self.fields), None)
        if y is not None and self.fields[y] is not None:
            smallest, largest = map(list, self.fields[y].sizes(self._image))
        return Row(
            path, kind, list(outputs[0].shape) if outputs else [],
            sum(self._parameters[op] for op in ops), sum(self._macs[op] for op in ops),
            smallest, largest,
        )  # fmt: skip

    def _is_shown(self, op):
        return op.function in _LAYERS or len(self._inputs(op)) > 1

    def _inputs(self, op):
        """The distinct values among its arguments that depend on the image."""
        values = [a for a in op.args if isinstance(a, Value) and a in self.fields]
        return list(dict.fromkeys(values))

    def _connect(self, root):
        """Find out which leaf reads which."""
        owner = {op: leaf for leaf in root.leaves for op in leaf.ops}
        origin = {self.graph.inputs[0]: None}  # value -> the leaf that it comes from
        for op in self.graph.ops:
            inputs = self._inputs(op)
            leaf = owner.get(op)
            for value in inputs if leaf else ():
                if origin[value] is not leaf and origin[value] not in leaf.sources:
                    leaf.sources.append(origin[value])
            for y in op.outputs if inputs else ():
                origin[y] = leaf if leaf else origin[inputs[0]]


def _opened(block):
    return sum(_opened(part) + 1 for part in block.parts)


def _merge(block):
    """Let one block stand for equal ones of which each reads the one before and nothing else."""
    for part in block.parts:
        _merge(part)
    kept, ends = [], {}
    for part in block.parts:
        before = kept[-1] if kept else None
        if before and not part.parts and _same(before, part) and part.sources == [before]:
            row = before.row
            row.path, row.count = _span(row.path, part.row.path), row.count + 1
            ...
        kept.append(part)
    block.parts = kept
