"""What a network costs, layer by layer: shapes, parameters, multiply-adds, memory, and what each
layer sees of the image."""

import weakref
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import numpy as np

from tinyconv.autograd import enable_grad, no_grad
from tinyconv.models import diagram, dry
from tinyconv.models.diagram import times
from tinyconv.models.outline import Outline, Row, macs
from tinyconv.models.trace import trace

__all__ = ["Row", "Summary", "count", "summary"]

#: lines of a table, and boxes of a diagram, that can still be taken in
_LINES, _BOXES = 64, 120


@dataclass
class Summary:
    """The rows of a network and their sums; ``print`` shows it as a table.

    Attributes:
        model: the network's class.
        input_size: shape of the input, [N, C, H, W].
        rows: a ``Row`` for each layer, in the order of the calls, none folded.
        parameters: numbers that are trained, or could be.
        auxiliary_parameters: those of them that evaluation does not use: of heads that work in
            training only.
        macs: multiply-accumulates, for one image.
        parameter_bytes: what parameters and buffers take.
        training_bytes: activations that wait for backward when forward has ended.
        inference_bytes: the most that activations take at one time without recording.
    """

    model: str
    input_size: list
    rows: list
    parameters: int
    auxiliary_parameters: int
    macs: int
    parameter_bytes: int
    training_bytes: int
    inference_bytes: int
    _outline: Outline = field(repr=False, compare=False)
    _depth: int | None = field(repr=False, compare=False)

    def to_dict(self):
        """The same as plain dicts, lists and numbers."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name[0] != "_"}
        return plain | {"rows": [asdict(row) for row in self.rows]}

    def table(self, depth=None):
        """The table as text.

        Args:
            depth: to which modules are opened: 1 shows the network's children alone. By default
                what ``summary`` was given.

        Raises:
            ValueError: for a depth below 1.
        """
        head = ("layer", "type", "output", "parameters", "MACs", "field")
        body = [self._cells(leaf.row) for leaf in self._tree(depth, _LINES).leaves]
        total = ("sum", "", "", f"{self.parameters:,}", f"{self.macs:,}", "")
        wide = [max(len(cells[k]) for cells in (head, *body, total)) for k in range(len(head))]
        lines = ["  ".join(map(_aligned, cells, wide, "<<<>><")) for cells in (head, *body, total)]
        rule = "-" * len(lines[0])
        text = [
            f"{self.model}, input {times(self.input_size)}; MACs are for one image",
            lines[0], rule, *lines[1:-1], rule, lines[-1],
        ]  # fmt: skip
        if self.auxiliary_parameters:
            text.append(f"{self.auxiliary_parameters:,} of the parameters work in training only")
        text.append(
            f"memory: parameters {_bytes(self.parameter_bytes)}; activations "
            f"{_bytes(self.training_bytes)} in training, "
            f"{_bytes(self.inference_bytes)} in inference"
        )
        return "\n".join(line.rstrip() for line in text)

    __str__ = table

    def save(self, path, depth=None):
        """Draw the network's graph into a file: boxes are layers, lines say what goes between.

        Args:
            path: ends in ``.svg`` (its boxes tell their costs under the mouse) or ``.png`` (drawn
                with Matplotlib).
            depth: to which modules are opened. By default what ``summary`` was given.

        Raises:
            ValueError: for another ending, or a depth below 1.
            ImportError: for ``.png`` without Matplotlib; the message says how to get it.
            OSError: if the file cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() not in diagram.WRITERS:
            raise ValueError(f"save: {str(path)!r} must end in {' or '.join(diagram.WRITERS)}")
        drawing = diagram.draw(self._tree(depth, _BOXES), self.input_size, self._describe)
        path.write_bytes(diagram.WRITERS[path.suffix.lower()](drawing))

    def _describe(self, row):
        """What a row says, in one line."""
        return ", ".join(
            f"{name} {cell}" if name else cell
            for name, cell in zip(
                ("", "", "output", "parameters", "MACs", "field"), self._cells(row)
            )
            if cell
        )

    def _tree(self, depth, limit):
        _check_depth(depth)
        depth = self._depth if depth is None else depth
        return self._outline.readable(limit) if depth is None else self._outline.tree(depth)

    def _cells(self, row):
        many = f"{row.count} x " if row.count > 1 else ""
        return (
            row.path or ("(itself)" if row.type == self.model else ""),
            many + row.type,
            times(row.output_shape),
            f"{row.parameters:,}" if row.parameters else "",
            f"{row.macs:,}" if row.macs else "",
            self._field(row),
        )

    def _field(self, row):
        """Smallest - largest field; 'image' is all of it."""
        if row.largest_field is None:
            return ""
        image = self.input_size[2:]
        sizes = [
            "image" if size == image else times(size)
            for size in (row.smallest_field, row.largest_field)
        ]
        return " - ".join(dict.fromkeys(sizes))


