"""The walk from outputs back to leaves.

Nodes are numbered as they are made, and an op can only use tensors that exist: the
parents of a node have smaller numbers. So taking the youngest waiting node first
visits each node once, after all that consume its outputs. A heap is all it takes: no
recursion, no counting of uses beforehand.
"""

import heapq
import os
import sys
import threading

import numpy as np

from tinyconv.autograd.modes import settle, state
from tinyconv.autograd.tensor import AFTER_GRAD, Tensor, meta
from tinyconv.kernels.addition import add
from tinyconv.kernels.memory import is_new

_accumulating = threading.Lock()
_box = [object()]
#: the count of references to what one list alone holds, asked as in ``_unseen``
_HELD_ONCE = sys.getrefcount(_box[0])


def _after_fork():
    """Another thread may have held the lock at the moment of the fork."""
    global _accumulating
    _accumulating = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, inputs=None):
    """Add d(tensors)/d(leaf) to ``.grad`` of every leaf that they were computed from.

    Args:
        tensors: Tensor or sequence of them.
        grad_tensors: cotangents of the same shapes; None stands for 1 on scalars.
        retain_graph: keep saved data for another walk; default ``create_graph``.
        create_graph: record the walk, so that gradients can be differentiated again.
        inputs: add to these tensors only (leaves or not).

    Raises:
        RuntimeError: no cotangent for a non-scalar, nothing recorded, graph released.

    >>> import tinyconv as tc
    >>> x = tc.tensor([3.0], requires_grad=True)
    >>> tc.autograd.backward(x * x)
    >>> x.grad
    tensor([6.])
    """
    targets = None
    if inputs is not None:
        targets = list(dict.fromkeys(_recorded(inputs, "backward")))
        if not targets:
            raise RuntimeError("backward: inputs is empty; give None for all leaves")
    pairs = _cotangents(tensors, grad_tensors)
    captured, leaves = _walk(pairs, targets, retain_graph, create_graph)
    # only now, when nothing can fail any more, are the leaves touched
    if targets is not None:
        # (a tensor that retains its gradient got it on the way)
        leaves = [(t, [g]) for t, g in zip(targets, captured) if g is not None and not t._retains]
        del captured
    for leaf, slot in leaves:
        if not leaf._requires_grad:  # frozen since the forward pass
            continue
        _accumulate(leaf, slot, create_graph)
        for hook in list(leaf.__dict__.get(AFTER_GRAD, {}).values()):
            hook(leaf)


def grad(
    outputs,
    inputs,
    grad_outputs=None,
    retain_graph=None,
    create_graph=False,
    only_inputs=True,
    allow_unused=None,
    is_grads_batched=False,
    materialize_grads=False,
):
    """Return d(outputs)/d(inputs), weighed by ``grad_outputs``; ``.grad`` stays as it is.

    Args:
        outputs, inputs: Tensor or sequence of them; ``inputs`` may be leaves or not.
        grad_outputs: cotangents of the outputs' shapes; None stands for 1 on scalars.
        retain_graph: keep saved data for another walk; default ``create_graph``.
        create_graph: record the walk, so that the result can be differentiated again.
        only_inputs: accepted for PyTorch's sake: the leaves' ``.grad`` is never filled.
        allow_unused: give None for inputs that the outputs do not depend on.
        is_grads_batched: there is no such mode; leave it False.
        materialize_grads: give zeros for them instead.

    Returns:
        tuple of Tensors, one per input.

    Raises:
        RuntimeError: an input that does not require grad or was not used.
        ValueError: ``is_grads_batched``.

    >>> import tinyconv as tc
    >>> x = tc.tensor(2.0, requires_grad=True)
    >>> (g,) = tc.autograd.grad(x**3, x, create_graph=True)
    >>> tc.autograd.grad(g, x)
    (tensor(12.),)
    """
    if is_grads_batched:
        raise ValueError("grad: is_grads_batched does not exist in tinyconv; call grad in a loop")
    inputs = _recorded(inputs, "grad")
    if allow_unused is False and materialize_grads:
        raise ValueError("grad: materialize_grads=True contradicts allow_unused=False")
    pairs = _cotangents(outputs, grad_outputs)
    captured, _ = _walk(pairs, inputs, retain_graph, create_graph)
    for i, (t, g) in enumerate(zip(inputs, captured)):
        if g is not None:
            continue
        if materialize_grads:
            captured[i] = Tensor._wrap(np.zeros_like(t.array))
        elif not allow_unused:
            raise RuntimeError(
                f"grad: the outputs do not depend on input {i} (shape {list(t.shape)}); give "
                "allow_unused=True to get None for it"
            )
    return tuple(captured)


