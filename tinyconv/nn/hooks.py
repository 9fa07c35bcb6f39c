"""What happens around a module's call: backward hooks, and names for the anomaly detector."""

from tinyconv.autograd import Function, Tensor
from tinyconv.autograd.modes import state


class _Passage(Function):
    """Passes tensors through and shows their gradients to ``seen``, which may replace them."""

    materialize_grads = False

    def forward(ctx, seen, *arrays):
        ctx.seen = seen
        return tuple([a[...] for a in arrays])

    def backward(ctx, *grads):
        return None, *ctx.seen(grads)


class BackwardHooks:
    """Watches one call of a module: the gradients that reach its results, and those that it
    sends on to its arguments (its own share, whatever else the arguments are used for)."""

    def __init__(self, module, hooks):
        self.module, self.hooks = module, hooks
        self.grad_output = ()
        self.sends_on = False

    def arguments(self, args):
        """``args`` with a passage in front of the module."""
        at = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]
        self.sends_on = bool(at)
        if not at:
            return args

        def seen(grads):
            sent = self._call(_placed(grads, at, len(args)))
            return tuple(sent[i] for i in at)

        return self._through(args, at, seen)

    def results(self, results):
        """The module's result(s) with a passage behind."""
        several = isinstance(results, tuple)
        parts = results if several else (results,)
        at = [i for i, r in enumerate(parts) if isinstance(r, Tensor) and r.requires_grad]
        if not at:
            return results

        def seen(grads):
            self.grad_output = _placed(grads, at, len(parts))
            if not self.sends_on:
                self._call((None,))
            return grads

        parts = self._through(parts, at, seen)
        return parts if several else parts[0]

    def _through(self, parts, at, seen):
        passed = iter(_Passage.apply(seen, *[parts[i] for i in at]))
        return tuple(next(passed) if i in at else part for i, part in enumerate(parts))

    def _call(self, grad_input):
        for hook in self.hooks:
            replaced = hook(self.module, grad_input, self.grad_output)
            if replaced is not None:
                grad_input = replaced if isinstance(replaced, tuple) else (replaced,)
        return grad_input


def _placed(grads, at, count):
    """A tuple of ``count`` with ``grads`` at the places ``at``, None elsewhere."""
    found = dict(zip(at, grads))
    return tuple(found.get(i) for i in range(count))


class entered:
    """Keeps the anomaly detector's list of (name, module) while a module is called."""

    def __init__(self, module):
        self.module = module

    def __enter__(self):
        self.detector = state.detector
        stack = self.detector.modules
        outer = stack[-1].module if stack else None
        name = _name_in(outer, self.module) if outer else ""
        stack.append(_Entry(name or type(self.module).__name__, self.module))

    def __exit__(self, *exc):
        self.detector.modules.pop()


def _name_in(outer, module):
    """The path of ``module`` in ``outer``; mostly it is a child."""
    for names in (outer.named_children(), outer.named_modules()):
        for name, inner in names:
            if inner is module:
                return name
    return ""


class _Entry:
    """A module under its name."""

    def __init__(self, name, module):
        self.name, self.module = name, module

    def __str__(self):
        return self.name
