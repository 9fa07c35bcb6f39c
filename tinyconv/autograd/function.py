"""Function: one recorded op, and the node of the graph that it leaves behind."""

import functools
import itertools

import numpy as np

from tinyconv.autograd.deferred import Deferred, Later, defer
from tinyconv.autograd.modes import state
from tinyconv.autograd.tensor import Tensor, from_edge, meta
from tinyconv.kernels.memory import is_new

#: nodes are numbered as they are recorded: the order of the walk (see ``autograd.backward``)
_number = itertools.count()
_wrap = Tensor.__dict__["_wrap"].__func__  # the binding of a classmethod costs as much as some ops


class Function:
    """An op with its derivative. Subclass it, write two methods, call ``apply``.

    ``forward(ctx, *arrays, **options)`` gets NumPy arrays where the caller gave Tensors
    and returns an array or a tuple of arrays. ``backward(ctx, *grads)`` gets Tensors,
    one per output, and returns one Tensor or None per argument of ``forward``. Write it
    in Tensor ops and every higher derivative follows. ``@staticmethod`` is optional:
    ``ctx`` and ``self`` are the same object, the node of the graph.

    >>> import numpy as np, tinyconv as tc
    >>> class Exp(tc.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         y = np.exp(x)
    ...         ctx.save_for_backward(y)
    ...         return y
    ...     @staticmethod
    ...     def backward(ctx, gy):
    ...         (y,) = ctx.saved_tensors
    ...         return gy * y
    >>> x = tc.zeros(2, requires_grad=True)
    >>> Exp.apply(x).sum().backward()
    >>> x.grad
    tensor([1., 1.])
    """

    #: zeros instead of None for outputs that nobody used (``set_materialize_grads``)
    materialize_grads = True
    #: ``forward`` may be given ``Later``s in place of arrays; it can not save these
    fuses = False

    # what most nodes never change
    needs_input_grad: tuple = ()
    edges: tuple = ()
    hooks = retains = None
    origin = None
    _saved: tuple | None = ()
    _to_save: tuple = ()
    _non_differentiable: tuple = ()

    # -- for authors of ops -----------------------------------------------------------
    def save_for_backward(self, *arrays):
        """Declare what ``backward`` needs: inputs, outputs or other arrays.

        They come back from ``saved_tensors`` as Tensors, joined to the graph where they
        are the very arrays that ``forward`` got or returned. Any other array (a copy of an
        input too) counts as a constant in higher derivatives. They are let go once the
        node was walked.
        """
        self._to_save = arrays

    def mark_non_differentiable(self, *arrays):
        """Declare outputs (indices, masks) that have no gradient."""
        self._non_differentiable = arrays

    def set_materialize_grads(self, value):
        """With False, ``backward`` gets None for outputs that nobody used."""
        self.materialize_grads = bool(value)

    def mark_dirty(self, *arrays):
        """Raises: ``forward`` may not change its inputs."""
        raise RuntimeError(
            f"{self.name}: mark_dirty does not exist in tinyconv: forward must not change its "
            "inputs; compute into a copy"
        )

    def __init_subclass__(cls):
        # PyTorch's other spelling: forward(*arrays), then setup_context(ctx, inputs, output)
        if "setup_context" in cls.__dict__:
            forward, setup = cls.forward, cls.setup_context

            def both(ctx, *arrays, **options):
                output = forward(*arrays, **options)
                setup(ctx, arrays, output)
                return output

            cls.forward = staticmethod(both)

    @staticmethod
    def forward(ctx, *arrays, **options):
        raise NotImplementedError("a Function needs a forward(ctx, *arrays)")

    @staticmethod
    def backward(ctx, *grads):
        raise NotImplementedError("a Function needs a backward(ctx, *grads) to be differentiated")

    # -- the engine's side ----------------------------------------------------------
    @property
    def name(self):
        return type(self).__name__

    def __repr__(self):
        return f"<{self.name}>"

    @classmethod
    def apply(cls, *args, **options):
        """Run ``forward`` on the arrays behind ``args`` and record the node."""
        # one loop and no call that can be spared: for a small op this is what it costs
        if options:
            _check_options(cls, options)
        detector, recording = state.detector, state.grad_enabled
        if state.saver is not None:
            state.saver.watch(args)
        node, arrays, edges, needs, recorded = cls(), [], [], [], False
        for a in args:
            edge = None
            if isinstance(a, Tensor):
                if recording and a._requires_grad:
                    edge = (a, 0) if a.grad_fn is None else (a.grad_fn, a.output_nr)
                    recorded = True
                a = a._later if type(a) is Deferred and cls.fuses and not detector else a.array
            arrays.append(a)
            edges.append(edge)
            needs.append(edge is not None)
        node.needs_input_grad = tuple(needs)
        try:
            if detector is None:
                results = cls.forward(node, *arrays, **options)
            else:
                results = detector.forward(node, arrays, options)
        except AttributeError as error:
            if isinstance(error.obj, np.ndarray):
                error.add_note(
                    f"{cls.__name__}.forward gets NumPy arrays: write it with NumPy "
                    "(np.sign(x) in place of x.sign()); backward gets Tensors"
                )
            raise
        if isinstance(results, tuple):
            outputs = tuple([_as_output(cls, result, args, arrays) for result in results])
            if recorded:
                node._record(edges, args, arrays, results, outputs)
            return outputs
        output = _as_output(cls, results, args, arrays)
        if recorded:
            dtype = results.dtype
            node.number, node.edges = next(_number), edges
            node.output_meta = ((results.shape, dtype),)
            if dtype.kind in "fc" and not node._non_differentiable:
                output.grad_fn, output._requires_grad = node, True
            if node._to_save:
                node._keep(args, arrays, (results,), (output,))
        return output

    def _record(self, edges, args, arrays, results, outputs):
        self.number, self.edges = next(_number), edges
        self.output_meta = [(result.shape, result.dtype) for result in results]
        fixed = [id(a) for a in self._non_differentiable]
        for i, (result, y) in enumerate(zip(results, outputs)):
            if result.dtype.kind in "fc" and id(result) not in fixed:
                y.grad_fn, y.output_nr, y._requires_grad = self, i, True
        self._keep(args, arrays, results, outputs)

    def _keep(self, args, arrays, results, outputs):
        self._saved = saved = []
        for a in self._to_save:
            saved.append(None if a is None else self._save(a, args, arrays, results, outputs))
        self._to_save = self._non_differentiable = ()

    def _save(self, array, args, arrays, results, outputs):
        """(array or how to get it again, edge, version counter, version)."""
        edge = counter = None
        for i, given in enumerate(arrays):
            if given is array and isinstance(args[i], Tensor):
                edge, counter = self.edges[i], args[i]._counter
                break
        else:
            for i, result in enumerate(results):
                if result is array:
                    # not the Tensor itself: node and output would keep each other alive
                    y = outputs[i]
                    edge, counter = (i if y._requires_grad else None), y._counter
                    array = y.array
                    break
            else:
                counter = _counter_of_memory(array, args, arrays)
        array = np.asarray(array)
        if state.saver is not None:
            array = state.saver.pack(array)
        return array, edge, counter, counter and counter[0]

    @property
    def input_meta(self):
        """(shape, dtype) of each argument that a gradient goes to, as it is now, or None."""
        return [None if edge is None else meta(*edge) for edge in self.edges]

    @property
    def saved_tensors(self):
        """What ``save_for_backward`` declared, as Tensors.

        Raises:
            RuntimeError: if the node was walked and released, or if a saved tensor was
                changed in place since.
        """
        if self._saved is None:
            raise RuntimeError(
                f"{self.name}: backward a second time through the same graph, whose saved data "
                "was released by the first walk. Give retain_graph=True to the first one if you "
                "need two."
            )
        return tuple([None if entry is None else self._unpack(*entry) for entry in self._saved])

    def _unpack(self, array, edge, counter, version):
        if counter is not None and counter[0] != version:
            raise RuntimeError(
                f"{self.name}: a tensor that backward needs{_shape_of(array)} was changed in place "
                f"after the forward pass (saved at version {version}, now {counter[0]})"
                f"{self._where()}. Run backward before changing it, or change a .clone()."
            )
        if not isinstance(array, np.ndarray):
            array = array.unpack()
        if edge is None or not state.grad_enabled:
            return Tensor._wrap(array, counter)
        return from_edge(array, (self, edge) if isinstance(edge, int) else edge, counter)

    def _where(self):
        return f"; the op was built {self.origin}" if self.origin else ""

    def release(self):
        """Let go of what was saved; from here on ``saved_tensors`` raises."""
        if self._saved:
            for entry in self._saved:
                if entry is not None and not isinstance(entry[0], np.ndarray):
                    entry[0].release()
            self._saved = None


