"""Running a plan: nothing twice, nothing lost, and a failure stops only what needs it."""

import json
import math
import os
import threading
import time
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from small_benchmark import result

from mmvice.experiments.execute import Executor, check_data, check_devices, run_lines, trainings_at_a_time
from mmvice.experiments.jobs import Job
from mmvice.experiments.plan import Planner
from mmvice.experiments.results import Results, read_kept, read_result
from mmvice.experiments.tables import Needs, select

TRAIN = Path(__file__).parent / 'toy_training.py'


def plan(benchmark, tmp_path, rows=('random', 'regions'), seeds=(0,), split='tune', **kwargs):
    names = dict(rows=rows, probes=['linear-3'], seeds=seeds, work_dirs=tmp_path / 'runs')
    return Planner.of(benchmark, 'cpu', split, **names, **kwargs).jobs(select(benchmark, []))


def run(jobs, workers=2, kept=(), **kwargs):
    lines = []
    return Executor(TRAIN, Results(kept), workers, lines.append, **kwargs).run(jobs), lines


def state(job):
    return Results().state(job)


def waiting(tmp_path):
    """A file while which trainings wait."""
    (tmp_path / 'runs').mkdir(exist_ok=True)
    (tmp_path / 'runs' / 'wait').touch()
    return tmp_path / 'runs' / 'wait'


def until(condition):
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)


def starts(job):
    return len((job.folder / 'started.txt').read_text().split())


def test_each_training_leaves_its_result_and_none_is_repeated(benchmark, tmp_path):
    jobs = plan(benchmark, tmp_path)
    wrong, lines = run(jobs)
    assert not wrong and lines[0] == '3 trainings: 0 finished, 3 left'
    assert sorted(line.split('  ')[0] for line in lines[1:]) == ['1 of 3', '2 of 3', '3 of 3']
    assert any('regions seed 0: tune decoder linear-3  mIoU 20.00  aAcc 60.00' in line for line in lines)
    again = plan(benchmark, tmp_path)
    wrong, lines = run(again)
    assert not wrong and lines == ['3 trainings: 3 finished, 0 left']
    assert [starts(job) for job in jobs] == [1, 1, 1]


def test_a_result_says_what_was_run_and_what_came_of_it(benchmark, tmp_path):
    options = {'model.head.k': 3, 'train_dataloader.dataset.pipeline.Regions.size': 8}
    pretraining, probe = plan(benchmark, tmp_path, ['regions'], [1], variant='v', variant_options=options)
    run([pretraining, probe])
    of_pretraining, of_probe = (json.loads(job.result_file.read_text()) for job in (pretraining, probe))
    assert of_pretraining['split'] is None and 'mIoU' not in of_pretraining
    assert of_pretraining['options'] == {
        'model.head.k': 3,
        'train_dataloader.dataset.pipeline.1.size': 8,
        'randomness.seed': 1,
    }
    assert of_pretraining['variant_options'] == options
    assert of_pretraining['steps'] == 4
    assert of_pretraining['processor_seconds'] >= 0 and 0 <= of_pretraining['wall_seconds'] < 60
    assert of_pretraining['log'][-1] == dict(lr=0.1, time=0.5, loss=2.6, step=4)
    assert of_probe['split'] == 'tune' and of_probe['variant'] == 'v' and of_probe['seed'] == 1
    assert (of_probe['mIoU'], of_probe['aAcc'], of_probe['mAcc']) == (21.0, 60.0, 30.0)
    assert of_probe['classes'] == {'road': dict(IoU=50.0, Acc=None)}
    assert {'torch', 'mmvice'} <= set(of_probe['versions']) and 'git_revision' in of_probe
    # weights of a pretraining are kept, those of a measured probe are not
    assert (pretraining.folder / 'iter_4.pth').is_file() and not (probe.folder / 'iter_4.pth').is_file()


