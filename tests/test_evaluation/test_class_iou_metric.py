"""The values of classes, against a literal count, and through tools/test.py."""

import json
import math
import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import CheckpointLoader
from mmseg.evaluation import IoUMetric

from mmvice.apis import init_model, print_metrics, save_predictions
from mmvice.evaluation import ClassIoUMetric
from mmvice.registry import METRICS

TOOL = Path(__file__).parents[2] / 'tools' / 'test.py'
CLASSES = ('road', 'car', 'sky', 'traffic light')


def samples(seed=0):
    """Three images with labels and predictions of the first three classes, and some ignored pixels."""
    rng = np.random.default_rng(seed)
    for height in (5, 9, 14):
        label, predicted = rng.integers(0, 3, (2, 1, height, 11))
        label[rng.random(label.shape) < 0.2] = 255
        yield dict(gt_sem_seg=dict(data=torch.from_numpy(label)), pred_sem_seg=dict(data=torch.from_numpy(predicted)))


def evaluate(metric, data):
    metric.dataset_meta = dict(classes=CLASSES)
    for sample in data:
        metric.process({}, [sample])
    return metric.evaluate(len(metric.results))


def test_values_are_those_of_a_literal_count():
    metrics = evaluate(METRICS.build(dict(type='mmvice.ClassIoUMetric')), samples())
    labels, predicted = (
        np.concatenate([sample[key]['data'].flatten().numpy() for sample in samples()])
        for key in ('gt_sem_seg', 'pred_sem_seg')
    )
    predicted, labels = predicted[labels != 255], labels[labels != 255]
    for index, name in enumerate(CLASSES[:3]):
        both = ((labels == index) & (predicted == index)).sum()
        either = ((labels == index) | (predicted == index)).sum()
        assert metrics[f'IoU.{name}'] == round(100 * both / either, 2)
        assert metrics[f'Acc.{name}'] == round(100 * both / (labels == index).sum(), 2)
    assert math.isnan(metrics['IoU.traffic light']) and math.isnan(metrics['Acc.traffic light'])
    assert metrics['mIoU'] == pytest.approx(np.mean([metrics[f'IoU.{name}'] for name in CLASSES[:3]]), abs=0.01)


@pytest.mark.parametrize('options', [{}, dict(nan_to_num=0), dict(iou_metrics=['mIoU', 'mFscore'], prefix='val')])
def test_all_else_is_as_in_iou_metric(options, tmp_path):
    plain = evaluate(IoUMetric(**options), samples())
    ours = evaluate(ClassIoUMetric(**options), samples())
    assert {name: ours[name] for name in plain} == plain
    assert len(ours) - len(plain) == (len(CLASSES) * (5 if 'prefix' in options else 2))
    if 'nan_to_num' in options:
        assert ours['IoU.traffic light'] == 0
    assert evaluate(ClassIoUMetric(format_only=True, output_dir=str(tmp_path)), []) == {}


def test_classes_stay_off_the_printed_line(capsys):
    print_metrics({'aAcc': 50.0, 'mIoU': 1.234, 'val/mAcc': 3.0, 'IoU.road': 2.0, 'val/Acc.a/b': 4.0})
    assert capsys.readouterr().out == 'aAcc: 50.00  mIoU: 1.23  val/mAcc: 3.00\n'


@pytest.mark.parametrize('kind', ['ClassIoUMetric', 'mmvice.ClassIoUMetric'])
def test_predictions_can_be_saved(kind):
    cfg = Config(dict(test_evaluator=dict(type=kind)))
    save_predictions(cfg, 'out')
    assert cfg.test_evaluator.output_dir == 'out'


def test_through_the_test_tool(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    for name, value in dict(LOCAL_RANK='0', TORCH_FORCE_WEIGHTS_ONLY_LOAD='0').items():
        monkeypatch.setenv(name, value)
    base = Path(__file__).parents[2] / 'configs/linear_probe'
    cfg = Config.fromfile(base / 'random-init_r18-w32_light-fpn_linear-64-200_synthetic-96x128.py')
    cfg.test_evaluator.type = cfg.val_evaluator.type = 'ClassIoUMetric'
    cfg.test_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.test_dataloader.dataset.num_scenes = 2
    cfg.experiment_name = 'class-iou'
    cfg.dump('config.py')
    torch.save(dict(state_dict=init_model(Config.fromfile('config.py')).state_dict(), meta={}), 'probe.pth')
    runpy.run_path(str(TOOL))['main'](['config.py', 'probe.pth', '--work-dir', 'run', '--out', 'pngs'])
    names = [pair.split(':')[0] for pair in capsys.readouterr().out.splitlines()[-1].split('  ')]
    assert names == ['aAcc', 'mIoU', 'mAcc']
    predictions = sorted(Path('pngs').iterdir())
    assert len(predictions) == 2 and cv2.imread(str(predictions[0]), cv2.IMREAD_UNCHANGED).shape == (96, 128)
    [log] = [path for path in Path('run').rglob('*.json') if path.stem == path.parent.name]
    logged = json.loads(log.read_text())
    values = [value for name, value in logged.items() if name.startswith('IoU.')]
    assert np.nanmean(values) == pytest.approx(logged['mIoU'], abs=0.02)
