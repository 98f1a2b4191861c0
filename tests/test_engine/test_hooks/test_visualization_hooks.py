"""Hooks that draw: harmless to training, and right about what they draw."""

import os
import random
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmengine.visualization import Visualizer
from mmseg.structures import SegDataSample

import mmvice.datasets
import mmvice.engine
import mmvice.models  # noqa: F401
from mmvice.datasets import SyntheticScenesDataset
from mmvice.engine.hooks import EmbeddingVisualizationHook, ProbeVisualizationHook
from mmvice.engine.hooks.embedding_visualization_hook import undistorted_images, undisturbed
from mmvice.registry import DATASETS

CONFIG = dict(
    default_scope='mmvice',
    randomness=dict(seed=0),
    model=dict(
        type='ViCE',
        backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, norm_cfg=dict(type='BN')),
        decoder=dict(type='LightFPN', in_channels=[8, 16, 32, 64], embed_dims=8),
        head=dict(type='DenseSwAVHead', num_concepts=6, queue_length=16),
        data_preprocessor=dict(type='ViCEDataPreprocessor', mean=[128.0] * 3, std=[64.0] * 3, bgr_to_rgb=True),
    ),
    train_dataloader=dict(
        batch_size=2,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(
            type='SyntheticScenesDataset',
            num_scenes=8,
            size=(48, 64),
            pipeline=[
                dict(type='SuperpixelGrid', region_size=8),
                dict(type='ContextualViewCrop', num_views=2, view_size=32),
                dict(type='SuperpixelMask'),
                dict(type='MutualRegions'),
                dict(type='PackViCEInputs'),
            ],
        ),
    ),
    optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
    train_cfg=dict(by_epoch=False, max_iters=3),
    visualizer=dict(type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')]),
    default_hooks=dict(checkpoint=None, visualization=dict(type='ProbeVisualizationHook')),
    log_level='WARNING',
)


def train(folder: Path, hooks: list[dict], **changes) -> Runner:
    cfg = Config(deepcopy({**CONFIG, **changes}))
    cfg.work_dir, cfg.custom_hooks, cfg.experiment_name = str(folder), hooks, f'{folder.parent.name}-{folder.name}'
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def pictures(folder: Path) -> dict[str, np.ndarray]:
    return {path.name: cv2.imread(str(path)) for path in folder.rglob('vis_image/*.png')}


def test_drawing_changes_no_bit_of_training_and_goes_to_the_backends(tmp_path):
    with_hook = train(tmp_path / 'with', [dict(type='EmbeddingVisualizationHook', interval=1, num_images=3)])
    without = train(tmp_path / 'without', [])
    expected = without.model.state_dict()
    assert expected['head.steps'] == 3
    for key, value in with_hook.model.state_dict().items():
        assert torch.equal(value, expected[key]), key
    assert with_hook.model.training
    assert torch.equal(torch.rand(1, generator=torch.Generator().set_state(torch.get_rng_state())), torch.rand(1))
    drawn = pictures(tmp_path / 'with')
    assert set(drawn) == {f'{name}_{step}.png' for name in ('views', 'embeddings') for step in (0, 1, 2, 3)}
    assert not pictures(tmp_path / 'without')
    # the same three images each time, as they were before views were cut from them
    hook = next(hook for hook in with_hook.hooks if isinstance(hook, EmbeddingVisualizationHook))
    scenes = SyntheticScenesDataset(8, size=(48, 64))
    assert all(np.array_equal(image, scenes[index]['img']) for image, index in zip(hook.images, (0, 2, 5)))
    assert len({picture.shape for name, picture in drawn.items() if name.startswith('embeddings')}) == 1


def test_a_run_has_pictures_of_its_start_and_end_however_short_it_is(tmp_path):
    hook = dict(type='EmbeddingVisualizationHook', interval=500)
    train(tmp_path / 'short', [hook], train_cfg=dict(by_epoch=False, max_iters=2))
    assert {'views_0.png', 'embeddings_0.png', 'views_2.png', 'embeddings_2.png'} == set(pictures(tmp_path / 'short'))


