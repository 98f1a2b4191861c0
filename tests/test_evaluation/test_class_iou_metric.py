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

from mmvice.apis import init_model
from mmvice.cli import print_metrics
from mmvice.evaluation import ClassIoUMetric, metric_texts
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
def test_all_else_is_as_in_iou_metric(options):
    plain = evaluate(IoUMetric(**options), samples())
    ours = evaluate(ClassIoUMetric(**options), samples())
    assert {name: ours[name] for name in plain} == plain
    assert len(ours) - len(plain) == (len(CLASSES) * 5 + 2 if 'prefix' in options else len(CLASSES) * 2 + 1)
    if 'nan_to_num' in options:
        assert ours['IoU.traffic light'] == 0
    assert evaluate(ClassIoUMetric(format_only=True), samples()) == {}


def test_classes_stay_off_the_printed_line(capsys):
    print_metrics({'aAcc': 50.0, 'mIoU': 1.234, 'val/mAcc': 3.0, 'IoU.road': 2.0, 'val/Acc.a/b': 4.0})
    assert capsys.readouterr().out == 'aAcc: 50.00  mIoU: 1.23  val/mAcc: 3.00\n'


def areas_of(*rows: str, classes=CLASSES, ignored=None, **options) -> dict[str, float]:
    """Metrics of images of one row: digits of its labels (x for 255), a blank, and digits of its prediction."""
    metric = ClassIoUMetric(**options)
    metric.dataset_meta, metric.ignored_class = dict(classes=classes), ignored
    for row in rows:
        label, predicted = ([255 if d == 'x' else int(d) for d in part] for part in row.split())
        keys = dict(pred_sem_seg=predicted, **(dict(gt_sem_seg=label) if label else {}))
        metric.process({}, [{key: dict(data=torch.tensor([[ids]])) for key, ids in keys.items()}])
    return metric.evaluate(len(rows))


@pytest.fixture
def warnings(monkeypatch) -> list[str]:
    """What the metric warns of."""
    said = []
    monkeypatch.setattr('mmvice.utils.console.print_log', lambda text, **_: said.append(text))
    return said


@pytest.mark.parametrize(
    'rows, classes, miou, number, absent',
    [
        (['00xx 0001', '0xxx 0111'], ('background', 'foreground'), 100.0, 1, "class 'foreground'"),  # masks 0 and 255
        (['0022 0022'], CLASSES, 100.0, 2, "classes 'car', 'traffic light'"),
        (['0022 0012'], CLASSES, 50.0, 3, "classes 'car', 'traffic light'"),  # predicted, so that its IoU is 0
        (['xxxx 0123'], CLASSES, math.nan, 0, "classes 'road', 'car', 'sky', 'traffic light'"),
        (['0123 0123'], CLASSES, 100.0, 4, None),
    ],
)
@pytest.mark.filterwarnings('ignore:Mean of empty slice')
def test_the_classes_of_the_mean_are_counted_and_absent_ones_named(
    warnings, capsys, rows, classes, miou, number, absent
):
    metrics = areas_of(*rows, classes=classes)
    assert metrics['mIoU'] == pytest.approx(miou, nan_ok=True) and metrics['mIoU_classes'] == number
    print_metrics(metrics)
    text = f'mIoU: {miou:.2f} over {number} of {len(classes)} classes'
    assert text in capsys.readouterr().out
    assert len(warnings) == bool(absent)
    assert all(f'no label map of these {len(rows)} images has the {absent}; ' in said for said in warnings)
    assert all(text in said for said in warnings)


@pytest.mark.parametrize(
    'row, ignored, number, absent',
    [('01x3 0123', 2, 3, None), ('x123 0123', 0, 3, None), ('00xx 0033', 3, 1, "classes 'car', 'sky'")],
)
def test_a_class_whose_id_does_not_count_is_neither_measured_nor_warned_of(warnings, row, ignored, number, absent):
    metrics = areas_of(row, ignored=ignored)
    assert (metrics['mIoU'], metrics['mIoU_classes'], metrics['aAcc']) == (100.0, number, 100.0)
    assert f'IoU.{CLASSES[ignored]}' not in metrics and f'mIoU: 100.00 over {number} of 3 classes' in metric_texts(
        metrics
    )
    assert [absent in said for said in warnings] == [True] * bool(absent)


def test_images_without_labels_count_nowhere_and_alone_they_give_nothing(warnings):
    with_labels = areas_of('0123 0122')
    metric = ClassIoUMetric()
    metric.dataset_meta = dict(classes=CLASSES)
    data = [dict(pred_sem_seg=dict(data=torch.zeros(1, 1, 4)))] * 2
    metric.process({}, data)
    assert metric.evaluate(2) == {} and 'none of 2 images has a label map' in warnings[-1]
    metric.process({}, data)
    keys = dict(gt_sem_seg=[0, 1, 2, 3], pred_sem_seg=[0, 1, 2, 2])
    metric.process({}, [{key: dict(data=torch.tensor([[ids]])) for key, ids in keys.items()}])
    assert metric.evaluate(3) == with_labels and '2 of 3 images have no label map' in warnings[-1]


def test_numbers_of_classes_go_with_a_prefix_and_with_other_means(capsys):
    print_metrics(areas_of('0022 0022', prefix='val', iou_metrics=['mIoU', 'mDice'], nan_to_num=0))
    line = capsys.readouterr().out
    assert 'val/mIoU: 50.00 over 4 of 4 classes' in line and 'val/mDice: 50.00 over 4 of 4 classes' in line


@pytest.mark.parametrize('kind', ['mmvice.IoUMetric', 'mmvice.ClassIoUMetric'])
def test_a_metric_that_is_to_write_files_is_told_what_does(kind):
    with pytest.raises(ValueError, match=r"writes no files, but has output_dir='here'.*--out DIR"):
        METRICS.build(dict(type=kind, output_dir='here'))


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
