"""Predictions lie as the images lie, and images need no labels for them."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmengine.structures import PixelData
from mmengine.visualization import Visualizer
from mmseg.structures import SegDataSample
from PIL import Image

from mmvice.datasets import LabeledImageDataset
from mmvice.engine.hooks import (
    PredictionFilesHook,
    ProbeVisualizationHook,
    prediction_files_hook,
    probe_visualization_hook,
)
from mmvice.visualization import LocalVisBackend, SegLocalVisualizer

NAMES = ('seq1/0000', 'seq2/0000', 'seq2/deep/0000')
PIPELINE = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]


@pytest.fixture
def root(tmp_path):
    """Three images of one name, in folders of their own, of 4x6 px."""
    for name in NAMES:
        (tmp_path / 'images' / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (6, 4)).save(tmp_path / 'images' / f'{name}.jpg')
    return tmp_path


def unlabelled(root, folder='images', **kwargs) -> LabeledImageDataset:
    prefix = dict(img_path=folder, seg_map_path=None)
    settings = dict(data_prefix=prefix, metainfo=dict(classes=['a', 'b']), pipeline=PIPELINE)
    return LabeledImageDataset(data_root=str(root), test_mode=True, **settings, **kwargs)


def predicted(dataset, index: int) -> SegDataSample:
    """A sample of the data set with a prediction that is its index everywhere."""
    sample = dataset[index]['data_samples']
    assert 'gt_sem_seg' not in sample
    sample.pred_sem_seg = PixelData(data=torch.full((1, 4, 6), index))
    return sample


def write(dataset, folder) -> dict[str, int]:
    """Run the hook over a data set; the values of the written files by their names."""
    hook = PredictionFilesHook(str(folder))
    hook.before_test(SimpleNamespace(test_dataloader=SimpleNamespace(dataset=dataset)))
    for index in range(len(dataset)):
        hook.after_test_iter(None, index, {}, [predicted(dataset, index)])
    written = {str(path.relative_to(folder)): cv2.imread(str(path), -1) for path in folder.rglob('*') if path.is_file()}
    assert all(ids.shape == (4, 6) and ids.dtype == np.uint8 and (ids == ids[0, 0]).all() for ids in written.values())
    return {name: int(ids[0, 0]) for name, ids in written.items()}


def test_equally_named_images_keep_their_folders(root):
    expected = {f'{name}.png': index for index, name in enumerate(NAMES)}
    assert write(unlabelled(root), root / 'out') == expected
    assert write(unlabelled(root, indices=1), root / 'first') == {'seq1/0000.png': 0}


def test_so_do_those_of_data_sets_in_wrappers(root):
    two = ConcatDataset([unlabelled(root, 'images/seq1'), unlabelled(root, 'images/seq2')])
    assert write(two, root / 'out') == {f'{name}.png': index for index, name in enumerate(NAMES)}
    repeated = write(RepeatDataset(unlabelled(root), 2), root / 'repeated')
    assert repeated == {f'{name}.png': index + 3 for index, name in enumerate(NAMES)}


def test_images_that_differ_by_their_endings_get_files_of_their_own(root):
    Image.new('RGB', (6, 4)).save(root / 'images/seq1/0000.png')
    (root / 'names.txt').write_text('seq1/0000.jpg\nseq1/0000.png\n')
    dataset = unlabelled(root, img_suffix='', ann_file='names.txt')
    assert write(dataset, root / 'out') == {'seq1/0000.png': 0, 'seq1/0000_2.png': 1}


def test_ids_from_one_on_are_written_as_they_were_read(root):
    hook = PredictionFilesHook(str(root / 'out'))
    dataset = unlabelled(root, reduce_zero_label=True)
    hook.before_test(SimpleNamespace(test_dataloader=SimpleNamespace(dataset=dataset)))
    hook.after_test_iter(None, 0, {}, [predicted(dataset, 0)])
    assert (cv2.imread(str(root / 'out/seq1/0000.png'), -1) == 1).all()


def test_models_that_segment_nothing_are_told(root):
    hook = PredictionFilesHook(str(root / 'out'))
    with pytest.raises(ValueError, match='SimpleNamespace predicts none'):
        hook.after_test_iter(SimpleNamespace(model=SimpleNamespace()), 0, {}, [SegDataSample()])


@pytest.mark.parametrize('labels', ['labels', 'images'])
def test_images_whose_labels_are_not_there_say_how_to_do_without(root, labels):
    settings = dict(data_prefix=dict(img_path='images', seg_map_path=labels), metainfo=dict(classes=['a', 'b']))
    with pytest.raises(FileNotFoundError, match='seg_map_path=None to take the images without labels'):
        LabeledImageDataset(data_root=str(root), pipeline=PIPELINE, test_mode=True, **settings)


def test_training_still_needs_label_maps(root):
    settings = dict(data_prefix=dict(img_path='images'), metainfo=dict(classes=['a', 'b']), pipeline=PIPELINE)
    with pytest.raises(KeyError, match="LoadAnnotations needs 'seg_map_path'"):
        LabeledImageDataset(data_root=str(root), **settings)[0]


def test_how_many_files_were_written_where_is_told(root, monkeypatch):
    told, dataset = [], unlabelled(root)
    for module in (prediction_files_hook, probe_visualization_hook):
        monkeypatch.setattr(module, 'print_log', lambda message, **_: told.append(message))
    runner = SimpleNamespace(cfg={}, test_dataloader=SimpleNamespace(dataset=dataset))
    files = PredictionFilesHook(str(root / 'out'))
    visualizer = SegLocalVisualizer(
        f'pictures of {root.name}', save_dir=str(root / 'show'), vis_backends=[dict(type=LocalVisBackend)]
    )
    visualizer.set_dataset_meta(classes=['a', 'b'], palette=[(9, 9, 9)] * 2)
    Visualizer.get_instance(f'visualizer-{root.name}-told')
    pictures = ProbeVisualizationHook(draw=True)
    pictures._visualizer = visualizer
    for hook in (files, pictures):
        hook.before_test(runner)
        hook.after_test_iter(runner, 0, {}, [predicted(dataset, 0)])
        hook.after_test(runner)
    folder = root / 'show' / 'vis_data' / 'vis_image'
    assert told == [f'Wrote 3 predictions to {root / "out"}', f'Wrote 1 picture to {folder}']
    assert (folder / 'seq1/0000.png').is_file()
    ProbeVisualizationHook(draw=False).after_test(runner)
    assert len(told) == 2


def test_shown_predictions_lie_as_the_images_lie(root):
    dataset, drawn = unlabelled(root), []
    Visualizer.get_instance(f'visualizer-{root.name}')
    hook = ProbeVisualizationHook(draw=True)
    hook._visualizer = SimpleNamespace(add_datasample=lambda name, *_, step, **__: drawn.append((name, step)))
    hook.before_test(SimpleNamespace(cfg={}, test_dataloader=SimpleNamespace(dataset=dataset)))
    hook.after_test_iter(None, 0, {}, [predicted(dataset, index) for index in range(3)])
    assert drawn == [(name, None) for name in NAMES]
