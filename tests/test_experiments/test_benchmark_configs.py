"""Every training of the benchmark on CamVid builds and makes one step, on small data; and rows differ as they say."""

import json
import re
import runpy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from test_configs import data, flat, shrink  # noqa: F401  fixtures

from mmvice.apis import build_runner
from mmvice.experiments import step_times
from mmvice.experiments.collect import collect
from mmvice.experiments.documents import MARK, filled
from mmvice.experiments.jobs import Job
from mmvice.experiments.measure import measure
from mmvice.experiments.plan import Planner
from mmvice.experiments.reader import read_experiments
from mmvice.experiments.results import Results, read_kept

pytestmark = pytest.mark.usefixtures('mmvice_scope')

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / 'configs' / 'benchmark' / 'camvid'
BENCHMARK = read_experiments(ROOT / 'configs' / 'experiments' / 'camvid.yml')
TABLE = BENCHMARK.tables['camvid']
ROWS = {row.name: row for row in TABLE.rows}
SPLITS, SIZES = ('tune', 'table'), ('cpu', 'gpu')
KEPT = ROOT / 'docs' / 'camvid_benchmark'
BY_SCRIPT = {'28.50 / 69.02', '33.07 / 73.49'}


def plan(size, split, **kwargs):
    return Planner.of(BENCHMARK, size, split, seeds=[0], work_dirs=Path('runs'), **kwargs).jobs([TABLE])


PRETRAININGS = {
    f'{size}-{job.run}-{split}': job
    for size in SIZES
    for split in SPLITS
    for job in plan(size, split)
    if job.probe is None and (split == 'table' or job.run == 'supervised')
}
EMBEDDERS = {'decoder': 'random', 'color-position': 'color-position', 'hypercolumns': 'random-backbone'}
PROBES = {
    f'{size}-{split}-{embedder}-{probe}': job
    for size in SIZES
    for split in SPLITS
    for embedder, row in EMBEDDERS.items()
    for probe in ('linear-256', 'cluster-11-hungarian')
    for job in plan(size, split, rows=[row], probes=[probe])
    # all of them, but each pair only at one place
    if (size == 'cpu') == (split == 'tune') or embedder == 'decoder'
}


def of_size(name):
    """The size for a GPU, on small data, makes the same steps as the other one, and is slower."""
    return pytest.param(name, marks=pytest.mark.stress if name.startswith('gpu') else ())


def small(job, data, tmp_path):  # noqa: F811
    cfg = shrink(job.load_config(), data, tmp_path)
    for name in ('train', 'val', 'test'):
        dataset = cfg.get(f'{name}_dataloader', {}).get('dataset', {})
        if 'indices' in dataset:
            dataset.indices = [0]
    cfg.train_dataloader.batch_size = 2
    return cfg


@pytest.mark.parametrize('name', [of_size(name) for name in PRETRAININGS])
def test_pretraining(name, data, tmp_path):  # noqa: F811
    runner = build_runner(small(PRETRAININGS[name], data, tmp_path))
    before = {n: p.detach().clone() for n, p in runner.model.named_parameters()}
    model = runner.train()
    backbone = [n for n in before if n.startswith('backbone.')]
    after = dict(model.named_parameters())
    assert backbone and any(not torch.equal(after[n], before[n]) for n in backbone)
    assert all(p.isfinite().all() for p in model.parameters())
    assert (tmp_path / 'iter_1.pth').is_file()


def test_random_is_what_every_pretraining_of_that_seed_starts_from(data, tmp_path):  # noqa: F811
    cfg = small(PRETRAININGS['cpu-random-table'], data, tmp_path / 'random')
    runner = build_runner(cfg)
    runner.train()
    initial, trained = (load_weights(tmp_path / 'random' / f'iter_{step}.pth') for step in (0, 1))
    cfg = small(PRETRAININGS['cpu-superpixels-table'], data, tmp_path / 'superpixels')
    cfg.default_hooks.checkpoint.save_initial = True
    build_runner(cfg).train()
    started = load_weights(tmp_path / 'superpixels' / 'iter_0.pth')
    assert started.keys() == initial.keys() and all(torch.equal(started[n], initial[n]) for n in initial)
    conv = next(n for n in initial if n.startswith('backbone.'))
    assert not torch.equal(initial[conv], trained[conv])

    (tmp_path / 'random' / 'iter_1.pth').unlink()
    (tmp_path / 'random' / 'last_checkpoint').write_text(str(tmp_path / 'random' / 'iter_0.pth'))
    again = small(PRETRAININGS['cpu-random-table'], data, tmp_path / 'random')
    again.resume = True
    build_runner(again).train()
    resumed = load_weights(tmp_path / 'random' / 'iter_1.pth')
    assert all(torch.equal(resumed[n], trained[n]) for n in trained if n.startswith(('backbone.', 'decoder.')))