@pytest.mark.parametrize('wrapper', ['ConcatDataset', 'RepeatDataset'])
def test_images_of_wrapped_data_sets(wrapper):
    init_default_scope('mmvice')
    part = dict(deepcopy(CONFIG['train_dataloader']['dataset']), num_scenes=3)
    many = dict(datasets=[part, dict(part, start=10)]) if wrapper == 'ConcatDataset' else dict(dataset=part, times=2)
    images = undistorted_images(DATASETS.build(dict(type=wrapper, **many)), 3)
    scenes = [SyntheticScenesDataset(3, start=start, size=(48, 64)) for start in (0, 10)]
    expected = (scenes[0][0], scenes[0][2], scenes[1][1]) if len(many) == 1 else (scenes[0][i] for i in range(3))
    assert all(np.array_equal(image, scene['img']) for image, scene in zip(images, expected, strict=True))


def test_an_image_that_cannot_be_used_is_passed_over_and_other_data_sets_give_none(tmp_path):
    init_default_scope('mmvice')
    for number in range(3):
        cv2.imwrite(str(tmp_path / f'{number}.png'), np.full((40, 50, 3), 80 * number + 1, np.uint8))
    (tmp_path / '0.png').write_bytes(b'damaged')
    steps = [dict(type='LoadImageFromFile'), *CONFIG['train_dataloader']['dataset']['pipeline']]
    folder = dict(type='UnlabeledImageDataset', data_root=str(tmp_path), pipeline=steps)
    images = undistorted_images(DATASETS.build(folder), 1)
    assert [image[0, 0, 0] for image in images] == [81]
    assert undistorted_images(SyntheticScenesDataset(3), 2) == []


def test_fixed_images_are_embedded_at_their_own_sizes(tmp_path):
    files = []
    for number, size in enumerate([(40, 50), (300, 200)]):
        files.append(str(tmp_path / f'{number}.png'))
        cv2.imwrite(files[-1], np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8))
    hook = dict(type='EmbeddingVisualizationHook', interval=2, images=files, size=150)
    runner = train(tmp_path / 'run', [hook])
    own = next(hook for hook in runner.hooks if isinstance(hook, EmbeddingVisualizationHook))
    assert [image.shape[:2] for image in own.images] == [(40, 50), (150, 100)]
    assert set(pictures(tmp_path / 'run')) == {
        f'{name}_{step}.png' for name in ('views', 'embeddings') for step in (0, 2, 3)
    }


def test_missing_fixed_images_are_named_before_training(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'gone\.png'):
        train(tmp_path, [dict(type='EmbeddingVisualizationHook', images=['gone.png'])])


def test_models_without_concepts_are_refused():
    runner = SimpleNamespace(model=torch.nn.Linear(2, 2))
    with pytest.raises(TypeError, match='custom_hooks'):
        EmbeddingVisualizationHook().before_train(runner)
    with pytest.raises(ValueError, match='positive'):
        EmbeddingVisualizationHook(interval=0)


def test_undisturbed_restores_modes_and_random_states_after_an_error():
    model = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.BatchNorm1d(2))
    model[0].eval()
    torch.manual_seed(0), random.seed(0), np.random.seed(0)
    expected = torch.rand(1), random.random(), np.random.rand()
    torch.manual_seed(0), random.seed(0), np.random.seed(0)
    with pytest.raises(KeyError), undisturbed(model):
        assert not any(module.training for module in model.modules())
        torch.rand(3), random.random(), np.random.rand()
        raise KeyError
    assert [module.training for module in model.modules()] == [True, False, True]
    assert (torch.rand(1), random.random(), np.random.rand()) == expected


@pytest.fixture
def visualizer(tmp_path, monkeypatch) -> list[dict]:
    """What is added to the current visualizer."""
    init_default_scope('mmvice')
    current = Visualizer.get_instance(f'visualizer-{tmp_path.name}')
    calls = []
    monkeypatch.setattr(
        current,
        'add_datasample',
        lambda name, image, **rest: calls.append(dict(name=name, image=image, **rest)),
        raising=False,
    )
    return calls