def summary(model, input_size, depth=None):
    """What each layer of a network makes of its input, and what it costs; nothing is computed.

    A MAC is one multiplication with its addition: N O Ho Wo (C / groups) kh kw in a convolution,
    one per weight and row in a linear layer, M K N in a product of matrices. They are counted where
    they are called, in a layer or as a function. Normalisation, pooling, activations and biases
    are not counted.

    Activations are measured in dry runs: the arrays that ops make, for as long as they live, and
    for training those kept for backward. Not counted are the input itself, the buffers that kernels
    use inside, and what ops save by being computed together (``autograd.fusion``).

    The receptive field of a layer is what one number of its output depends on: pixels, height x
    width, along the shortest and the longest path through the branches; ``image`` is all of it.

    Rows are of a pass in evaluation. Auxiliary heads, which work in training only, have none, but
    their parameters are in the sum.

    Args:
        model: a Module; its weights may be blank (``nn.init.skip_init``).
        input_size: (C, H, W) for one image, or the whole shape (N, ...).
        depth: to which modules are opened in the table and the diagram; by default as far as they
            stay readable. ``rows`` are never folded.

    Returns:
        ``Summary``. Modes, buffers, gradients and random numbers are as before.

    Raises:
        ValueError, RuntimeError: what the network raises if it does not take that input.

    >>> import tinyconv as tc
    >>> s = tc.models.summary(tc.models.LeNet5(), (1, 28, 28))
    >>> s.parameters, s.macs, s.rows[2].largest_field
    (61706, 416520, [14, 14])
    """
    _check_depth(depth)
    graph = trace(model, input_size)
    shape = list(graph.inputs[0].shape)
    parameters = dict(model.named_parameters())
    outline = Outline(graph, parameters)
    rows = [leaf.row for leaf in outline.tree(merge=False).leaves]
    parts = [*parameters.values(), *model.buffers()]
    training, inference = _activations(model, shape, graph.inputs[0].dtype, parts)
    return Summary(
        model=type(model).__name__,
        input_size=shape,
        rows=rows,
        parameters=sum(p.numel() for p in parameters.values()),
        auxiliary_parameters=outline.unused,
        macs=sum(row.macs for row in rows),
        parameter_bytes=sum(p.array.nbytes for p in parts),
        training_bytes=training,
        inference_bytes=inference,
        _outline=outline,
        _depth=depth,
    )


def count(model, input_size):
    """(parameters, MACs of one image), without the rest of a ``summary``.

    >>> import tinyconv as tc
    >>> from tinyconv.models.summary import count
    >>> count(tc.models.LeNet5(), (1, 28, 28))
    (61706, 416520)
    """
    x = dry.image(model, input_size)
    with dry.mode_of(model, False), no_grad(), dry.watched(_Macs()) as counted:
        model(x)
    return sum(p.numel() for p in model.parameters()), counted.macs // x.shape[0]


class _Macs:
    """Adds up what ops cost; which modules they are called in does not matter."""

    def __init__(self):
        self.macs = 0
        self.modules = self

    def __bool__(self):
        return False

    def append(self, entry):
        pass

    pop = dict

    def forward(self, node, arrays, options):
        results = dry.forward(node, arrays, options)
        self.macs += macs(type(node), arrays, results)
        return results


def _activations(model, shape, dtype, parts):
    """Bytes of activations at the end of a forward in training, and the most in inference."""
    x = dry.blank(shape, dtype)
    with dry.mode_of(model, False), no_grad(), dry.watched(_Lives([x, *parts])) as lives:
        model(x)
    # batch statistics of single numbers want two images at least
    images = max(2, shape[0])
    x = dry.blank((images, *shape[1:]), dtype)
    with dry.mode_of(model, True), enable_grad(), dry.watched(_Lives([x, *parts])) as kept:
        y = model(x)
        training = kept.now * shape[0] // images
    del y
    return training, lives.most


class _Lives:
    """Counts the bytes of arrays that ops make and that are still alive."""

    def __init__(self, given):
        self.modules = []
        self.now = self.most = 0
        self._alive = {id(_owner(t.array)): None for t in given}  # these do not count

    def forward(self, node, arrays, options):
        results = dry.forward(node, arrays, options)
        made = results if isinstance(results, tuple) else (results,)
        for array in (*made, *(node._to_save if any(node.needs_input_grad) else ())):
            if isinstance(array, np.ndarray):
                self._count(_owner(array))
        return results

    def _count(self, array):
        if id(array) in self._alive:
            return
        key, size = id(array), array.nbytes

        def gone(_):
            del self._alive[key]
            self.now -= size

        self._alive[key] = weakref.ref(array, gone)
        self.now += size
        self.most = max(self.most, self.now)


def _owner(array):
    """The array that the memory belongs to: views cost nothing."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _check_depth(depth):
    if depth is not None and depth < 1:
        raise ValueError(f"summary: depth={depth} must be at least 1")


def _aligned(cell, width, side):
    return f"{cell:{side}{width}}"


def _bytes(count):
    return f"{count / 2**20:.2f} MiB" if count >= 2**20 else f"{count / 2**10:.1f} KiB"
