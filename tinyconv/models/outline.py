"""A network's graph folded into blocks, as tables and diagrams show it.

Modules are opened down to a depth; below it a call is one block, with the sums of all that it
holds. Ops called in the forward of an opened module are blocks of their own if they are layers
(windows, norms, sums), have weights, or join branches; others (ReLU, reshaping) count to what is
before them.
"""

import math
from collections import Counter
from dataclasses import dataclass, field

from tinyconv.models.receptive import receptive_fields
from tinyconv.models.trace import Call, Value
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


def macs(function, args, result):
    """Multiply-accumulates of one op, for the whole batch: convolutions and matrix products."""
    if function is Conv2d:
        depth = math.prod(args[1].shape[1:])  # C / groups, kh, kw
    elif function is Linear:
        depth = args[1].shape[1]
    elif function is Matmul:
        depth = args[0].shape[-1]
    else:
        return 0
    return depth * math.prod(result.shape)


class Outline:
    """Folds a ``Graph`` to any depth."""

    def __init__(self, graph, parameters):
        self.graph = graph
        self.fields = receptive_fields(graph)
        self._image = graph.inputs[0].shape[2:]
        images = max(1, graph.inputs[0].shape[0])
        self._macs = {op: macs(op.function, op.args, op.outputs[0]) // images for op in graph.ops}
        self._parameters = dict.fromkeys(graph.ops, 0)
        unseen = {name: p.numel() for name, p in parameters.items()}
        waiting = {}  # of values made of parameters alone: they count where the image meets them
        for op in graph.ops:
            values = [a for a in op.args if isinstance(a, Value)]
            own = sum(unseen.pop(a.name, 0) + waiting.pop(a, 0) for a in values)
            if self._inputs(op):
                self._parameters[op] = own
            elif own:
                waiting[op.outputs[0]] = own
        #: parameters that nothing used
        self.unused = sum(unseen.values()) + sum(waiting.values())

    def tree(self, depth=math.inf, merge=True):
        """The network as a ``Block``.

        Args:
            depth: to which modules are opened.
            merge: let one block stand for equal ones in a row.
        """
        root = self._block(self.graph.call, depth)
        self._connect(root)
        if merge:
            _merge(root)
        return root

    def readable(self, limit):
        """The tree, opened as deep as it has at most ``limit`` leaves, but one level at least."""
        best = self.tree(1)
        for depth in range(2, 3 + max((op.path.count(".") for op in self.graph.ops), default=0)):
            tree = self.tree(depth)
            if len(tree.leaves) > limit:
                break
            best = tree
        return best

    def _block(self, call, depth):
        ops = call.ops
        block = Block(self._row(call.path, type(call.module).__name__, call.outputs, ops), ops)
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
        known = op.function in _LAYERS and self._inputs(op)
        return known or len(self._inputs(op)) > 1 or self._parameters[op] > 0

    def _inputs(self, op):
        """The distinct values among its arguments that depend on the image."""
        values = [a for a in op.args if isinstance(a, Value) and a in self.fields]
        return list(dict.fromkeys(values))

    def _connect(self, root):
        """Find out which leaf reads which."""
        owner = {op: leaf for leaf in root.leaves for op in leaf.ops}
        origin = {self.graph.inputs[0]: None}  # value -> the leaf that it comes from
        for op in self.graph.ops:
            inputs, leaf = self._inputs(op), owner.get(op)
            for value in inputs if leaf else ():
                if origin[value] is not leaf and origin[value] not in leaf.sources:
                    leaf.sources.append(origin[value])
            for y in op.outputs if inputs else ():
                origin[y] = leaf or origin[inputs[0]]


def _name(op):
    """What the function behind an op is called."""
    if op.function is AvgPool2d and len(op.args[1]) == 2:
        return "adaptive_avg_pool2d"
    return _LAYERS.get(op.function, op.function.__name__.lower())


def _merge(root):
    """Let one block stand for equal ones, each of which reads the one before and nothing else."""
    leaves = root.leaves
    readers = Counter(source for leaf in leaves for source in leaf.sources)
    stands_for = {}

    def merge(block):
        kept, before = [], None
        for part in block.parts:
            merge(part)
            alone = before and part.sources == [before] and readers[before] == 1
            if alone and _equal(before, part):
                _append(kept[-1].row, part.row)
                stands_for[part] = kept[-1]
            else:
                kept.append(part)
            before = part
        block.parts = kept

    merge(root)
    for leaf in leaves:
        leaf.sources = [stands_for.get(source, source) for source in leaf.sources]


def _equal(block, other):
    """Whether two blocks are of one kind and do the same, each with parameters of its own."""
    a, b = block.row, other.row
    alike = (a.type, a.output_shape, a.macs) == (b.type, b.output_shape, b.macs)
    return alike and a.path != b.path and _deeds(block) == _deeds(other)


def _deeds(block):
    return [
        (op.function, [a.shape if isinstance(a, Value) else repr(a) for a in op.args])
        for op in block.ops
    ]


def _append(run, row):
    first = run.path.split(" ... ")[0]
    run.path = f"{first} ... {row.path.rpartition('.')[2]}"
    run.parameters += row.parameters
    run.macs += row.macs
    run.smallest_field, run.largest_field = row.smallest_field, row.largest_field
    run.count += 1
