"""Networks looked at without being computed."""

import pytest

from tinyconv import models, nn
from tinyconv.models.registry import find
from tinyconv.models.trace import trace


@pytest.fixture
def blank():
    """``models.get_model`` without weights, which nobody looks at."""

    def make(name, **options):
        with nn.init.skip_init():
            return models.get_model(name, **options)

    return make


@pytest.fixture
def ops_of(blank):
    """The ops of a network in training, in order; ``size`` is that of the images (H, W)."""

    def ops(name, size=None, **options):
        C, *image = find(name).input
        return trace(blank(name, **options), (2, C, *(size or image)), training=True).ops

    return ops
