"""Pictures of views, embeddings and label maps; numpy in, numpy out."""

from .drawing import draw_labels, enlarge_small, fit_within, legend, palette, panel, stack
from .embeddings import EmbeddingClusters, EmbeddingPCA, sample_embeddings
from .files import write_label_map, write_png
from .gallery import Legend, gallery_page
from .local_vis_backend import LocalVisBackend
from .views import draw_sample, draw_views

__all__ = [
    'EmbeddingClusters',
    'EmbeddingPCA',
    'Legend',
    'LocalVisBackend',
    'draw_labels',
    'draw_sample',
    'draw_views',
    'enlarge_small',
    'fit_within',
    'gallery_page',
    'legend',
    'palette',
    'panel',
    'sample_embeddings',
    'stack',
    'write_label_map',
    'write_png',
]
