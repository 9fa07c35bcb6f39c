"""What is said of a file that cannot be used."""


class WeightsError(ValueError):
    """A file of weights is damaged, hostile, or of a kind that is not read."""


def damaged(path, why):
    """The ``WeightsError`` for a file that is not as it should be."""
    return WeightsError(f"{path}: {why}; nothing was loaded")
