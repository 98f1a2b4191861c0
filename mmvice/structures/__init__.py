"""Data that the parts of mmvice exchange."""

from .embedding_map import EmbeddingMap
from .views_data_sample import ViewsDataSample

__all__ = ['EmbeddingMap', 'ViewsDataSample']