def _sequence(tensors, what, optional=False):
    if isinstance(tensors, np.ndarray):
        raise TypeError(f"{what}: wants Tensors, got ndarray; use tinyconv.from_numpy")
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    for t in tensors:
        if not isinstance(t, Tensor) and not (optional and t is None):
            raise TypeError(f"{what}: wants Tensors, got {type(t).__name__}")
    return tensors


def _recorded(inputs, op):
    """The tensors to differentiate by, checked."""
    inputs = _sequence(inputs, "inputs")
    for i, t in enumerate(inputs):
        if not t._requires_grad:
            raise RuntimeError(
                f"{op}: input {i} (shape {list(t.shape)}) does not require grad; set "
                "requires_grad=True before it is used"
            )
    return inputs


def _cotangents(tensors, grads):
    """Pair each output with its checked cotangent."""
    tensors = _sequence(tensors, "outputs")
    grads = [None] * len(tensors) if grads is None else _sequence(grads, "cotangents", True)
    if len(grads) != len(tensors):
        raise RuntimeError(f"got {len(grads)} cotangents for {len(tensors)} outputs")
    pairs = []
    for y, g in zip(tensors, grads):
        if not y._requires_grad:
            raise RuntimeError(
                "backward: the tensor does not require grad and has no grad_fn: nothing was "
                "recorded on the way to it"
            )
        if g is None:
            if y.array.size != 1:
                raise RuntimeError(
                    "grad can be implicitly created only for scalar outputs; this one has shape "
                    f"{list(y.shape)}: reduce it (.sum(), .mean()) or give its cotangent"
                )
            g = Tensor._wrap(np.ones_like(y.array))
        elif g.shape != y.shape:
            raise RuntimeError(
                f"cotangent of an output of shape {list(y.shape)}: got shape {list(g.shape)}"
            )
        pairs.append((y, g if g.dtype == y.dtype else g.to(y.dtype)))
    return pairs


def _walk(pairs, targets, retain_graph, create_graph):
    """Walk from ``pairs`` of (output, cotangent).

    Returns the gradients of ``targets`` in order (None where nothing arrived), and all
    (leaf, [gradient]) in order of arrival.
    """
    if retain_graph is None:
        retain_graph = create_graph
    wanted = {}
    for t in targets or ():
        wanted[_place(t)] = None
    useful = None if targets is None else _leading_to(wanted, pairs)

    waiting = {}  # node -> cotangent per output
    leaves = {}  # leaf -> [its gradient so far]
    heap = []  # (-number, node) of those that wait: the youngest is the first

    def send(node, i, g):
        if isinstance(node, Tensor):
            slots = leaves.get(node)
            if slots is None:
                slots = leaves[node] = [None]
        else:
            slots = waiting.get(node)
            if slots is None:
                slots = waiting[node] = [None] * len(node.output_meta)
                heapq.heappush(heap, (-node.number, node))
        if slots[i] is None:
            slots[i] = g
        elif create_graph or not _unseen(slots, i):
            slots[i] = slots[i] + g
        else:
            add(slots[i].array, g.array, slots[i].array)

    previous = state.grad_enabled, state.inside
    try:
        state.grad_enabled, state.inside = create_graph, state.fusion
        for y, g in pairs:
            send(*_place(y), g)
        while heap:
            _, node = heapq.heappop(heap)
            grads = waiting.pop(node)
            if node.hooks or node.retains or wanted:
                for i, g in enumerate(grads):
                    if g is not None:
                        hooks, retains = (node.hooks or {}).get(i), (node.retains or {}).get(i)
                        grads[i] = g = _observe(g, hooks, retains)
                        if (node, i) in wanted:
                            wanted[(node, i)] = g
            if useful is None or node in useful:
                results = _differentiate(node, grads, useful, wanted)
                for i, (edge, g) in enumerate(zip(node.edges, results)):
                    if edge is not None and g is not None:
                        g = _checked(node, i, g, *meta(*edge))
                        if useful is None or edge[0] in useful or edge in wanted:
                            send(*edge, g)
                if not retain_graph:
                    node.release()
        for leaf, slot in leaves.items():
            if leaf._hooks:
                slot[0] = _observe(slot[0], leaf._hooks, None)
            if (leaf, 0) in wanted:
                wanted[(leaf, 0)] = slot[0]
    finally:
        state.grad_enabled, state.inside = previous
    if not state.inside:
        settle()
    return [wanted[_place(t)] for t in targets or ()], list(leaves.items())