def load_weights(file):
    return torch.load(file, weights_only=True)['state_dict']


@pytest.mark.parametrize('name', [of_size(name) for name in PROBES])
def test_probes(name, data, tmp_path):  # noqa: F811
    cfg = small(PROBES[name], data, tmp_path)
    cfg.model.embedder_checkpoint = None  # of a pretraining that has not been run here
    if cfg.train_cfg.type == 'ClusterFitLoop':
        cfg.train_cfg.max_samples = 200
    runner = build_runner(cfg)
    runner.train()
    assert all(not p.requires_grad for p in runner.model.backbone.parameters())
    assert 0 <= runner.val_loop.run()['mIoU'] <= 100


def test_steps_of_every_kind_of_pretraining_are_timed_in_turn(data, tmp_path, monkeypatch):  # noqa: F811
    order = []

    class Noted(step_times.TimedTraining):
        def step(self):
            order.append(type(self.model).__name__)
            return super().step()

    monkeypatch.setattr(step_times, 'TimedTraining', Noted)
    jobs = [PRETRAININGS[f'cpu-{run}-table'] for run in ('superpixels', 'densecl', 'supervised')]
    configs = {job: small(job, data, tmp_path) for job in jobs}
    monkeypatch.setattr(Job, 'load_config', lambda job: configs[job])
    threads = torch.get_num_threads()
    times = step_times.time_steps(jobs, 2, lambda line: None)
    assert order == ['ViCE', 'DenseCL', 'ProbeSegmentor'] * 4, 'two rounds of warm-up, and two that count'
    assert set(times['runs']) == {job.run for job in jobs}
    assert all(run['step_ms'] > run['data_ms'] > 0 and run['images'] == 2 for run in times['runs'].values())
    assert torch.get_num_threads() == threads
    with pytest.raises(ValueError, match='none of these rows is of a pretraining'):
        step_times.time_steps([], 2)


def test_the_tuning_split_measures_on_a_drive_of_its_own():
    split = Config.fromfile(FOLDER / 'tuning_split.py')
    drives = [range(62), range(62, 163), range(163, 367)]
    assert split.fitted == [*drives[0], *drives[1]]
    assert split.held_out == list(drives[2])[::2]


@pytest.mark.parametrize('size', SIZES)
def test_the_validation_images_are_looked_at_for_the_table_only(size):
    split = Config.fromfile(FOLDER / 'tuning_split.py')
    for job in plan(size, 'tune'):
        settings = flat(job.load_config())
        paths = [value for key, value in settings.items() if 'dataset' in key and 'path' in key.rpartition('.')[2]]
        assert paths and all(path.endswith('/train') for path in paths), job.name
        if job.probe is not None or job.run == 'supervised':
            cfg = job.load_config()
            parts = [set(cfg[f'{name}_dataloader'].dataset.indices) for name in ('train', 'val', 'test')]
            assert parts == [set(split.fitted), set(split.held_out), set(split.held_out)]


@pytest.mark.parametrize('size', SIZES)
def test_pretraining_sees_no_labels_and_as_many_images_in_every_row(size):
    jobs = [job for job in plan(size, 'table') if job.probe is None and ROWS[job.run].pretraining.step is None]
    configs = {job.run: job.load_config() for job in jobs}
    seen = {cfg.train_cfg.max_iters * cfg.train_dataloader.batch_size for cfg in configs.values()}
    assert len(seen) == 1
    for run, cfg in configs.items():
        labelled = any('Annotations' in step.type for step in cfg.train_dataloader.dataset.pipeline)
        assert labelled == (run == 'supervised')
        assert cfg.train_dataloader.dataset.data_prefix.img_path == 'images/train'
        backbone = {key: value for key, value in cfg.model.backbone.items() if key != 'out_indices'}
        assert backbone == configs['superpixels'].model.backbone


