"""Line f: inference of the probes on whole images."""

from collections.abc import Iterator

import cv2
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmvice.models import ClusterProbeHead, LinearProbeHead, ProbeSegmentor
from mmvice.registry import MODELS
from mmvice.structures import EmbeddingMap
from mmvice.visualization import sample_embeddings

from .. import data
from ..harness import Row, Settings, at_most, interleave, profile_text, progress, require_close, write_seconds
from ..plain.probes import faiss_classes, faiss_index, linear_logits

CONFIGS = {
    'linear': data.ROOT / 'configs/linear_probe/random-init_r18_light-fpn_linear-256-12k_camvid-320.py',
    'cluster': data.ROOT / 'configs/cluster_probe/random-init_r18_light-fpn_cluster-256_camvid-320.py',
}


def rows(settings: Settings) -> Iterator[Row]:
    """The embedder alone, with each probe, and with each probe on the full-resolution map."""
    devices = ('cpu', *(['cuda'] if torch.cuda.is_available() else []))
    for device in devices:
        yield from _rows(settings, device)


@torch.no_grad()
def _rows(settings: Settings, device: str) -> Iterator[Row]:
    model, cluster = build_probes(settings.quick, device)
    linear = model.decode_head
    height, width = settings.pick((480, 640), (64, 96))
    image = torch.from_numpy(cv2.resize(data.labeled_images(2)[0][0], (width, height))).permute(2, 0, 1)
    inputs = model.data_preprocessor(dict(inputs=[image]), False)['inputs']
    progress(f'f: probes on {width}x{height}, {device}: equality')
    check_heads(linear, cluster, model.embed(inputs))
    index = faiss_index(cluster)
    sides = {
        'embedder': lambda: model.embed(inputs),
        'linear': lambda: linear.classify(model.embed(inputs)),
        'cluster': lambda: cluster.classify(model.embed(inputs)),
        'dense linear': lambda: linear_logits(linear, model.embed(inputs).dense()).argmax(1),
        'dense cluster (FAISS)': lambda: faiss_classes(index, cluster, model.embed(inputs).dense()),
    }
    progress(f'f: probes on {width}x{height}, {device}: time')
    times = interleave(sides, settings.repeats, device)
    shared = dict(
        size=[height, width], classes=linear.num_classes, filters=linear.num_filters, clusters=cluster.num_clusters
    )
    for probe in ('linear', 'cluster'):
        yield Row(
            'f',
            f'embedder + {probe} probe, K=256, {width}x{height}, {device}; against the embedder alone',
            write_seconds(times.median('embedder')),
            write_seconds(times.median(probe)),
            ratio=times.ratio(probe, 'embedder'),
            target=at_most(1.1),
            details=dict(**shared, probe_seconds=times.rest(probe, 'embedder'), **times.details()),
            profile=lambda probe=probe: _head_profile(sides[probe], device),
            note=f'probe alone {write_seconds(max(times.rest(probe, "embedder"), 0))}',
        )
    for probe, plain in (('linear', 'dense linear'), ('cluster', 'dense cluster (FAISS)')):
        rest = times.rest(plain, 'embedder') / max(times.rest(probe, 'embedder'), 1e-9)
        yield Row(
            'f',
            f'embedder + {probe} probe, {device}; plain: {plain}',
            write_seconds(times.median(plain)),
            write_seconds(times.median(probe)),
            ratio=times.ratio(plain, probe),
            details=dict(probe_alone_ratio=rest),
            note=f'the probe without the embedder: {rest:.3g} x',
        )


def build_probes(quick: bool, device: str) -> tuple[ProbeSegmentor, ClusterProbeHead]:
    """An untrained segmentor with a random linear probe, and clusters of its embeddings with random classes."""
    init_default_scope('mmvice')
    torch.manual_seed(0)
    configs = {name: Config.fromfile(path).model for name, path in CONFIGS.items()}
    for config in configs.values():
        config.backbone.norm_cfg = dict(type='BN', requires_grad=True)
        if quick:
            config.backbone.base_channels, config.decoder.in_channels = 8, [8, 16, 32, 64]
    model = MODELS.build(configs['linear']).to(device).eval()
    head = MODELS.build(dict(in_channels=model.embed_dims, **configs['cluster'].decode_head)).to(device).eval()
    linear = model.decode_head
    with torch.no_grad():
        for weight in (linear.conv_seg.weight, linear.conv_seg.bias, linear.norm.running_mean):
            weight.normal_()  # so that no two classes are alike
        linear.norm.running_var.uniform_(0.5, 2)
        images = [torch.from_numpy(image).permute(2, 0, 1) for image, _ in data.labeled_images(4)]
        inputs = model.data_preprocessor(dict(inputs=images), False)['inputs']
        head.fit_centroids(sample_embeddings([model.embed(inputs)], 8000).cpu().numpy())
        head.cluster_classes.random_(head.num_classes)
    return model, head


@torch.no_grad()
def check_heads(linear: LinearProbeHead, cluster: ClusterProbeHead, embeddings: EmbeddingMap) -> None:
    """Raise AssertionError unless the probes give what they give on the full-resolution map.

    Pixels halfway between two classes or clusters may fall to either: of clusters the distances are compared.
    """
    dense = embeddings.dense()
    require_close(linear(embeddings), linear_logits(linear, dense), 'logits of the linear probe')
    linear_agreement = float((linear.classify(embeddings) == linear_logits(linear, dense).argmax(1)).double().mean())
    assert linear_agreement > 0.9995, f'the linear probe gives the same class in {linear_agreement:.2%} of the pixels'
    vectors = dense.permute(0, 2, 3, 1).flatten(0, 2)
    nearest = faiss_index(cluster).search(vectors.cpu().numpy(), 1)[0][:, 0]
    ours = (vectors - cluster.centroids[cluster.assign(embeddings).flatten()]).square().sum(1)
    require_close(ours.cpu(), torch.from_numpy(nearest), 'distances to the clusters that were found')


def _head_profile(work: object, device: str) -> str:
    with torch.no_grad():
        return profile_text(work, device)
