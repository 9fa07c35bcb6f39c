"""Weights into a network: names and shapes made to fit, then ``load_state_dict``."""

import inspect
import math
import re

import numpy as np

import tinyconv.nn as nn
from tinyconv.models.registry import find, list_models
from tinyconv.nn.init import skip_init
from tinyconv.weights.files import is_keras, load_file
from tinyconv.weights.names import SOURCES, source_of

#: pairs layers by their order, for files whose names say nothing
ORDER = "order"
_COUNTER = "num_batches_tracked"
_LIKE = 0.9  # share of the entries that makes a file look like a network's


def load_into(model, weights, source=None, head=True):
    """Load weights of another library into a network that is here too.

    The source is recognised by the names: timm's and Cadene's networks are renamed (see
    ``tinyconv.weights.names``), torchvision's fit as they are. Shapes that say the same in
    another way are reshaped (a linear layer kept as a convolution). Auxiliary classifiers that the
    model does not have are passed over, and so is the first of 1001 classes (background).

    Args:
        model: the network; it stays as it is unless all fits.
        weights: a file, or dict name -> Tensor or array.
        source: name of a ``Source``, or ``'order'``: the k-th convolution of the file goes into
            the k-th of the model, and so for linear layers and batch norms. Keras' files go by
            order, for their names are arbitrary. Default: recognised.
        head: False leaves the last layer (and auxiliary classifiers) as it is, for another
            number of classes.

    Returns:
        the model.

    Raises:
        WeightsError: if the file cannot be read.
        RuntimeError: if the weights do not fit; it tells which network they look like.
        ValueError: for an unknown source.

    >>> import tinyconv as tc
    >>> from tinyconv.weights import load_into
    >>> old, new = (tc.models.get_model("lenet5", num_classes=n) for n in (10, 4))
    >>> _ = load_into(new, old.state_dict(), head=False)
    >>> tc.equal(old.conv1.weight, new.conv1.weight)
    True
    """
    if hasattr(weights, "items"):
        state = {str(name): getattr(value, "array", value) for name, value in weights.items()}
        state = {name: np.asarray(value) for name, value in state.items()}
        return _load(model, state, "load_into", source, head)
    state = load_file(weights)
    if source is None and _goes_by_order(state, model.state_dict(), weights):
        source = ORDER
    return _load(model, state, weights, source, head)


def network(name, path):
    """A network of ``list_models()`` with the weights in a file, in evaluation mode.

    It gets as many classes as the file has, and what else the file's source wants.

    Raises:
        WeightsError: if the file cannot be read.
        RuntimeError: if it does not fit.
    """
    state = load_file(path)
    entry, source = find(name), source_of(state)
    takes = inspect.signature(entry.cls).parameters
    options = {k: v for k, v in (source.options if source else {}).items() if k in takes}
    if "aux_logits" in takes:
        options["aux_logits"] = False  # they are for training
    with skip_init():
        model = entry.make(**options)
        own = model.state_dict()
        by_order = ORDER if _goes_by_order(state, own, path) else None
        head = _heads(own)[0]
        found = _by_order(model, state, path) if by_order else _renamed(state, own, None)
        count = found[head].shape[:1] if head in found else ()
        if count and count[0] not in (0, len(own[head]), 1001):
            model = entry.make(num_classes=count[0], **options)
    return _load(model, state, path, by_order, True).eval()


def _load(model, state, where, source, head):
    own = model.state_dict()
    if source == ORDER:
        state = _by_order(model, state, where)
    else:
        state = _renamed(state, own, source)
    state = _fitted(own, state)
    if not head:
        heads = _heads(own)
        state = {name: value for name, value in state.items() if name not in heads}
        state.update((name, own[name]) for name in heads)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise RuntimeError(_told(error, where, state, model)) from None
    return model


def _renamed(state, own, source):
    """The state under this library's names, by a named source or the recognised one."""
    if source is not None:
        named = {s.name: s for s in SOURCES}
        if source not in named:
            known = ", ".join(map(repr, (ORDER, *named)))
            raise ValueError(f"load_into: unknown source {source!r}; there are {known}")
        found = named[source]
    elif own and _has_all(state, own):
        return state
    else:
        found = source_of(state)
    return state if found is None else {found.rename(n): v for n, v in state.items()}


def _goes_by_order(state, own, path):
    """Whether a file's names say nothing, as most of Keras'."""
    return not _has_all(state, own) and source_of(state) is None and is_keras(path)


def _has_all(state, own):
    """Whether the state has the model's own names."""
    return all(name in state for name in own if not name.endswith(_COUNTER))


# -- shapes -------------------------------------------------------------------------------
def _fitted(own, state):
    """The state without what the model has no use for, in the shapes that it has."""
    fitted, state = {}, _without_biases(own, state)
    for name, array in state.items():
        if name not in own and _is_auxiliary(name) and not any(map(_is_auxiliary, own)):
            continue
        if name in own:
            array = _reshaped(array, own[name].shape)
        fitted[name] = array
    for name in _heads(own):
        if name in fitted and (own[name].shape[:1], fitted[name].shape[:1]) == ((1000,), (1001,)):
            fitted[name] = fitted[name][1:]  # the first is the background
    return fitted


