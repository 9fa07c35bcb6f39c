"""``Variable``, as PyTorch called recorded tensors before 0.4."""


def Variable(data, requires_grad=False):
    """The Tensor itself; kept for older scripts."""
    return data.requires_grad_(requires_grad) if requires_grad else data
