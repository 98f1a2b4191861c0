"""Line c: a whole training step against one of the same network with a trivial loss."""

import copy
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import Tensor

from mmvice.datasets import UnlabeledImageDataset
from mmvice.experiments.timing import TRAIN_PHASES, time_train_steps
from mmvice.models import ViCE
from mmvice.registry import MODELS

from .. import data
from ..harness import Row, Settings, at_most, interleave, profile_text, progress, require_close, write_seconds

CONFIG = data.ROOT / 'configs' / 'vice' / 'vice_r18_light-fpn_lars-10k_camvid-256x256.py'


class MeanLoss(ViCE):
    """The same network, learning nothing: its loss is the mean of the features."""

    def loss(self, inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
        """Mean of all features of the decoder."""
        return dict(loss=self.embed(inputs).features.mean())


def rows(settings: Settings) -> Iterator[Row]:
    """Steps on one batch, on the CPU and on a GPU where there is one."""
    for device in settings.devices:
        cfg = Config.fromfile(CONFIG)
        images, cfg = settings.pick(4, 1), small_config(cfg) if settings.quick else cfg
        yield row(settings, device, cfg, make_batch(cfg, images), 'R18 + light FPN, LARS')


def row(settings: Settings, device: str, cfg: Config, batch: dict, network: str) -> Row:
    """Line c for a config and a batch of its views; ``network`` is its name for the table."""
    model, plain = build_pair(cfg, device)
    images, views = len(batch['inputs']), batch['inputs'][0].shape
    what = f'{images} images x {views[0]} views {views[2]}x{views[3]}, {network}'
    progress(f'c: a training step on {device}: {what}')
    check_networks(model, plain, batch)
    sides = {side: _stepper(own, cfg, batch) for side, own in dict(ours=model, plain=plain).items()}
    times = interleave(sides, settings.repeats, device)
    return Row(
        'c',
        f'training step on {device}, {what}; plain: loss = mean of features',
        write_seconds(times.median('plain')),
        write_seconds(times.median('ours')),
        ratio=times.ratio('ours', 'plain'),
        target=at_most(1.1),
        details=dict(
            config=Path(cfg.filename).name,
            images=images,
            views=views[0],
            view_size=list(views[2:]),
            regions=sum(sample.num_regions for sample in batch['data_samples']),
            queue_length=model.head.queue_length,
            device=device,
            **times.details(),
        ),
        profile=lambda: _phases(model, cfg, batch, device) + '\n' + profile_text(sides['ours'], device),
    )


def build_pair(cfg: Config, device: str) -> tuple[ViCE, MeanLoss]:
    """The model of a config in the middle of a run, and the same with the trivial loss."""
    init_default_scope('mmvice')
    torch.manual_seed(0)
    model = revert_sync_batchnorm(MODELS.build(cfg.model)).to(device).train()
    model.head.enter_steady_state()
    plain = copy.deepcopy(model)
    plain.__class__ = MeanLoss
    return model, plain


@torch.no_grad()
def check_networks(model: ViCE, plain: MeanLoss, batch: dict) -> None:
    """Raise AssertionError unless both sides begin with the same features of the batch."""
    inputs = model.data_preprocessor(batch, True)['inputs']
    require_close(*(side.embed(inputs).features for side in (model, plain)), 'features of the views')


def make_batch(cfg: Config, images: int) -> dict:
    """A batch of the config's own view pipeline."""
    init_default_scope('mmvice')
    with TemporaryDirectory() as folder:
        files = data.image_files(images, Path(folder))
        listed = Path(folder) / 'images.txt'
        listed.write_text('\n'.join(map(str, files)), encoding='utf-8')
        pipeline = cfg.train_dataloader.dataset.pipeline
        dataset = UnlabeledImageDataset(ann_file=str(listed), pipeline=pipeline)
        samples = [dataset[i] for i in range(images)]
    return {key: [sample[key] for sample in samples] for key in samples[0]}


def _stepper(model: ViCE, cfg: Config, batch: dict) -> object:
    optimizer = make_optimizer(model, cfg)
    return lambda: model.train_step(batch, optimizer)


def make_optimizer(model: ViCE, cfg: Config) -> OptimWrapper:
    """The config's optimizer for a model."""
    return build_optim_wrapper(model, copy.deepcopy(cfg.optim_wrapper))


def _phases(model: ViCE, cfg: Config, batch: dict, device: str) -> str:
    [times] = time_train_steps(model, make_optimizer(model, cfg), [batch], 1, 0, device)
    return 'ms by phase: ' + ', '.join(f'{phase} {times[phase]:.0f}' for phase in ('Preprocessing', *TRAIN_PHASES))


def small_config(cfg: Config) -> Config:
    """The config with a narrow network, a short queue and small views; it is changed."""
    cfg.model.backbone.base_channels, cfg.model.decoder.in_channels = 8, [8, 16, 32, 64]
    cfg.model.head.queue_length = 64
    for step in cfg.train_dataloader.dataset.pipeline:
        if step.type == 'ContextualViewCrop':
            step.view_size = 64
    return cfg