def test_a_failure_is_told_with_the_end_of_its_output_and_stops_only_what_needs_it(benchmark, tmp_path):
    jobs = plan(benchmark, tmp_path, ['random', 'regions', 'grid'])
    broken = next(job for job in jobs if job.run == 'regions' and job.probe is None)
    broken.folder.mkdir(parents=True)
    (broken.folder / 'fail').touch()
    wrong, lines = run(jobs, workers=1)
    assert {job.name for job in wrong} == {'regions seed 0: pretraining', 'regions seed 0: tune decoder linear-3'}
    assert 'exit status 1' in wrong[broken] and 'error: told to fail' in wrong[broken]
    assert any('FAILED  regions seed 0: pretraining' in line for line in lines)
    assert {job.run for job in jobs if state(job) == 'finished'} == {'random', 'grid'}
    (broken.folder / 'fail').unlink()
    wrong, lines = run(plan(benchmark, tmp_path, ['random', 'regions', 'grid']))
    assert not wrong and lines[0] == '5 trainings: 3 finished, 2 left'


def test_a_result_of_other_settings_is_not_passed_off_as_this_one(benchmark, tmp_path):
    run(plan(benchmark, tmp_path, ['regions']))
    config = benchmark.path.parent / 'cpu' / 'vice.py'
    config.write_text(config.read_text().replace('k=2', 'k=3'))
    jobs = plan(benchmark, tmp_path, ['regions'])
    assert [state(job) for job in jobs] == ['stale', 'stale']
    wrong, _ = run(jobs)
    assert (
        len(wrong) == 2
        and 'has a training of other settings' in wrong[jobs[0]]
        and str(jobs[0].folder) in wrong[jobs[0]]
    )
    assert [starts(job) for job in jobs] == [1, 1]


def test_a_training_is_not_continued_with_other_settings_but_replaced_if_it_came_to_nothing(benchmark, tmp_path):
    [broken] = plan(benchmark, tmp_path, ['random'])
    broken.folder.mkdir(parents=True)
    (broken.folder / 'fail').touch()
    run([broken])
    config = benchmark.path.parent / 'cpu' / 'linear_tune.py'
    config.write_text(config.read_text().replace('embed_dims=4', 'embed_dims=5'))
    [other] = plan(benchmark, tmp_path, ['random'])
    assert (state(broken), state(other)) == ('left', 'left')
    (broken.folder / 'iter_1.pth').touch()
    assert (state(broken), state(other)) == ('left', 'stale')
    wrong, _ = run([other])
    assert 'has a training of other settings' in wrong[other] and starts(broken) == 1
    for file in ('iter_1.pth', 'fail'):
        (broken.folder / file).unlink()
    assert not run([other])[0] and state(other) == 'finished'
    assert read_result(other.result_file)['fingerprint'] == other.fingerprint


@pytest.mark.parametrize(
    'name, content, message',
    [
        *(('record', content, r'record\.json.*move') for content in ('[]', 'null', '{"fingerprint": ')),
        *(('result', content, r'result\.json is no JSON file.*remove it') for content in ('{"run": ', '\udcff\udcfe')),
        ('result', '{"mIoU": 99}', r'result\.json: size is missing'),
        ('result', json.dumps(result('random') | dict(seed='0')), r"result\.json: seed must be a number, got '0'"),
        ('result', json.dumps(result('random') | dict(mIoU=math.nan)), r'result\.json: mIoU must be .* of percent'),
    ],
)
def test_a_damaged_file_of_a_training_is_named(benchmark, tmp_path, name, content, message):
    [job] = plan(benchmark, tmp_path, ['random'])
    job.folder.mkdir(parents=True)
    (job.folder / f'{name}.json').write_bytes(content.encode('utf-8', 'surrogateescape'))
    with pytest.raises(ValueError, match=message):
        state(job)


def test_seconds_of_all_starts_count(benchmark, tmp_path):
    [job] = plan(benchmark, tmp_path, ['random'])
    job.folder.mkdir(parents=True)
    (job.folder / 'fail').touch()
    run([job])
    record = json.loads((job.folder / 'record.json').read_text())
    (job.folder / 'record.json').write_text(json.dumps({**record, 'wall_seconds': 100.0, 'processor_seconds': 50.0}))
    (job.folder / 'fail').unlink()
    run([job])
    result = json.loads(job.result_file.read_text())
    assert 100 <= result['wall_seconds'] < 160 and 50 <= result['processor_seconds'] < 110


