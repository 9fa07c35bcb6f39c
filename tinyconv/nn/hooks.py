"""What happens around a module's call: backward hooks, and names for the anomaly detector."""

from typing import Any, NamedTuple

from tinyconv.autograd import Function, Tensor
from tinyconv.autograd.modes import state
from tinyconv.autograd.tensor import RemovableHandle

#: where a module keeps its hooks; those of state dicts are looked at there alone
CALL_HOOKS = "_forward_hooks", "_forward_pre_hooks", "_backward_hooks"


class _Hook(NamedTuple):
    """A registered function, and how it wants to be called."""

    function: Any
    with_kwargs: bool = False
    always: bool = False  # also when forward raised
    pre: bool = False  # of backward hooks: before the module's own gradients are known


def registered(table, hook, prepend, **how):
    """Put a hook at the end of a table, or at its front; returns the handle."""
    handle = RemovableHandle(table, _Hook(hook, **how) if how else hook)
    if prepend:
        table.move_to_end(next(reversed(table)), last=False)
    return handle


class Hooked:
    """A module's hooks around its call."""

    forward: Any
    _forward_hooks: dict
    _forward_pre_hooks: dict
    _backward_hooks: dict

    def register_forward_hook(self, hook, *, prepend=False, with_kwargs=False, always_call=False):
        """Call ``hook(module, args, result)`` after forward; it may return another result.

        Args:
            prepend: call it before the hooks that there are.
            with_kwargs: call ``hook(module, args, kwargs, result)``.
            always_call: call it, with None for the result, also when forward raises.
        """
        how = dict(with_kwargs=with_kwargs, always=always_call)
        return registered(self._forward_hooks, hook, prepend, **how)

    def register_forward_pre_hook(self, hook, *, prepend=False, with_kwargs=False):
        """Call ``hook(module, args)`` before forward; it may return other arguments.

        With ``with_kwargs`` call ``hook(module, args, kwargs)``, which may return both anew.
        """
        return registered(self._forward_pre_hooks, hook, prepend, with_kwargs=with_kwargs)

    def register_full_backward_hook(self, hook, prepend=False):
        """Call ``hook(module, grad_input, grad_output)`` in each backward walk.

        ``grad_output`` are the gradients of the results, ``grad_input`` those that this
        module sends on to its positional arguments (None for others); the hook may return
        others to be sent instead.
        """
        return registered(self._backward_hooks, hook, prepend, pre=False)

    register_backward_hook = register_full_backward_hook  # its older name

    def register_full_backward_pre_hook(self, hook, prepend=False):
        """Call ``hook(module, grad_output)`` before the walk enters the module; it may return other
        gradients of the results."""
        return registered(self._backward_hooks, hook, prepend, pre=True)

    def _call(self, args, kwargs):
        result, todo = None, list(self._forward_hooks.values())
        try:
            for hook in list(self._forward_pre_hooks.values()):
                args, kwargs = self._before(hook, args, kwargs)
            watch = BackwardHooks(self, list(self._backward_hooks.values()))
            result = watch.results(self.forward(*watch.arguments(args), **kwargs))
            while todo:
                hook = todo.pop(0)
                given = (args, kwargs, result) if hook.with_kwargs else (args, result)
                changed = hook.function(self, *given)
                result = result if changed is None else changed
        except BaseException:
            for hook in todo:
                if hook.always:
                    hook.function(self, *((args, kwargs) if hook.with_kwargs else (args,)), result)
            raise
        return result

    def _before(self, hook, args, kwargs):
        if not hook.with_kwargs:
            changed = hook.function(self, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
            return args, kwargs
        changed = hook.function(self, args, kwargs)
        if changed is None:
            return args, kwargs
        if not (isinstance(changed, tuple) and len(changed) == 2):
            raise RuntimeError(
                "a forward pre-hook with_kwargs must return None or a pair (args, kwargs), got "
                f"{type(changed).__name__}"
            )
        return changed


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
        self.module, self.hooks = module, [h.function for h in hooks if not h.pre]
        self.before = [h.function for h in hooks if h.pre]
        self.grad_output = ()
        self.sends_on = False

    def arguments(self, args):
        """``args`` with a passage in front of the module."""
        if not self.hooks:
            return args
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
        if not (self.hooks or self.before):
            return results
        several = isinstance(results, tuple)
        parts = results if several else (results,)
        at = [i for i, r in enumerate(parts) if isinstance(r, Tensor) and r.requires_grad]
        if not at:
            return results

        def seen(grads):
            found = _placed(grads, at, len(parts))
            for hook in self.before:
                replaced = hook(self.module, found)
                if replaced is not None:
                    found = replaced if isinstance(replaced, tuple) else (replaced,)
            self.grad_output = found
            if not self.sends_on:
                self._call((None,))
            return tuple(found[i] for i in at)

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
