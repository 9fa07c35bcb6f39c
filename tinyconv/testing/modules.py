"""check_module: a network as a function of its inputs and of all its parameters."""

import contextlib
import copy

import numpy as np

from tinyconv.autograd import modes
from tinyconv.nn import Module
from tinyconv.testing.examine import Options, differentiated, examine
from tinyconv.testing.reproduce import Source
from tinyconv.testing.subject import TensorSubject


def check_module(net, *inputs, **options):
    """Check the derivatives of a Module by its inputs and by every parameter that requires grad.

    The check runs on a copy in float64, in the mode (train or eval) that ``net`` is in. Running
    statistics and the generator of dropout masks are put back before each run, so every run sees
    the same function; ``net`` itself stays as it is.

    Args:
        net: the Module.
        inputs: arrays or Tensors, and whatever else ``net`` takes. Where none is a float,
            parameters alone are checked.
        options: those of ``check``; ``oracle="twin"`` compares in float32.

    Returns:
        Report; true if all passed. Inputs are "input 0", ..., parameters go by their names.

    Raises:
        TypeError, ValueError: bad arguments.

    >>> import numpy as np, tinyconv as tc
    >>> from tinyconv.testing import check_module
    >>> check_module(tc.nn.Linear(3, 2), np.array([[0.5, -1.0, 2.0]])).verdict
    'passed'
    """
    if not isinstance(net, Module):
        raise TypeError(f"check_module: net is {type(net).__name__}; wants a Module (else: check)")
    options = Options.of("check_module", options, order=2)
    source = Source("check_module", [net], inputs, options)
    net = copy.deepcopy(net).double()
    parameters = {name: p for name, p in net.named_parameters() if p.requires_grad}
    arguments = [np.asarray(a, np.float64) if _is_single(a) else a for a in inputs]
    arguments, wrt = differentiated([*arguments, *(p.array for p in parameters.values())],
                                    "check_module")  # fmt: skip
    names = [f"input {i}" for i in range(len(inputs))] + list(parameters)
    run = _Functional(net, list(parameters.values()), len(inputs))
    subject = TensorSubject(run, arguments, wrt, [names[i] for i in wrt])
    return examine(subject, options, source)


def _is_single(value):
    return getattr(value, "dtype", None) == np.float32


class _Functional:
    """``net`` as a function of its arguments and parameters, without memory of earlier runs."""

    def __init__(self, net, parameters, count):
        self.net, self.count = net, count
        place = {id(p): i for i, p in enumerate(parameters)}
        #: (module, name, number of the parameter): a shared one stands in several places
        self.slots = [
            (module, name, place[id(p)])
            for module in net.modules()
            for name, p in module._parameters.items()
            if id(p) in place
        ]
        self.buffers = [(b, b.array.copy()) for b in net.buffers()]
        self.generator = modes.get_rng_state()

    def __call__(self, *arguments):
        given = arguments[self.count :]
        with self._filled(given):
            return self.net(*arguments[: self.count])

    @contextlib.contextmanager
    def _filled(self, given):
        own = [module._parameters[name] for module, name, _ in self.slots]
        state = modes.get_rng_state()
        modes.set_rng_state(self.generator)
        try:
            for module, name, i in self.slots:
                module._parameters[name] = given[i]
            yield
        finally:
            for (module, name, _), p in zip(self.slots, own):
                module._parameters[name] = p
            for buffer, kept in self.buffers:
                buffer.array[...] = kept
            modes.set_rng_state(state)