def runner_of(*paths: str, step: int = 0, **loading) -> SimpleNamespace:
    """What the hooks need of a Runner that tests and validates images of these paths."""
    images = [dict(img_path=path) for path in paths]
    loader = SimpleNamespace(dataset=type('Images', (list,), dict(get_data_info=list.__getitem__))(images))
    cfg = dict(test_dataloader=dict(dataset=dict(pipeline=[dict(type='LoadImageFromFile', **loading)])))
    return SimpleNamespace(iter=step, test_dataloader=loader, val_dataloader=loader, cfg=cfg)


def prediction(path: str, size: tuple[int, int]) -> SegDataSample:
    sample = SegDataSample(metainfo=dict(img_path=path, ori_shape=size))
    sample.pred_sem_seg = PixelData(data=torch.zeros(1, *size, dtype=torch.int64))
    return sample


def test_images_that_are_no_files_come_from_the_batch_at_the_size_of_the_prediction(visualizer):
    bgr = np.random.default_rng(0).integers(0, 255, (2, 6, 8, 3), dtype=np.uint8)
    batch = dict(inputs=list(torch.from_numpy(bgr).permute(0, 3, 1, 2)))
    batch['data_samples'] = outputs = [prediction('synthetic/a.png', (6, 8)), prediction('synthetic/b.png', (12, 16))]
    hook = ProbeVisualizationHook(draw=True)
    hook.before_test(runner_of('synthetic/a.png', 'synthetic/b.png'))
    hook.after_test_iter(None, 0, batch, outputs)
    assert [call['name'] for call in visualizer] == ['a', 'b']
    assert [call['step'] for call in visualizer] == [None, None]
    np.testing.assert_array_equal(visualizer[0]['image'], bgr[0, ..., ::-1])
    assert visualizer[1]['image'].shape == (12, 16, 3)


def test_test_time_augmentation_shows_an_unflipped_image(visualizer):
    plain = torch.arange(24, dtype=torch.uint8).reshape(3, 2, 4)
    flipped, straight = prediction('synthetic/a.png', (2, 4)), prediction('synthetic/a.png', (2, 4))
    flipped.set_metainfo(dict(flip=True))
    batch = dict(inputs=[[plain.flip(2)], [plain]], data_samples=[[flipped], [straight]])
    hook = ProbeVisualizationHook(draw=True)
    hook.before_test(runner_of('synthetic/a.png'))
    hook.after_test_iter(None, 0, batch, [straight])
    np.testing.assert_array_equal(visualizer[0]['image'], plain.permute(1, 2, 0).numpy()[..., ::-1])


def test_files_are_read_and_validation_keeps_to_the_interval(visualizer, tmp_path):
    bgr = np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / 'a.png'), bgr)
    outputs = [prediction(str(tmp_path / 'a.png'), (6, 8))]
    hook = ProbeVisualizationHook(draw=True, interval=2)
    runner = runner_of(outputs[0].img_path, step=10)
    hook.before_val(runner)
    for batch_idx in range(4):
        hook.after_val_iter(runner, batch_idx, {}, outputs)
    assert [call['step'] for call in visualizer] == [10, 12]
    np.testing.assert_array_equal(visualizer[0]['image'], bgr[..., ::-1])


@pytest.mark.parametrize('loading', [dict(value_range=(0, 4095)), dict(percentiles=(0, 100)), {}])
@pytest.mark.parametrize('backend_args', [None, dict(backend='local')])
def test_files_of_more_than_8_bits_are_shown_as_the_loader_reads_them(visualizer, tmp_path, loading, backend_args):
    path = str(tmp_path / 'a.png')
    values = np.linspace(0, 4095, 144).astype(np.uint16).reshape(6, 8, 3)
    cv2.imwrite(path, values)
    hook = ProbeVisualizationHook(draw=True, interval=1, backend_args=backend_args)
    for before, after in ((hook.before_test, hook.after_test_iter), (hook.before_val, hook.after_val_iter)):
        runner = runner_of(path, **loading)
        before(runner)
        after(runner, 0, {}, [prediction(path, (6, 8))])
    expected = np.rint(values * (255 / 4095)) if loading else values >> 8
    for call in visualizer:
        np.testing.assert_array_equal(call['image'], expected[..., ::-1])
    assert len(visualizer) == 2