def test_two_trainings_are_not_at_work_in_one_folder(benchmark, tmp_path):
    wait = waiting(tmp_path)
    [job] = plan(benchmark, tmp_path, ['random'])
    thread = threading.Thread(target=lambda: run(plan(benchmark, tmp_path, ['random'])))
    thread.start()
    until(lambda: list(tmp_path.rglob('started.txt')))
    wrong, _ = run([job])
    assert f'another training is at work in {job.folder}' in wrong[job]
    wait.unlink()
    thread.join(60)
    assert state(job) == 'finished' and starts(job) == 1


def test_data_that_is_missing_is_named_once_before_anything_runs(benchmark, tmp_path):
    config = benchmark.path.parent / 'cpu' / 'vice.py'
    config.write_text(config.read_text().replace('dataset=dict(', f'dataset=dict(data_root="{tmp_path}/photos", '))
    jobs = plan(benchmark, tmp_path, ['grid', 'regions'])
    with pytest.raises(FileNotFoundError, match='there is no folder .*/photos, which is read'):
        check_data(jobs)
    (tmp_path / 'photos').mkdir()
    check_data(jobs)


def test_as_many_run_at_a_time_as_asked_for_and_stopping_ends_them(benchmark, tmp_path):
    jobs = plan(benchmark, tmp_path, ['random', 'grid', 'regions'])
    wait = waiting(tmp_path)
    executor = Executor(TRAIN, Results(), 2, lambda line: None)
    outcome = {}
    thread = threading.Thread(target=lambda: outcome.update(executor.run(jobs)))
    thread.start()
    until(lambda: len(list(tmp_path.rglob('started.txt'))) == 2)
    time.sleep(0.3)
    assert len(list(tmp_path.rglob('started.txt'))) == 2
    executor.stop()
    thread.join(60)
    assert not thread.is_alive() and set(outcome) == set(jobs)
    wait.unlink()
    assert not run(plan(benchmark, tmp_path, ['random', 'grid', 'regions']))[0]


def test_what_is_running_ends_with_the_time_and_what_is_left_is_no_failure(benchmark, tmp_path):
    jobs = plan(benchmark, tmp_path, ['random', 'grid'])
    assert not run(jobs[:1])[0]
    wait = waiting(tmp_path)
    wrong, lines = run(jobs, seconds=0.5)
    assert not wrong and lines[-1] == 'the time is up: 1 trainings ended, 1 not begun'
    assert [state(job) for job in jobs] == ['finished'] + ['left'] * (len(jobs) - 1)
    wait.unlink()
    wrong, lines = run(plan(benchmark, tmp_path, ['random', 'grid']))
    assert not wrong and lines[0] == f'{len(jobs)} trainings: 1 finished, {len(jobs) - 1} left'


def keep(jobs, file):
    """The results of trainings as kept ones."""
    results = Results()
    for job in jobs:
        results.of(job)
    results.write(file)
    return read_kept(file)[0]


def test_what_is_kept_is_not_run_again_unless_its_weights_are_needed(benchmark, tmp_path):
    run(plan(benchmark, tmp_path))
    kept = keep(plan(benchmark, tmp_path), tmp_path / 'kept.jsonl')
    (tmp_path / 'runs').rename(tmp_path / 'before')
    jobs = plan(benchmark, tmp_path)
    assert run(jobs, kept=kept)[1] == ['3 trainings: 3 finished, 0 left'] and not (tmp_path / 'runs').exists()
    pretraining, probe = (job for job in jobs if job.run == 'regions')
    wrong, lines = run(
        jobs, kept=[result for result in kept if (result['run'], result['probe']) != ('regions', 'linear-3')]
    )
    assert not wrong and lines[1] == '3 trainings: 1 finished, 2 left'
    assert lines[0] == 'regions seed 0: pretraining: its weights are not there any more, it is trained again'
    assert starts(pretraining) == 1 and starts(probe) == 1


