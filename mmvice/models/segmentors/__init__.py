"""Segmentors that measure and use the embeddings."""

from .encoder_decoder import EncoderDecoder
from .probe_segmentor import ProbeSegmentor, load_embedder

__all__ = ['EncoderDecoder', 'ProbeSegmentor', 'load_embedder']