@pytest.mark.parametrize('shown', ['val', 'test'])
def test_images_are_shown_as_their_own_loader_reads_them(visualizer, tmp_path, shown):
    """Where those of validation and test differ, and one is within a wrapper."""
    path = str(tmp_path / 'a.png')
    values = np.linspace(0, 4095, 144).astype(np.uint16).reshape(6, 8, 3)
    cv2.imwrite(path, values)
    runner, highest = runner_of(path), dict(val=4095, test=8190)
    parts = {
        name: dict(pipeline=[dict(type='LoadImageFromFile', value_range=(0, top))]) for name, top in highest.items()
    }
    wrapped = dict(type='ConcatDataset', datasets=[dict(type='RepeatDataset', dataset=parts['val'])])
    runner.cfg = dict(val_dataloader=dict(dataset=wrapped), test_dataloader=dict(dataset=parts['test']))
    hook = ProbeVisualizationHook(draw=True, interval=1)
    getattr(hook, f'before_{shown}')(runner)
    getattr(hook, f'after_{shown}_iter')(runner, 0, {}, [prediction(path, (6, 8))])
    np.testing.assert_array_equal(visualizer[0]['image'], np.rint(values * (255 / highest[shown]))[..., ::-1])


def test_pictures_of_images_with_names_of_any_bytes_can_be_written(visualizer, tmp_path):
    """OpenCV, which writes them, would end the process."""
    path = os.path.join(tmp_path, os.fsdecode(b'caf\xe9 \xc3\xbc.png'))
    with open(path, 'wb') as file:
        file.write(cv2.imencode('.png', np.zeros((6, 8, 3), np.uint8))[1].tobytes())
    hook = ProbeVisualizationHook(draw=True, interval=1)
    hook.before_val(runner_of(path))
    hook.after_val_iter(runner_of(path), 0, {}, [prediction(path, (6, 8))])
    assert [call['name'] for call in visualizer] == ['val/caf? ü']


@pytest.mark.filterwarnings('error')
def test_nothing_is_drawn_or_said_by_default(visualizer):
    hook = ProbeVisualizationHook()
    hook.after_val_iter(None, 0, None, None)
    hook.after_test_iter(None, 0, None, None)
    assert not visualizer


def test_image_truth_and_prediction_are_drawn_for_rendered_scenes(tmp_path):
    """The whole way of ``--show-dir``: a test loop over SyntheticScenesDataset."""
    cfg = Config(deepcopy({key: CONFIG[key] for key in ('default_scope', 'visualizer', 'log_level')}))
    cfg.work_dir, cfg.experiment_name = str(tmp_path), f'show-{tmp_path.name}'
    embedder = {key: CONFIG['model'][key] for key in ('backbone', 'decoder', 'data_preprocessor')}
    cfg.model = dict(type='ProbeSegmentor', **embedder, decode_head=dict(type='LinearProbeHead', num_classes=7))
    cfg.visualizer['save_dir'] = str(tmp_path / 'shown')
    cfg.default_hooks = dict(visualization=dict(type='ProbeVisualizationHook', draw=True))
    pipeline = [dict(type='PackSegInputs')]
    cfg.test_dataloader = dict(
        batch_size=2,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(type='SyntheticScenesDataset', num_scenes=3, size=(48, 64), pipeline=pipeline),
    )
    cfg.test_cfg, cfg.test_evaluator = dict(type='TestLoop'), dict(type='IoUMetric', iou_metrics=['mIoU'])
    Runner.from_cfg(cfg).test()
    drawn = pictures(tmp_path)
    assert len(drawn) == 3
    assert {picture.shape for picture in drawn.values()} == {(48, 3 * 64, 3)}
