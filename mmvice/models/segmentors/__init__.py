"""Segmentors: what measures and uses the embeddings."""

from .probe_segmentor import ProbeSegmentor, load_embedder

__all__ = ['ProbeSegmentor', 'load_embedder']
