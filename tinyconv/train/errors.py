"""What the user is told when training cannot go on: one sentence, no traceback."""

from tinyconv.names import nearest_or, plain


class TrainError(ValueError):
    """Something that the user can put right; the command line prints it and ends with code 2."""


class NonFiniteError(TrainError):
    """The loss or a gradient is NaN or infinite; the message names the layer and what to try."""


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


def reason(error):
    """An OSError in words, without its number and path.

    >>> from tinyconv.train.errors import reason
    >>> reason(OSError(28, "No space left on device", "a.npz"))
    'No space left on device'
    """
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