# row: what it may change of ViCE with superpixels
PIPELINE = 'train_dataloader.dataset.pipeline'
CHANGES = {
    'pixels': {('SuperpixelGrid', 'type'), ('SuperpixelGrid', 'region_size')},
    'grid': {('SuperpixelGrid', 'type')},
    'no-mask': {('SuperpixelMask', 'max_ratio')},
    'no-context': {('ContextualViewCrop', 'contextual')},
    'no-queue': {('model', 'head.queue_length')},
    'mean-first': {('model', 'head.normalize_pixels')},
    'per-region': {('model', 'head.reduction')},
    'reference': {('model', 'head.normalize_pixels'), ('model', 'head.reduction')},
}


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('row', CHANGES)
def test_a_row_changes_what_it_says_and_nothing_else(row, size):
    base, changed = (
        plan(size, 'table', rows=[name], probes=[], variant='v', variant_options={'train_cfg.max_iters': 5})[
            0
        ].load_config()
        for name in ('superpixels', row)
    )
    before, after = flat(base), flat(changed)
    found = set()
    for key in before.keys() | after.keys():
        if before.get(key) == after.get(key):
            continue
        if key.startswith(PIPELINE):
            place, _, setting = key.removeprefix(f'{PIPELINE}.').partition('.')
            found.add((changed.train_dataloader.dataset.pipeline[int(place)].type, setting))
        else:
            found.add(tuple(key.split('.', 1)))
    assert found == CHANGES[row]


@pytest.mark.parametrize('size', SIZES)
def test_the_two_random_initialisations_differ_as_they_say(size):
    first, second = (plan(size, 'table', rows=[name], probes=[])[0] for name in ('random', 'random-zero'))
    before, after = flat(first.load_config()), flat(second.load_config())
    assert {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)} == {
        'model.backbone.zero_init_residual'
    }
    [probe] = plan(size, 'table', rows=['random-zero'], probes=['linear-256'])[1:]
    assert probe.load_config().model.backbone.zero_init_residual is True
    assert probe.checkpoint.name == 'iter_0.pth'


def test_every_row_that_trains_vice_is_checked():
    own = {name: row.pretraining for name, row in ROWS.items() if row.pretraining and row.pretraining.run == name}
    assert {name for name in own if own[name].config == 'vice' and own[name].step is None} == {*CHANGES, 'superpixels'}


def kept_results(size):
    return Planner.of(BENCHMARK, size, work_dirs=Path('none')), Results(*read_kept(KEPT / f'{size}.jsonl'))


@pytest.mark.parametrize('name', ['camvid_benchmark', 'camvid_settings', 'encoders'])
def test_the_documentation_has_the_tables_of_the_kept_results(name, monkeypatch):
    """What stands between the marks is what the kept results give: nothing more, and nothing less."""
    monkeypatch.chdir(ROOT)
    text = (ROOT / 'docs' / f'{name}.md').read_text()
    assert MARK.search(text)
    assert filled(text, runpy.run_path('tools/experiments.py')['collected']) == text


@pytest.mark.parametrize('size', SIZES)
def test_kept_results_are_of_the_rows_as_they_are(size):
    planner, results = kept_results(size)
    text = collect(planner, results, [TABLE])
    assert not results.others and not results.unasked(planner)
    assert sum(row.title in text for row in TABLE.rows) == len(TABLE.rows)


@pytest.mark.parametrize('size', SIZES)
def test_both_linear_probes_of_the_kept_results_agree(size):
    """By way of 11 or 256 filters they are the same maps: far apart, one has not been learned. (Both may lack some.)"""
    planner, results = kept_results(size)
    pairs = [
        (few[seed], many[seed])
        for row in TABLE.rows
        for few, many in [[measure(planner, results, TABLE, row, f'linear-{n}').first for n in (11, 256)]]
        for seed in few.keys() & many.keys()
    ]
    assert len(pairs) >= 5 and all(abs(few - many) < 2 for few, many in pairs), pairs


def test_numbers_of_the_settings_page_are_those_of_kept_results():
    """Every 'mIoU / aAcc' in its tables, but those that the page says are of a script."""
    kept = [result for file in KEPT.glob('*.jsonl') for result in map(json.loads, file.read_text().splitlines())]
    known = {f'{r["mIoU"]:.2f} / {r["aAcc"]:.2f}' for r in kept if r.get('mIoU') is not None}
    text = (ROOT / 'docs' / 'camvid_settings.md').read_text().split('## All results')[0]
    rows = [line for line in text.splitlines() if line.startswith('|')]
    found = {pair for row in rows for pair in re.findall(r'\d+\.\d+ / \d+\.\d+', row)}
    assert len(found) > 60 and found - known <= BY_SCRIPT, found - known