def _counter_of_memory(array, args, arrays):
    """The version counter of the argument that ``array`` is a view of, or None."""
    if isinstance(array, np.ndarray) and not is_new(array):
        for a, given in zip(args, arrays):
            if isinstance(given, np.ndarray) and isinstance(a, Tensor):
                if np.may_share_memory(array, given):
                    return a._counter
    return None


def _shape_of(array):
    return f" (shape {list(array.shape)})" if isinstance(array, np.ndarray) else ""


def _as_output(cls, array, args, arrays):
    if type(array) is not np.ndarray:
        if isinstance(array, Later):
            return defer(array)
        if not isinstance(array, (np.ndarray, np.generic)):
            raise TypeError(
                f"{cls.__name__}.forward returned {type(array).__name__}; it works on NumPy arrays "
                "and returns one, or a tuple of them"
            )
        array = np.asarray(array)
    base = array.base
    own = base is None or is_new(array)
    for i, given in enumerate(arrays):
        if given is array and isinstance(args[i], Tensor):
            return args[i]._alias(array[...])
        # a view of an input shares its memory, and so its version counter; both know of it
        if not own and isinstance(given, np.ndarray) and isinstance(args[i], Tensor):
            if base is given or base is given.base or np.may_share_memory(array, given):
                return args[i]._alias(array)
    return _wrap(Tensor, array)


def _check_options(cls, options):
    for name in options:
        if isinstance(options[name], Tensor):
            raise TypeError(
                f"{cls.__name__}.apply: {name}= is a Tensor; give tensors by position, options "
                "by name have no gradient"
            )


def once_differentiable(backward):
    """Decorate a ``backward`` that is not made of Tensor ops: second derivatives raise.

    >>> import tinyconv as tc
    >>> class Twice(tc.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return 2 * x
    ...     @staticmethod
    ...     @tc.autograd.once_differentiable
    ...     def backward(ctx, gy):
    ...         return tc.from_numpy(2 * gy.array)
    >>> x = tc.ones(1, requires_grad=True)
    >>> tc.autograd.grad(Twice.apply(x).sum(), x)
    (tensor([2.]),)
    """

    @functools.wraps(backward)
    def wrapped(ctx, *grads):
        if state.grad_enabled:
            raise RuntimeError(
                f"{ctx.name}: its backward is marked once_differentiable, so create_graph=True "
                "cannot go through it"
            )
        return backward(ctx, *grads)

    return wrapped
