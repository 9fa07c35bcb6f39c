"""``cudnn.benchmark = True``: kept, without effect."""

benchmark = deterministic = enabled = allow_tf32 = False


def is_available():
    """False."""
    return False


def version():
    """None."""