def _unseen(slots, i):
    """Whether nothing but the walk sees the gradient ``slots[i]`` and its memory.

    An array that an op saved or a view of it, a Tensor that a hook or a caller keeps: each is
    one more reference.
    """
    if sys.getrefcount(slots[i]) != _HELD_ONCE:
        return False
    return sys.getrefcount(slots[i].array) == _HELD_ONCE and is_new(slots[i].array)


def _place(tensor):
    """Where the walk meets ``tensor``: (its node or, for a leaf, itself; output number)."""
    return (tensor if tensor.grad_fn is None else tensor.grad_fn), tensor.output_nr


def _leading_to(wanted, pairs):
    """The nodes from which some wanted tensor can be reached."""
    seen = set()
    stack = [y.grad_fn for y, _ in pairs if y.grad_fn is not None]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack.extend(e[0] for e in node.edges if e is not None and not isinstance(e[0], Tensor))
    useful = set()
    for node in sorted(seen, key=lambda node: node.number):  # parents are settled before children
        if any(e is not None and (e in wanted or e[0] in useful) for e in node.edges):
            useful.add(node)
    return useful


def _observe(g, hooks, retains):
    """Let hooks see or replace a finished gradient; fill ``.grad`` where it is retained."""
    for hook in list((hooks or {}).values()):
        replaced = hook(g)
        if replaced is not None:
            if not isinstance(replaced, Tensor) or replaced.shape != g.shape:
                raise RuntimeError(
                    f"a tensor hook must return None or a Tensor of shape {list(g.shape)}"
                )
            g = replaced if replaced.dtype == g.dtype else replaced.to(g.dtype)
    for ref in retains or ():
        tensor = ref()
        if tensor is not None:
            _accumulate(tensor, [g], state.grad_enabled)
    return g


def _differentiate(node, grads, useful, wanted):
    """Call ``node.backward`` and check how much it returns."""
    if node.materialize_grads:
        for i, g in enumerate(grads):
            if g is None:
                shape, dtype = node.output_meta[i]
                grads[i] = Tensor._wrap(np.zeros(shape, dtype))
    needed = node.needs_input_grad
    if useful is not None:
        # a target further down: gradients of the other inputs would be thrown away
        node.needs_input_grad = tuple(
            e is not None and (e in wanted or e[0] in useful) for e in node.edges
        )
    try:
        if state.detector is None:
            results = type(node).backward(node, *grads)
        else:
            results = state.detector.backward(node, grads)
    finally:
        node.needs_input_grad = needed
    results = results if isinstance(results, tuple) else (results,)
    expected = len(node.edges)
    if len(results) != expected:
        # trailing arguments without a gradient (options, indices) need no None of their own
        surplus, missing = results[expected:], node.edges[len(results) :]
        if any([g is not None for g in surplus]) or any([edge is not None for edge in missing]):
            raise RuntimeError(
                f"{node.name}.backward returned {len(results)} gradients, its forward took "
                f"{expected} arguments"
            )
    return results


def _checked(node, i, g, shape, dtype):
    """Gradient ``i`` that ``node`` sends on, which must be fit for its argument."""
    if not isinstance(g, Tensor):
        raise TypeError(
            f"{node.name}.backward returned {type(g).__name__} for argument {i}: write backward in "
            "Tensor ops (wrap constants with tinyconv.tensor), so that it can be differentiated"
        )
    if g.shape != shape:
        raise RuntimeError(
            f"{node.name}.backward: gradient {i} has shape {list(g.shape)}, the argument has "
            f"{list(shape)}, unless it was changed since the forward pass"
        )
    return g if g.dtype == dtype else g.to(dtype)


def forget(tensors, set_to_none=True):
    """Drop the gradients of ``tensors``, or fill those that there are with zeros."""
    for t in tensors:
        keep = not set_to_none and t._grad is not None
        t._grad = Tensor._wrap(np.zeros_like(t.array)) if keep else None


def _accumulate(tensor, slot, create_graph):
    """Add the gradient in ``slot`` to ``tensor.grad``; unseen elsewhere, it becomes that itself."""
    with _accumulating:  # other threads may walk to the same leaf
        before = tensor._grad
        if create_graph:
            tensor._grad = slot[0].clone() if before is None else before + slot[0]
        elif before is None:
            # else a copy: the walk may have given the same array to several leaves
            own = _unseen(slot, 0) and slot[0].array.flags.c_contiguous
            array = slot[0].array
            tensor._grad = Tensor._wrap(array if own else array.copy(order="C"))
        elif before._requires_grad:
            tensor._grad = before.detach() + slot[0]
        else:
            settle()
            add(before.array, slot[0].array, before.array)
            before._bump()
