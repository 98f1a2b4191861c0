"""What the parts of mmvice hand to one another."""

from .embedding_map import EmbeddingMap
from .views_data_sample import ViewsDataSample

__all__ = ['EmbeddingMap', 'ViewsDataSample']
