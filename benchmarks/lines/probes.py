"""Line f: inference of the probes on whole images."""

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import torch
import torch.nn.functional as F
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
    for device in settings.devices:
        yield from _rows(settings, device)


@torch.no_grad()
def _rows(settings: Settings, device: str) -> Iterator[Row]:
    model, cluster = build_probes(settings.quick, device)
    linear = model.decode_head
    height, width = settings.pick((480, 640), (64, 96))
    image = torch.from_numpy(cv2.resize(data.labeled_images(2)[0][0], (width, height))).permute(2, 0, 1)
    inputs = model.data_preprocessor(dict(inputs=[image]), False)['inputs']
    progress(f'f: probes on {width}x{height}, {device}: equality')
    ready = model.embed(inputs)
    check_heads(linear, cluster, ready, fitted=not settings.quick)
    index = faiss_index(cluster)
    heads = {
        'linear': linear.classify,
        'cluster': cluster.classify,
        'dense linear': lambda embeddings: linear_logits(linear, embeddings.dense()).argmax(1),
        'dense cluster (FAISS)': lambda embeddings: faiss_classes(index, cluster, embeddings.dense()),
    }
    sides: dict[str, Callable[[], object]] = {'embedder': lambda: model.embed(inputs)}
    for name, head in heads.items():
        sides[name] = lambda head=head: head(model.embed(inputs))
        sides[f'{name} alone'] = lambda head=head: head(EmbeddingMap(ready.features, ready.size))
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
            details=dict(**shared, **times.details()),
            profile=lambda probe=probe: _head_profile(sides[probe], device),
        )
    for probe, plain in (('linear', 'dense linear'), ('cluster', 'dense cluster (FAISS)')):
        for part, what in (
            ('', f'embedder + {probe} probe'),
            (' alone', f'{probe} probe alone, on a map that is ready'),
        ):
            yield Row(
                'f',
                f'{what}, {device}; plain: {plain}',
                write_seconds(times.median(plain + part)),
                write_seconds(times.median(probe + part)),
                ratio=times.ratio(plain + part, probe + part),
            )


def build_probes(quick: bool, device: str) -> tuple[ProbeSegmentor, ClusterProbeHead]:
    """An untrained segmentor, with both probes fitted to its embeddings of a few images.

    Random probes would be too easy: a handful of classes and clusters would be the best everywhere.
    """
    init_default_scope('mmvice')
    torch.manual_seed(0)
    configs = {name: Config.fromfile(path).model for name, path in CONFIGS.items()}
    for config in configs.values():
        config.backbone.norm_cfg = dict(type='BN', requires_grad=True)
        if quick:
            config.backbone.base_channels, config.decoder.in_channels = 8, [8, 16, 32, 64]
    model = MODELS.build(configs['linear']).to(device).eval()
    head = MODELS.build(dict(in_channels=model.embed_dims, **configs['cluster'].decode_head)).to(device).eval()
    images, labels = zip(*data.labeled_images(4))
    with torch.no_grad():
        inputs = [torch.from_numpy(image).permute(2, 0, 1) for image in images]
        maps = model.embed(model.data_preprocessor(dict(inputs=inputs), False)['inputs'])
        head.fit_centroids(sample_embeddings([maps], 8000).cpu().numpy())
        head.cluster_classes.random_(head.num_classes)
    _fit_linear(model.decode_head, maps, torch.from_numpy(np.stack(labels)).to(device), 3 if quick else 30)
    return model, head


@torch.enable_grad()
def _fit_linear(head: LinearProbeHead, maps: EmbeddingMap, labels: torch.Tensor, steps: int) -> None:
    """Some steps of a linear probe's training, of which batch norm gets its statistics, too."""
    small = EmbeddingMap(maps.features, maps.features.shape[2:])
    labels = F.interpolate(labels[:, None].float(), small.size, mode='nearest').long()[:, 0]
    optimizer = torch.optim.Adam(head.parameters(), lr=0.01)
    head.train()
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(head(small), labels, ignore_index=head.ignore_index).backward()
        optimizer.step()
    head.eval()


@torch.no_grad()
def check_heads(linear: LinearProbeHead, cluster: ClusterProbeHead, embeddings: EmbeddingMap, fitted: bool) -> None:
    """Raise AssertionError unless the probes give what they give on the full-resolution map.

    Pixels halfway between two classes or clusters may fall to either: of clusters the distances are compared.
    ``fitted`` asks for what only fitted probes show, too: several classes, and most of the clusters.
    """
    dense = embeddings.dense()
    with torch.backends.cudnn.flags(enabled=torch.backends.cudnn.enabled, allow_tf32=False):
        logits = linear_logits(linear, dense)
    require_close(linear(embeddings), logits, 'logits of the linear probe')
    classes = linear.classify(embeddings)
    linear_agreement = float((classes == logits.argmax(1)).double().mean())
    assert linear_agreement > 0.9995, f'the linear probe gives the same class in {linear_agreement:.2%} of the pixels'
    vectors = dense.permute(0, 2, 3, 1).flatten(0, 2)
    nearest = faiss_index(cluster).search(vectors.cpu().numpy(), 1)[0][:, 0]
    clusters = cluster.assign(embeddings)
    ours = (vectors - cluster.centroids[clusters.flatten()]).square().sum(1)
    require_close(ours.cpu(), torch.from_numpy(nearest), 'distances to the clusters that were found')
    if fitted:
        used = len(classes.unique()), len(clusters.unique())
        assert used[0] >= 4 and used[1] >= 0.8 * cluster.num_clusters, f'{used} classes and clusters occur: too easy'


def _head_profile(work: object, device: str) -> str:
    with torch.no_grad():
        return profile_text(work, device)
