"""Names that people spell: what they mean, and what they may have meant."""


def nearest(word, known, count=2):
    """``did you mean 'a' or 'b'?`` for the known words most like ``word``, else ''.

    >>> from tinyconv.names import nearest
    >>> nearest("adma", ["sgd", "adam", "adamw"])
    "did you mean 'adam' or 'adamw'? "
    """
    import difflib  # for a message only: not worth its part of every start-up

    likeness = {k: difflib.SequenceMatcher(None, plain(k), plain(word)).ratio() for k in known}
    least = max(0.5, max(likeness.values(), default=0) - 0.12)  # what is much further off confuses
    near = sorted((k for k in known if likeness[k] >= least), key=lambda k: -likeness[k])[:count]
    return f"did you mean {' or '.join(map(repr, near))}? " if near else ""


def nearest_or(word, known, rest):
    """``nearest`` and then ``rest``, as a new sentence or, without a near word, as the same.

    >>> from tinyconv.names import nearest_or
    >>> nearest_or("adma", ["sgd", "adamw"], "See x"), nearest_or("?", ["sgd"], "See x")
    ("did you mean 'adamw'? See x", 'see x')
    """
    hint = nearest(word, known)
    return hint + (rest if hint else rest[0].lower() + rest[1:])


def plain(word):
    """``word`` without what people spell differently."""
    return "".join(c for c in str(word).lower() if c not in "-_ ")
