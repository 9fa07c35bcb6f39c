"""What the user is told when training cannot go on: one sentence, no traceback."""

import difflib


class TrainError(ValueError):
    """Something that the user can put right; the command line prints it and ends with code 2."""


class NonFiniteError(TrainError):
    """The loss or a gradient is NaN or infinite; the message names the layer and what to try."""


def nearest(word, known, count=2):
    """``did you mean 'a' or 'b'?`` for the known words most like ``word``, else ''.

    >>> from tinyconv.train.errors import nearest
    >>> nearest("adma", ["sgd", "adam", "adamw"])
    "did you mean 'adam' or 'adamw'? "
    """
    likeness = {k: difflib.SequenceMatcher(None, plain(k), plain(word)).ratio() for k in known}
    least = max(0.5, max(likeness.values(), default=0) - 0.12)  # what is much further off confuses
    near = sorted((k for k in known if likeness[k] >= least), key=lambda k: -likeness[k])[:count]
    return f"did you mean {' or '.join(map(repr, near))}? " if near else ""


def nearest_or(word, known, rest):
    """``nearest`` and then ``rest``, as a new sentence or, without a near word, as the same.

    >>> from tinyconv.train.errors import nearest_or
    >>> nearest_or("adma", ["sgd", "adamw"], "See x"), nearest_or("?", ["sgd"], "See x")
    ("did you mean 'adamw'? See x", 'see x')
    """
    hint = nearest(word, known)
    return hint + (rest if hint else rest[0].lower() + rest[1:])


def pick(what, word, known):
    """The known word that ``word`` spells; case, hyphens and underscores do not matter.

    Raises:
        TrainError: for an unknown one, with the nearest right ones.

    >>> from tinyconv.train.errors import pick
    >>> pick("dataset", "Fashion-MNIST", ["digits", "fashion_mnist"])
    'fashion_mnist'
    """
    for k in known:
        if plain(k) == plain(word):
            return k
    rest = f"There are: {', '.join(known)}"
    raise TrainError(f"unknown {what} {word!r}; {nearest_or(word, known, rest)}")


def plain(word):
    """``word`` without what people spell differently."""
    return "".join(c for c in str(word).lower() if c not in "-_ ")


def reason(error):
    """An OSError in words, without its number and path.

    >>> from tinyconv.train.errors import reason
    >>> reason(OSError(28, "No space left on device", "a.npz"))
    'No space left on device'
    """
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
