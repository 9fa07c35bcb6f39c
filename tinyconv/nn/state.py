"""What to tell of a state that does not fit a network."""

_FEW = 0.1  # share of names
_SHOWN = 8  # names of a list; a wrong file can have hundreds


def misfit(network, own, values, missing, unexpected):
    """The report of all that keeps a state from fitting, or '' if it fits.

    Args:
        network: its name.
        own: path -> Tensor that the network has.
        values: path -> ndarray of the state, for the paths that both have.
        missing, unexpected: names that are an error.
    """
    wrong = [name for name in values if values[name].shape != own[name].shape]
    strange = [name for name in values if values[name].dtype.kind not in "fiub"]
    lines = [
        *_listed("wrong shape", wrong, lambda n: f"{n}: file {_shape(values[n])}, model "
                 f"{_shape(own[n])}"),
        *_listed("not numbers", strange, lambda n: f"{n} {values[n].dtype}"),
        *_listed("missing", missing, lambda n: f"{n} {_shape(own[n])}"),
        *_listed("unexpected", unexpected, str),
    ]  # fmt: skip
    if not lines:
        return ""
    hint = _hint(own, values, wrong, missing, unexpected)
    return "\n".join(
        [
            f"load_state_dict: the state does not fit {network}; nothing was loaded.",
            *([f"hint: {hint}"] if hint else []),
            *lines,
        ]
    )


def _shape(array):
    return list(array.shape)


def _listed(what, names, describe):
    """The heading and the first names, and how many more there are."""
    if not names:
        return []
    # to say "and 1 more" takes as much room as the one
    shown = names if len(names) <= _SHOWN + 1 else names[:_SHOWN]
    rest = [f"  ... and {len(names) - len(shown)} more"] if len(names) > len(shown) else []
    return [f"{what}:", *(f"  {describe(name)}" for name in shown), *rest]


def _hint(own, values, wrong, missing, unexpected):
    """What is behind it, where that can be told."""
    for inner, outer, advice in (
        (unexpected, missing, "take it off: {{n.removeprefix({!r}): v for n, v in state.items()}}"),
        (missing, unexpected, "the state has the names without {!r}"),
    ):
        prefix = _prefix(inner)
        if prefix and {name.removeprefix(prefix) for name in inner} & set(outer):
            whose = "state" if inner is unexpected else "model"
            return f"the {whose}'s names begin with {prefix!r}; {advice.format(prefix)}"
    for names, advice in (
        (missing, "the state has no auxiliary classifiers: build the model with aux_logits=False"),
        (unexpected, "the state has auxiliary classifiers: build the model with aux_logits=True, "
         "or leave them out by tinyconv.weights.load_into(model, state)"),
    ):  # fmt: skip
        others = len(missing) + len(unexpected) + len(wrong) - len(names)
        if names and not others and all(name.lower().startswith("aux") for name in names):
            return advice
    if missing and unexpected and len(values) < _FEW * len(own):
        return (
            "hardly a name is common; tinyconv.weights.load_into(model, file) knows those of timm, "
            "Cadene and Keras, and pairs layers by their order with source='order'"
        )
    if wrong and all(_is_turned(values[n].shape, own[n].shape) for n in wrong):
        return (
            "the shapes are right but for the order of their dimensions, as in Keras' files; "
            "tinyconv.weights.load_file turns them when it reads the .h5"
        )
    if not missing and not unexpected and wrong and _is_head(own, values, wrong):
        count, classes = values[wrong[0]].shape[0], own[wrong[0]].shape[0]
        return (
            f"the state is for {count} classes, the model has {classes}: build it with "
            f"num_classes={count}, or leave the last layer out: tinyconv.weights.load_into(model, "
            "state, head=False)"
        )
    return ""


def _prefix(names):
    """The part up to the first dot that all names begin with, or ''."""
    first = {name.partition(".")[0] + "." for name in names}
    return first.pop() if len(first) == 1 else ""


def _is_turned(a, b):
    return len(a) > 1 and a != b and sorted(a) == sorted(b)


def _is_head(own, values, wrong):
    """Whether only numbers of classes differ."""
    sizes = {(values[n].shape[:1], own[n].shape[:1]) for n in wrong}
    if any(() in pair for pair in sizes):  # single numbers, like counters of batches
        return False
    return len(sizes) == 1 and all(values[n].shape[1:] == own[n].shape[1:] for n in wrong)
