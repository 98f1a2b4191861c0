"""Running a plan: nothing twice, nothing lost, and a failure stops only what needs it."""

import json
import threading
import time
from pathlib import Path

import pytest
from mmengine.config import Config
from small_benchmark import write_benchmark

from mmvice.apis.probe_benchmark import (
    Executor,
    Job,
    Variant,
    check_data,
    check_device,
    export_results,
    make_plan,
    of_these_settings,
    read_benchmark,
    read_results,
    restore_results,
    state,
)
from mmvice.apis.probe_benchmark.results import read_result

TRAIN = Path(__file__).parent / 'toy_training.py'


@pytest.fixture
def benchmark(tmp_path):
    return read_benchmark(write_benchmark(tmp_path / 'benchmark'))


def plan(benchmark, tmp_path, rows=('random', 'regions'), seeds=(0,), **kwargs):
    return make_plan(benchmark, tmp_path / 'runs', 'cpu', 'tune', rows, ['linear-3'], seeds, **kwargs)


def run(jobs, workers=2):
    lines = []
    return Executor(TRAIN, workers, lines.append).run(jobs), lines


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
    variant = Variant('v', {'model.head.k': 3, 'train_dataloader.dataset.pipeline.Regions.size': 8})
    pretraining, probe = plan(benchmark, tmp_path, ['regions'], [1], variant=variant)
    run([pretraining, probe])
    of_pretraining, of_probe = (json.loads(job.result_file.read_text()) for job in (pretraining, probe))
    assert of_pretraining['split'] is None and 'mIoU' not in of_pretraining
    assert of_pretraining['options'] == {
        'model.head.k': 3,
        'train_dataloader.dataset.pipeline.1.size': 8,
        'randomness.seed': 1,
    }
    assert of_pretraining['variant_options'] == variant.options
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
    config = benchmark.config('cpu', 'vice')
    config.write_text(config.read_text().replace('k=2', 'k=3'))
    from mmvice.apis.probe_benchmark.plan import _load

    _load.cache_clear()
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
    [other] = plan(benchmark, tmp_path, ['random'], probe_options={'model.decode_head.num_filters': 7})
    assert (state(broken), state(other)) == ('left', 'left')
    (broken.folder / 'iter_1.pth').touch()
    assert (state(broken), state(other)) == ('left', 'stale')
    wrong, _ = run([other])
    assert 'has a training of other settings' in wrong[other] and starts(broken) == 1
    for file in ('iter_1.pth', 'fail'):
        (broken.folder / file).unlink()
    assert not run([other])[0] and state(other) == 'finished'
    assert read_result(other.result_file)['fingerprint'] == other.fingerprint


@pytest.mark.parametrize('text', ['[]', 'null', '{"fingerprint": '])
def test_a_damaged_record_is_named(benchmark, tmp_path, text):
    [job] = plan(benchmark, tmp_path, ['random'])
    job.folder.mkdir(parents=True)
    (job.folder / 'record.json').write_text(text)
    with pytest.raises(ValueError, match=r'record\.json .*move'):
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
    (tmp_path / 'runs').mkdir()
    (tmp_path / 'runs' / 'wait').touch()
    first, second = Executor(TRAIN, 1, print), plan(benchmark, tmp_path, ['random'])
    thread = threading.Thread(target=lambda: first.run(plan(benchmark, tmp_path, ['random'])))
    thread.start()
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob('started.txt')) and time.monotonic() < deadline:
        time.sleep(0.02)
    wrong, _ = run(second)
    assert f'another training is at work in {second[0].folder}' in wrong[second[0]]
    (tmp_path / 'runs' / 'wait').unlink()
    thread.join(60)
    assert state(second[0]) == 'finished' and starts(second[0]) == 1


def test_data_that_is_missing_is_named_once_before_anything_runs(benchmark, tmp_path):
    config = benchmark.config('cpu', 'vice')
    config.write_text(config.read_text().replace('dataset=dict(', f'dataset=dict(data_root="{tmp_path}/photos", '))
    jobs = plan(benchmark, tmp_path, ['grid', 'regions'])
    with pytest.raises(FileNotFoundError, match='there is no folder .*/photos, which is read'):
        check_data(jobs)
    (tmp_path / 'photos').mkdir()
    check_data(jobs)