def test_what_is_kept_of_other_settings_is_not_used(benchmark, tmp_path):
    run(plan(benchmark, tmp_path, ['regions']))
    kept = keep(plan(benchmark, tmp_path, ['regions']), tmp_path / 'kept.jsonl')
    (tmp_path / 'runs').rename(tmp_path / 'before')
    results = Results([{**result, 'fingerprint': 'another'} for result in kept])
    jobs = plan(benchmark, tmp_path, ['regions'])
    assert [results.state(job) for job in jobs] == ['left', 'left']
    assert list(results.others) == [job.name for job in jobs]
    assert not run(jobs)[0]
    assert [results.state(job) for job in jobs] == ['finished', 'finished'], 'what has been run counts'


def test_lines_before_a_probe_are_run_and_lines_of_a_shell_tell_which_failed(benchmark, tmp_path):
    [job] = plan(benchmark, tmp_path, ['random'])
    [good] = plan(benchmark, tmp_path, ['random'], [1])
    object.__setattr__(job, 'before', ['false'])
    object.__setattr__(good, 'before', [f'touch {tmp_path}/prepared'])
    wrong, _ = run([job, good])
    assert list(wrong) == [job] and (tmp_path / 'prepared').is_file() and state(good) == 'finished'
    assert run_lines(['true', 'exit 3', 'python -c ""'], lambda line: None) == ['exit 3']


def test_data_that_lacks_a_part_is_named(benchmark, tmp_path):
    [job] = plan(benchmark, tmp_path, ['random'])
    prefixes = {'img_path': 'images/train'}
    dataset = {'data_root': str(tmp_path / 'camvid'), 'data_prefix': prefixes}
    loaded = Config({'train_dataloader': {'dataset': dataset}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Job, 'cfg', loaded)
        (tmp_path / 'camvid').mkdir()
        with pytest.raises(FileNotFoundError, match='camvid/images/train'):
            check_data([job])
        (tmp_path / 'camvid' / 'images' / 'train').mkdir(parents=True)
        check_data([job])


def test_gpus_that_are_not_there_are_asked_for_before_anything_runs(benchmark, tmp_path, monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    [job] = plan(benchmark, tmp_path, ['random'])
    check_devices([job], Planner.of(benchmark, 'cpu'))
    with pytest.raises(ValueError, match='--size gpu: PyTorch sees no GPU'):
        check_devices([job], Planner.of(benchmark, 'gpu'))
    config = benchmark.path.parent / 'cpu' / 'vice.py'
    config.write_text(config.read_text() + 'auto_scale_lr = dict(base_batch_size=64)')
    wide = plan(benchmark, tmp_path, ['grid'])
    with pytest.raises(ValueError, match='vice.py is for 32 GPUs, and PyTorch sees 0: give --gpus N'):
        check_devices(wide, Planner.of(benchmark, 'cpu'))
    check_devices(wide, Planner.of(benchmark, 'cpu', gpus=32))


NEEDS = Needs(cores=5, gpu_gib=8, gpu_minutes=2.8)


@pytest.mark.parametrize(
    ('needs', 'cores', 'gib', 'minutes', 'expected'),
    [
        (NEEDS, 16, 139, 9, 3),
        (NEEDS, 64, 139, 9, 3),  # more would take turns, and none would end
        (NEEDS, 64, 139, 14, 5),
        (NEEDS, 64, 24, 60, 3),
        (NEEDS, 4, 6, 1, 1),
        (NEEDS, 64, 139, math.inf, 12),
        (NEEDS, 16, None, 9, 3),
        (Needs(cores=1.5), 4, 80, 1, 2),
        (Needs(), 64, 139, 9, 1),
    ],
)
def test_as_many_trainings_run_as_the_machine_has_room_for(monkeypatch, needs, cores, gib, minutes, expected):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: range(cores))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: gib is not None)
    monkeypatch.setattr(torch.cuda, 'mem_get_info', lambda: (gib * 2**30, 2 * gib * 2**30))
    count, why = trainings_at_a_time(needs, minutes)
    assert count == expected and (f'{cores} cores, {needs.cores:g} each' in why) == (needs.cores > 0)
    assert ('GiB free on the GPU' in why) == (needs.gpu_gib > 0 and gib is not None) and 'inf' not in why