def _without_biases(own, state):
    """A convolution's bias b that the model does not have is taken into the batch norm behind:
    bn(x + b) is bn(x) with a mean that is less by b."""
    state = dict(state)
    for name in [n for n in state if n.endswith(".bias") and n not in own]:
        mean = re.sub(r"conv(\d*)\.bias$|downsample\.0\.bias$", _mean_behind, name)
        if mean not in own or mean not in state:
            continue
        if state[name].shape == state[mean].shape == own[mean].shape:
            state[mean] = state[mean] - state.pop(name)
    return state


def _mean_behind(match):
    return "downsample.1.running_mean" if match[1] is None else f"bn{match[1]}.running_mean"


def _is_auxiliary(name):
    return name.lower().startswith("aux")


def _reshaped(array, shape):
    """The array in a shape that has the same numbers in the same order: (O, C, h, w) and
    (O, C h w) are two ways to keep a linear layer, and a 1 says nothing."""
    if array.shape == shape or array.size != math.prod(shape):
        return array
    plain, wanted = ([n for n in s if n != 1] for s in (array.shape, shape))
    flat = {len(array.shape), len(shape)} == {2, 4} and array.shape[0] == shape[0]
    return array.reshape(shape) if flat or plain == wanted else array


def _heads(own):
    """The entries of the last layer, and of the auxiliary classifiers' last layers."""
    weights = [name for name in own if name.endswith(".weight")]
    if not weights:
        return []
    last = own[weights[-1]].shape
    layers = {
        name.removesuffix(".weight")
        for name in weights
        if name == weights[-1]
        or (_is_auxiliary(name) and own[name].shape[:1] == last[:1] and own[name].ndim == len(last))
    }
    return [name for name in own if name.rpartition(".")[0] in layers]


# -- by order -----------------------------------------------------------------------------
_KINDS = {"convolutions": nn.Conv2d, "linear layers": nn.Linear,
          "batch norms": (nn.BatchNorm1d, nn.BatchNorm2d)}  # fmt: skip


def _by_order(model, state, where):
    """The state with the model's names: layers of a kind in the order in which they come."""
    layers = {}
    for name, value in state.items():
        layer, _, what = name.rpartition(".")
        layers.setdefault(layer, {})[what] = value
    result = {}
    for kind, cls in _KINDS.items():
        ours = [name for name, m in model.named_modules() if isinstance(m, cls)]
        theirs = [name for name, parts in layers.items() if _kind(parts) == kind]
        if len(ours) != len(theirs):
            raise RuntimeError(
                f"{where}: the weights have {len(theirs)} {kind}, {type(model).__name__} has "
                f"{len(ours)}; nothing was loaded"
            )
        for mine, layer in zip(ours, theirs):
            result.update({f"{mine}.{what}": v for what, v in layers[layer].items()})
    return result


def _kind(parts):
    if "running_mean" in parts:
        return "batch norms"
    return {4: "convolutions", 2: "linear layers"}.get(np.ndim(parts.get("weight", 0)))


# -- what went wrong ----------------------------------------------------------------------
def _told(error, where, state, model):
    """The report of ``load_state_dict`` with what the weights and the model seem to be."""
    report = str(error).removeprefix("load_state_dict: ")
    theirs, ours = _likenesses(state, model.state_dict())
    if theirs is not None:
        ours = "as the model does" if ours == theirs else f"the model is {ours or 'another'}"
        report = f"looks like {theirs}, {ours}\n{report}"
    return f"{where}: {report}"


def looks_like(state):
    """The network of ``list_models()`` that a state seems to be for, or None.

    Names (also those of known sources) and shapes are compared, but for heads, counters and
    auxiliary classifiers; of networks with the same ones it is the first.

    >>> import tinyconv as tc
    >>> looks_like(tc.models.get_model("lenet_caffe", num_classes=3).state_dict())
    'lenet_caffe'
    """
    return _likenesses(state)[0]


def _likenesses(*states):
    signs = [_sign(_renamed(state, (), None)) for state in states]
    best = [(_LIKE, None)] * len(states)
    for name in list_models() if any(signs) else ():
        with skip_init():
            sign = _sign(find(name).make().state_dict())
        for i, given in enumerate(signs):
            share = len(sign & given) / max(len(sign), len(given), 1)
            if share > best[i][0]:
                best[i] = share, name
    return [name for _, name in best]


def _sign(state):
    """(name, shape) of the entries that tell one network from another."""
    heads = _heads(state)
    return {
        (name, tuple(array.shape))
        for name, array in state.items()
        if name not in heads and not name.endswith(_COUNTER) and not _is_auxiliary(name)
    }
