import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.evaluation import IoUMetric
from mmseg.visualization import SegLocalVisualizer
from torch.utils.data import DataLoader

from mmvice.datasets import SeededIndex, SyntheticScenesDataset
from mmvice.datasets.street_scenes import CLASSES, render_street_scene
from mmvice.datasets.transforms import LoadAnnotations
from mmvice.registry import DATASETS

pytestmark = pytest.mark.usefixtures('mmvice_scope')


def test_steps_that_load_files_are_passed_over():
    steps = [dict(type='LoadImageFromFile'), dict(type=LoadAnnotations), dict(type='PackSegInputs')]
    both = [SyntheticScenesDataset(2, pipeline=pipeline)[1] for pipeline in (steps, steps[2:])]
    assert torch.equal(both[0]['inputs'], both[1]['inputs'])
    assert torch.equal(*(item['data_samples'].gt_sem_seg.data for item in both))


def test_results_are_ready_for_packing():
    dataset = DATASETS.build(dict(type='SyntheticScenesDataset', num_scenes=3, pipeline=[dict(type='PackSegInputs')]))
    info, item = dataset.get_data_info(1), dataset[1]
    assert info['img'].dtype == info['gt_seg_map'].dtype == np.uint8
    assert info['img_path'] == 'synthetic/seed0_000001.png' and info['ori_shape'] == (96, 128)
    assert item['inputs'].shape == (3, 96, 128)
    assert (item['data_samples'].gt_sem_seg.data[0].numpy() == info['gt_seg_map']).all()


def test_results_go_through_mmseg_augmentation():
    pipeline = [
        dict(type='RandomFlip', prob=1.0),
        dict(type='PhotoMetricDistortion'),
        dict(type='PackSegInputs'),
    ]
    dataset = SyntheticScenesDataset(2, pipeline=pipeline)
    flipped = dataset[SeededIndex(1, (0, 0))]['data_samples'].gt_sem_seg.data[0].numpy()
    assert (flipped == dataset.get_data_info(1)['gt_seg_map'][:, ::-1]).all()


def test_scene_is_a_function_of_seed_and_index_alone():
    reference = [render_street_scene(0, index) for index in range(4)]
    np.random.seed(1)
    state = np.random.get_state()[1].copy()
    for index in (3, 1, 0, 2):
        image, labels = render_street_scene(0, index)
        assert (image == reference[index][0]).all() and (labels == reference[index][1]).all()
    assert (np.random.get_state()[1] == state).all()
    assert (render_street_scene(1, 0)[0] != reference[0][0]).any()
    assert len({image.tobytes() for image, _ in reference}) == 4


def test_changing_a_result_does_not_change_the_scene():
    dataset = SyntheticScenesDataset(1)
    before = dataset.get_data_info(0)['img'].copy()
    dataset.get_data_info(0)['img'][:] = 0
    assert (dataset.get_data_info(0)['img'] == before).all()


def test_start_moves_along_the_series():
    whole, tail = SyntheticScenesDataset(6), SyntheticScenesDataset(2, start=4)
    assert (whole[5]['img'] == tail[1]['img']).all()
    assert tail[1]['img_path'] == whole[5]['img_path']
    assert whole.get_subset([5])[0]['img_path'] == whole[5]['img_path']
    assert len(SyntheticScenesDataset(6, indices=2)) == 2


def test_workers_render_the_same(tmp_path):
    dataset = SyntheticScenesDataset(4, seed=11)
    loader = DataLoader(dataset, batch_size=1, num_workers=2, collate_fn=list)
    fresh = [item['img'] for batch in loader for item in batch]
    assert all((image == render_street_scene(11, index)[0]).all() for index, image in enumerate(fresh))


def test_every_class_occurs_and_scenes_look_like_streets():
    labels = np.stack([render_street_scene(0, index)[1] for index in range(60)])
    share = np.bincount(labels.ravel(), minlength=len(CLASSES)) / labels.size
    assert len(share) == 8 and (share > 0.004).all() and (share < 0.5).all()
    present = {name: (labels == index).any((1, 2)).mean() for index, name in enumerate(CLASSES)}
    assert min(present.values()) > 0.7, present
    height = {name: np.nonzero(labels == index)[1].mean() for index, name in enumerate(CLASSES)}
    assert height['sky'] < height['building'] < height['vehicle'] < height['road']


def test_labels_are_exact():
    """Noise aside, colour changes where labels do: a step across a label border is larger than one inside."""
    ratios = []
    for index in range(12):
        image, labels = render_street_scene(0, index, (192, 256))
        step = np.abs(np.diff(image.astype(float), axis=1)).mean(2)
        border = np.diff(labels.astype(int), axis=1) != 0
        ratios.append(step[border].mean() / step[~border].mean())
    assert np.mean(ratios) > 2.5, ratios


def test_colour_alone_does_not_solve_it():
    """The class that is the most frequent at a colour on 160 scenes, at 16 levels a channel, is mostly wrong."""

    def colours(image):
        levels = image.astype(np.int64) // 16
        return (levels[..., 0] * 16 + levels[..., 1]) * 16 + levels[..., 2]

    def count(rows, columns, num_rows):
        pairs = rows.ravel() * len(CLASSES) + columns.ravel()
        return np.bincount(pairs, minlength=num_rows * len(CLASSES)).reshape(num_rows, len(CLASSES))

    seen = [render_street_scene(0, index) for index in range(160)]
    majority = sum(count(colours(image), labels, 16**3) for image, labels in seen).argmax(1)
    scenes = [render_street_scene(0, index) for index in range(1000, 1040)]
    guesses = [(labels.astype(np.int64), majority[colours(image)]) for image, labels in scenes]
    confusion = sum(count(labels, guess, len(CLASSES)) for labels, guess in guesses)
    hit = np.diag(confusion)
    iou = hit / (confusion.sum(0) + confusion.sum(1) - hit)
    assert iou.mean() < 0.2, dict(zip(CLASSES, iou.round(3)))


@pytest.mark.parametrize('size', [(32, 32), (64, 200), (240, 320), (321, 123)])
def test_any_size(size):
    image, labels = render_street_scene(0, 7, size)
    assert image.shape == (*size, 3) and labels.shape == size and len(np.unique(labels)) > 3


def test_metric_and_visualizer_take_the_scenes(tmp_path):
    dataset = SyntheticScenesDataset(2, pipeline=[dict(type='PackSegInputs')])
    metric = IoUMetric(iou_metrics=['mIoU'])
    metric.dataset_meta = dataset.metainfo
    samples = [item['data_samples'] for item in dataset]
    for sample in samples:
        sample.pred_sem_seg = PixelData(data=sample.gt_sem_seg.data.clone())
        metric.process({}, [sample.to_dict()])
    assert metric.evaluate(2)['mIoU'] == 100
    visualizer = SegLocalVisualizer(vis_backends=[], save_dir=str(tmp_path))
    visualizer.dataset_meta = dataset.metainfo
    image = dataset.get_data_info(0)['img'][..., ::-1]
    visualizer.add_datasample('scene', image, samples[0], out_file=str(tmp_path / 'scene.png'))
    assert (tmp_path / 'scene.png').stat().st_size > 0
    assert torch.equal(samples[0].gt_sem_seg.data, samples[0].pred_sem_seg.data)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r'at least \(32, 32\).*\(16, 128\)'):
        SyntheticScenesDataset(1, size=(16, 128))[0]
    with pytest.raises(ValueError, match='num_scenes must be positive'):
        SyntheticScenesDataset(0)
