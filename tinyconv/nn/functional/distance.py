"""Distances and similarities of vectors: the ops under their names here."""

from tinyconv.ops.distance import cosine_similarity, normalize, pairwise_distance, pdist

__all__ = ["cosine_similarity", "normalize", "pairwise_distance", "pdist"]
