"""Distances as layers of two inputs."""

from tinyconv.nn import functional as F
from tinyconv.nn.module import Module
from tinyconv.nn.modules.table import layer

CosineSimilarity = layer(__name__, "CosineSimilarity", F.cosine_similarity, dim=1, eps=1e-8)


class PairwiseDistance(Module):
    """``F.pairwise_distance`` as a layer."""

    def __init__(self, p=2.0, eps=1e-6, keepdim=False):
        super().__init__()
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1, x2):
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