def test_as_many_run_at_a_time_as_asked_for_and_stopping_ends_them(benchmark, tmp_path):
    jobs = plan(benchmark, tmp_path, ['random', 'grid', 'regions'])
    (tmp_path / 'runs').mkdir()
    (tmp_path / 'runs' / 'wait').touch()
    executor = Executor(TRAIN, 2, lambda line: None)
    outcome = {}
    thread = threading.Thread(target=lambda: outcome.update(executor.run(jobs)))
    thread.start()
    deadline = time.monotonic() + 60
    while len(list(tmp_path.rglob('started.txt'))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    assert len(list(tmp_path.rglob('started.txt'))) == 2
    executor.stop()
    thread.join(60)
    assert not thread.is_alive() and set(outcome) == set(jobs)
    (tmp_path / 'runs' / 'wait').unlink()
    wrong, _ = run(plan(benchmark, tmp_path, ['random', 'grid', 'regions']))
    assert not wrong


def test_what_is_running_ends_with_the_time_and_what_is_left_is_no_failure(benchmark, tmp_path):
    jobs = plan(benchmark, tmp_path, ['random', 'grid'])
    (tmp_path / 'runs').mkdir()
    assert not Executor(TRAIN, 1, print).run(jobs[:1])
    (tmp_path / 'runs' / 'wait').touch()
    lines = []
    assert not Executor(TRAIN, 2, lines.append, seconds=0.5).run(jobs)
    assert lines[-1] == 'the time is up: 1 trainings ended, 1 not begun'
    assert [state(job) for job in jobs] == ['finished'] + ['left'] * (len(jobs) - 1)
    (tmp_path / 'runs' / 'wait').unlink()
    wrong, lines = run(plan(benchmark, tmp_path, ['random', 'grid']))
    assert not wrong and lines[0] == f'{len(jobs)} trainings: 1 finished, {len(jobs) - 1} left'


def test_a_damaged_result_is_an_error_that_names_it(benchmark, tmp_path):
    jobs = plan(benchmark, tmp_path, ['random'])
    run(jobs)
    jobs[0].result_file.write_text('{"run": ')
    with pytest.raises(ValueError, match=r'result\.json is no JSON file.*remove it'):
        state(jobs[0])


def test_what_is_kept_is_not_run_again_unless_its_weights_are_needed(benchmark, tmp_path):
    run(plan(benchmark, tmp_path))
    export_results(read_results(tmp_path / 'runs'), tmp_path / 'kept')
    (tmp_path / 'runs').rename(tmp_path / 'before')
    kept = read_results(tmp_path / 'kept')
    jobs = plan(benchmark, tmp_path)
    assert restore_results(jobs, kept, write=False) == (jobs, []) and not (tmp_path / 'runs').exists()
    assert restore_results(jobs, kept) == (jobs, [])
    assert run(jobs)[1] == ['3 trainings: 3 finished, 0 left']
    assert restore_results(jobs, kept) == ([], []), 'what is there stays'

    pretraining, probe = (job for job in jobs if job.run == 'regions')
    probe.result_file.unlink()
    wrong, lines = run(jobs)
    assert not wrong and lines[1] == '3 trainings: 1 finished, 2 left'
    assert lines[0] == 'regions seed 0: pretraining: its weights are not there any more, it is trained again'
    assert starts(pretraining) == 1 and starts(probe) == 1


def test_what_is_kept_of_other_settings_is_not_used(benchmark, tmp_path):
    run(plan(benchmark, tmp_path, ['regions']))
    kept = [{**result, 'fingerprint': 'another'} for result in read_results(tmp_path / 'runs')]
    (tmp_path / 'runs').rename(tmp_path / 'before')
    jobs = plan(benchmark, tmp_path, ['regions'])
    assert restore_results(jobs, kept) == ([], [job.name for job in jobs])
    assert [state(job) for job in jobs] == ['left', 'left']


def test_the_table_has_no_result_of_other_settings(benchmark, tmp_path):
    jobs = make_plan(benchmark, tmp_path / 'runs', 'cpu', 'table', ['random', 'grid'], ['linear-3'], [0])
    run(jobs)
    results = read_results(tmp_path / 'runs')
    assert of_these_settings(benchmark, results, 'cpu') == (results, [])
    changed = [{**result, 'fingerprint': 'another'} if result['run'] == 'random' else result for result in results]
    used, others = of_these_settings(benchmark, changed, 'cpu')
    assert {result['run'] for result in used} == {'grid'} and others == ['random seed 0: table decoder linear-3']
    unknown = [*results, {**results[0], 'run': 'vanished'}]
    used, others = of_these_settings(benchmark, unknown, 'cpu')
    assert used == results and len(others) == 1 and 'vanished' in others[0]


@pytest.mark.parametrize(
    'damage, message', [({'seed': '0'}, 'seed'), ({'mIoU': 2382}, 'percent'), ({'mIoU': float('nan')}, 'percent')]
)
def test_a_result_that_cannot_be_is_refused(benchmark, tmp_path, damage, message):
    run(plan(benchmark, tmp_path, ['random']))
    [file] = (tmp_path / 'runs').rglob('result.json')
    file.write_text(json.dumps({**json.loads(file.read_text()), **damage}))
    with pytest.raises(ValueError, match=message):
        read_results(tmp_path / 'runs')


def test_data_that_lacks_a_part_is_named(benchmark, tmp_path):
    [job] = plan(benchmark, tmp_path, ['random'])
    prefixes = {'img_path': 'images/train'}
    dataset = {'data_root': str(tmp_path / 'camvid'), 'data_prefix': prefixes}
    loaded = Config({'train_dataloader': {'dataset': dataset}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Job, 'load_config', lambda job: loaded)
        (tmp_path / 'camvid').mkdir()
        with pytest.raises(FileNotFoundError, match='camvid/images/train'):
            check_data([job])
        (tmp_path / 'camvid' / 'images' / 'train').mkdir(parents=True)
        check_data([job])


def test_the_gpu_size_asks_for_a_gpu(monkeypatch):
    check_device('cpu')
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    with pytest.raises(ValueError, match='no GPU'):
        check_device('gpu')
