"""Pictures of views, embeddings and label maps; numpy in, numpy out."""

from mmvice.utils.palette import palette

from .class_names import draw_class_names
from .drawing import draw_labels, enlarge_small, fit_within, legend, panel, stack
from .embeddings import EmbeddingClusters, EmbeddingPCA, sample_embeddings
from .files import write_label_map, write_png
from .gallery import Legend, gallery_page
from .local_vis_backend import LocalVisBackend
from .seg_local_visualizer import SegLocalVisualizer
from .views import draw_sample, draw_views

__all__ = [
    'EmbeddingClusters',
    'EmbeddingPCA',
    'Legend',
    'LocalVisBackend',
    'SegLocalVisualizer',
    'draw_class_names',
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
