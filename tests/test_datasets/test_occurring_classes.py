"""Classes that no label map has are found, told before a run and with its result; what does not count is set once."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import ConcatDataset

from mmvice.cli.images import read_labels
from mmvice.datasets import LabeledImageDataset, SyntheticScenesDataset
from mmvice.datasets.occurring_classes import occurring_classes
from mmvice.engine import NumClassCheckHook, RunCheckHook, checks
from mmvice.engine.checks import absent_classes
from mmvice.engine.hooks import run_check_hook
from mmvice.evaluation import ClassIoUMetric
from mmvice.models import ClusterProbeHead, LinearProbeHead

PIPELINE = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]


def labelled(folder, *maps: list[int], classes=('background', 'foreground'), **kwargs) -> LabeledImageDataset:
    """A data set of images of one row, with these labels."""
    for number, ids in enumerate(maps):
        for kind, array in (('images', np.zeros((1, len(ids), 3))), ('labels', np.array([ids]))):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / kind / f'{number}.png'), array.astype(np.uint8))
    settings = dict(data_prefix=dict(img_path='images', seg_map_path='labels'), img_suffix='.png', pipeline=PIPELINE)
    return LabeledImageDataset(data_root=str(folder), metainfo=dict(classes=list(classes)), **settings, **kwargs)


@pytest.mark.parametrize(
    'maps, options, absent, ids',
    [
        ([[0, 255], [255, 255]], {}, ['foreground'], [0, 255]),
        ([[0, 1], [2, 2]], dict(classes='abcd'), ['d'], [0, 1, 2]),
        ([[1, 1]], dict(classes='abc'), ['a', 'c'], [1]),
        ([[255, 255]], {}, ['background', 'foreground'], [255]),
        ([[0, 1]], dict(reduce_zero_label=True), ['foreground'], [0, 255]),
        ([[0, 1], [2, 0]], dict(classes='abc', ignore_index=1), [], [0, 1, 2]),
        ([[0, 0], [255, 0]], dict(classes='abc', ignore_index=2), ['b'], [0, 255]),
        ([[0, 1], [1, 255]], dict(ignore_index=0), [], [0, 1]),
    ],
)
def test_absent_classes_are_found_by_name(tmp_path, maps, options, absent, ids):
    found = occurring_classes(labelled(tmp_path, *maps, **options))
    assert found.absent == absent
    if absent:  # else no more label maps are read than it takes
        assert (found.ids, found.number) == (ids, len(maps))


def test_no_more_label_maps_are_read_than_it_takes(tmp_path):
    found = occurring_classes(labelled(tmp_path, *[[0, 1]] * 30))
    assert (found.absent, found.number) == ([], 1)
    assert occurring_classes(SyntheticScenesDataset(30)).absent == []


def test_data_sets_in_a_wrapper_are_one_and_sets_without_labels_none(tmp_path):
    both = ConcatDataset([labelled(tmp_path / 'a', [0, 0]), labelled(tmp_path / 'b', [1, 1])])
    assert occurring_classes(both).absent == []
    one_ignores = ConcatDataset([labelled(tmp_path / 'c', [0, 1], ignore_index=1), labelled(tmp_path / 'd', [0, 0])])
    assert occurring_classes(one_ignores).absent == ['foreground']
    alone = LabeledImageDataset(
        data_root=str(tmp_path / 'a'),
        data_prefix=dict(img_path='images'),
        metainfo=dict(classes=['a']),
        img_suffix='.png',
        pipeline=PIPELINE,
    )
    assert occurring_classes(alone) is None


def test_they_are_told_before_a_training_with_its_result_and_before_a_test(tmp_path, monkeypatch):
    said = []
    for module in (absent_classes, run_check_hook):
        monkeypatch.setattr(module, 'print_log', lambda text, **_: said.append(text))
    for other in dir(checks):
        if other.startswith(('check_', 'warn_of_')) and other != 'warn_of_absent_classes':
            monkeypatch.setattr(checks, other, lambda *args: None)
    masks, whole = labelled(tmp_path / 'masks', [0, 255]), labelled(tmp_path / 'whole', [0, 1])
    loaders = dict(train_dataloader=masks, val_dataloader=whole, test_dataloader=masks)
    runner = SimpleNamespace(
        val_loop=True, model=None, **{name: SimpleNamespace(dataset=data) for name, data in loaders.items()}
    )
    hook = RunCheckHook()
    hook.before_train(runner)
    assert len(said) == 1
    assert said[0].startswith("train_dataloader: the class 'foreground' occurs in none of 1 label maps")
    assert said[0].endswith('A mask of 0 and 255 needs 0 and 1 in the files')
    hook.after_val_epoch(runner, {})
    assert said == said[:1] * 2
    hook.before_test(runner)
    assert said[2].startswith("test_dataloader: the class 'foreground' occurs in none")


def runner_of(dataset, head, *metrics) -> SimpleNamespace:
    loader, evaluator = SimpleNamespace(dataset=dataset), SimpleNamespace(metrics=metrics)
    model = torch.nn.Module()
    model.decode_head = head
    return SimpleNamespace(
        model=model, train_dataloader=loader, val_loop=True, val_dataloader=loader, val_evaluator=evaluator
    )


@pytest.mark.parametrize('ignored, row, expected', [(2, [0, 1, 2], [0, 1, 255]), (0, [0, 1, 255], [255, 1, 255])])
@pytest.mark.parametrize('repeated', [False, True])
@pytest.mark.parametrize('kind', [LinearProbeHead, ClusterProbeHead])
def test_what_does_not_count_is_set_once(tmp_path, ignored, row, expected, repeated, kind):
    """In the data set; heads and metrics may say the same."""
    dataset = labelled(tmp_path, row, ignore_index=ignored)
    assert dataset[0]['data_samples'].gt_sem_seg.data.flatten().tolist() == expected
    options = dict(ignore_index=ignored) if repeated else {}
    head = kind(6, num_classes=2, **options, **(dict(num_clusters=4) if kind is ClusterProbeHead else {}))
    metric = ClassIoUMetric(**options)
    NumClassCheckHook().before_train(runner_of(dataset, head, metric))
    assert head.ignore_index == metric.ignore_index == 255 and metric.ignored_class == ignored
    file = tmp_path / 'labels' / '0.png'
    assert read_labels(file, 2, ignore_index=ignored).tolist() == [expected]


@pytest.mark.parametrize(
    'own, of_head, of_metric, message',
    [
        (2, 3, 255, r'model\.decode_head\.ignore_index=3, but LabeledImageDataset of train_dataloader has .*=2'),
        (255, 255, 0, r'val_evaluator\.ignore_index=0, but LabeledImageDataset of val_dataloader has .*=255'),
        (255, 1, 255, r'model\.decode_head\.ignore_index=1, but .* set it once, as train_dataloader\.dataset'),
    ],
)
def test_contradictions_are_one_sentence(tmp_path, own, of_head, of_metric, message):
    dataset = labelled(tmp_path, [0, 1], ignore_index=own)
    head = LinearProbeHead(6, num_classes=2, ignore_index=of_head)
    with pytest.raises(ValueError, match=message):
        NumClassCheckHook().before_train(runner_of(dataset, head, ClassIoUMetric(ignore_index=of_metric)))


@pytest.mark.parametrize('ignored', [-100, 256, None])
def test_what_no_label_map_can_hold_is_refused(tmp_path, ignored):
    with pytest.raises(ValueError, match=r'ignore_index must be an id of label maps, 0 to 255, but is'):
        labelled(tmp_path, [0, 1], ignore_index=ignored)
