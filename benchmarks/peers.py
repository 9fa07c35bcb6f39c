"""The gradient checkers of others, each as a function of a case that raises if it objects.

The NumPy functions are wrapped in each library's own way of adding an op; second derivatives are
asked for where a case has them.
"""

import importlib.util
import logging

import numpy as np


def installed(name):
    """Whether the library behind the peer of this name can be imported."""
    return importlib.util.find_spec(_MODULES[name.split()[0]]) is not None


_MODULES = {"PyTorch": "torch", "JAX": "jax", "HIPS": "autograd"}


def _split(case):
    """(floats, a function that puts the arrays of integers between some floats again)."""
    arrays = case.arrays()
    is_float = [a.dtype.kind == "f" for a in arrays]

    def merged(floats):
        rest = iter(floats)
        return [next(rest) if ok else a for ok, a in zip(is_float, arrays)]

    return [a for a, ok in zip(arrays, is_float) if ok], merged


def _gradients(case, gy, merged, floats):
    """The gradients of the floats, as a tuple; zeros for None."""
    grads = case.backward(gy, *merged(floats))
    grads = grads if isinstance(grads, tuple) else (grads,)
    kept = [g for g, a in zip(grads, merged(floats)) if a.dtype.kind == "f"]
    return tuple([np.zeros_like(x) if g is None else g for g, x in zip(kept, floats)])


# -- PyTorch -----------------------------------------------------------------------------


def _torch_check(fast_mode):
    def check(case):
        import torch

        torch.manual_seed(0)
        floats, function = _torch_function(torch, case)
        torch.autograd.gradcheck(function, floats, fast_mode=fast_mode)
        if case.second is not None:
            torch.autograd.gradgradcheck(function, floats, fast_mode=fast_mode)

    return check


def _torch_function(torch, case):
    floats, merged = _split(case)

    def arrays(tensors):
        return [t.detach().numpy() for t in tensors]

    def tensors(results):
        if isinstance(results, tuple):
            return tuple([torch.as_tensor(np.asarray(r)) for r in results])
        return torch.as_tensor(np.asarray(results))

    class First(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *xs):
            ctx.save_for_backward(*xs)
            return tensors(case.forward(*merged(arrays(xs))))

        @staticmethod
        def backward(ctx, *gys):
            if case.second is not None:
                return Second.apply(*gys, *ctx.saved_tensors)
            gys = arrays(gys)
            gy = tuple(gys) if len(gys) > 1 else gys[0]
            return tensors(_gradients(case, gy, merged, arrays(ctx.saved_tensors)))

    class Second(torch.autograd.Function):
        @staticmethod
        def forward(ctx, gy, *xs):
            ctx.save_for_backward(gy, *xs)
            return tensors(_gradients(case, *arrays([gy]), merged, arrays(xs)))

        @staticmethod
        def backward(ctx, *ggs):
            return tensors(case.second(tuple(arrays(ggs)), *arrays(ctx.saved_tensors)))

    # as PyTorch itself would lay them out: no negative strides, none of 0 in empty arrays
    inputs = [torch.zeros(a.shape, dtype=torch.float64) + torch.tensor(a.copy()) for a in floats]
    return [x.requires_grad_() for x in inputs], First.apply


# -- JAX ---------------------------------------------------------------------------------


def _jax_check(case):
    """JAX's arrays are read-only: a function that writes in its arguments fails."""
    import jax
    from jax.test_util import check_grads

    jax.config.update("jax_enable_x64", True)
    logging.getLogger("jax").setLevel(logging.CRITICAL)  # it prints what it then raises
    floats, function = _jax_function(jax, case)
    check_grads(function, floats, order=case.order, modes=["rev"])


def _jax_function(jax, case):
    floats, merged = _split(case)

    def shapes(results):
        return jax.tree.map(lambda r: jax.ShapeDtypeStruct(np.shape(r), np.float64), results)

    def on_host(function, like):
        def call(*args):
            return jax.pure_callback(
                lambda *arrays: function(*[jax.tree.map(np.asarray, a) for a in arrays]),
                like,
                *args,
            )

        return call

    forward = on_host(lambda *xs: case.forward(*merged(xs)), shapes(case.forward(*case.arrays())))
    inputs = shapes(tuple(floats))
    backward = on_host(lambda gy, *xs: _gradients(case, gy, merged, xs), inputs)

    @jax.custom_vjp
    def first(*xs):
        return forward(*xs)

    def second_backward(saved, ggs):
        gradients = on_host(lambda ggs, *saved: case.second(ggs, *saved), shapes(tuple(saved)))
        return gradients(ggs, *saved)

    if case.second is not None:
        function = backward
        backward = jax.custom_vjp(lambda *args: function(*args))
        backward.defvjp(lambda *args: (function(*args), args), second_backward)
    first.defvjp(lambda *xs: (first(*xs), xs), lambda xs, gy: backward(gy, *xs))
    return floats, first


# -- HIPS autograd -----------------------------------------------------------------------


def _hips_check(case):
    from autograd.test_util import check_grads

    np.random.seed(0)
    floats, function = _hips_function(case)
    everything = tuple(range(len(floats)))
    check_grads(function, everything, modes=["rev"], order=case.order)(*floats)


def _hips_function(case):
    """The outputs of several are joined to one, as autograd's primitives have a single one."""
    from autograd.extend import defvjp, primitive

    floats, merged = _split(case)
    count = len(floats)

    @primitive
    def first(*xs):
        y = case.forward(*merged(xs))
        return np.concatenate([np.ravel(part) for part in y]) if isinstance(y, tuple) else y

    def parted(gy):
        y = case.forward(*case.arrays())
        if not isinstance(y, tuple):
            return gy
        ends = np.cumsum([np.size(part) for part in y])[:-1]
        return tuple([g.reshape(np.shape(part)) for g, part in zip(np.split(gy, ends), y)])

    def gradient(i):
        """The gradient of input ``i`` as a primitive with a derivative of its own."""

        @primitive
        def of(gy, *xs):
            return _gradients(case, parted(gy), merged, xs)[i]

        def second(j):
            def vjp(result, *args):
                zeros = [np.zeros_like(x) for x in args[1:]]
                return lambda gg: case.second(tuple([*zeros[:i], gg, *zeros[i + 1 :]]), *args)[j]

            return vjp

        if case.second is not None:
            defvjp(of, *map(second, range(count + 1)))
        return lambda y, *xs: lambda gy: of(gy, *xs)

    defvjp(first, *map(gradient, range(count)))
    return floats, first


PEERS = {
    "PyTorch": _torch_check(fast_mode=False),
    "PyTorch fast": _torch_check(fast_mode=True),
    "JAX": _jax_check,
    "HIPS autograd": _hips_check,
}
