"""``make gpu`` from the command line to its file, and what keeps one measurement from costing another."""

import json
import re
import subprocess
import time
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import execute
from benchmarks.gpu.conclusions import conclude
from benchmarks.gpu.plan import PARTS, PLAN, SHARES, Measurement
from benchmarks.gpu.results import Results

ROOT = Path(__file__).parents[2]


def test_the_plan_has_all_parts_once_and_fits_the_time():
    assert [*dict.fromkeys(each.part for each in PLAN)] == [*PARTS] == [*SHARES]
    assert len({each.name for each in PLAN}) == len(PLAN) and sum(SHARES.values()) == pytest.approx(1)
    for test in (test for each in PLAN for test in each.tests):
        file, _, name = test.partition('::')
        assert f'def {name}(' in (ROOT / file).read_text() if name else (ROOT / file).is_file()


def stand_in(monkeypatch, **codes: str) -> list[Measurement]:
    """Measurements whose processes run the given code; ``OUT`` in it is their file."""
    plan = [Measurement(2, name, 1, rows='a:b') for name in codes]
    start = subprocess.Popen

    def popen(words: list[str], **options: object) -> subprocess.Popen:
        out, name = words[-2:]
        return start([words[0], '-c', codes[name].replace('OUT', repr(out))], **options)

    monkeypatch.setattr(execute.subprocess, 'Popen', popen)
    return plan


WRITE = """
import json
row = dict(line='2', what='row', ratio=2.0, target='<= 1.1 x', verdict='MISSED')
record = dict(status=STATUS, rows=[row])
open(OUT, 'w').write(json.dumps(dict(surroundings=dict(date='today', gpu={}), measurements={NAME: record})))
"""


def test_what_fails_or_hangs_costs_nothing_but_itself(monkeypatch, tmp_path):
    good = WRITE.replace('STATUS', "'done'")
    partial = WRITE.replace('STATUS', "'running'").replace('NAME', "'hangs'") + 'import time; time.sleep(60)'
    plan = stand_in(
        monkeypatch, breaks='raise ValueError("no such kernel")', hangs=partial, works=good.replace('NAME', "'works'")
    )
    results = Results(tmp_path / 'out.json', tmp_path / 'out.json', dry=False)
    begin = time.monotonic()
    for each in plan:
        execute.run_batch([each], results, time.monotonic() + 2, dry=False)
    assert time.monotonic() - begin < 30
    records = json.loads((tmp_path / 'out.json').read_text())['measurements']
    assert [records[name]['status'] for name in ('breaks', 'hangs', 'works')] == [
        'failed',
        'ended by the clock',
        'done',
    ]
    assert records['breaks']['error'][-1] == 'ValueError: no such kernel'
    assert [row['what'] for row in records['hangs']['rows']] == ['row']
    assert any('sleep' in line or 'File' in line for line in records['hangs']['error'])
    execute.run_batch([Measurement(2, 'long', 100, rows='a:b')], results, time.monotonic() + 2, dry=False)
    assert results.left('long') and results.done('works') and not results.done('hangs')
    execute.run_batch([Measurement(2, 'hangs', 100, rows='a:b')], results, time.monotonic() + 2, dry=False)
    assert results.left('hangs') and [row['what'] for row in results.record('hangs')['rows']] == ['row']


def test_finished_measurements_are_kept_and_dry_ones_apart(tmp_path):
    Results(tmp_path / 'a.json', tmp_path / 'a.json', dry=False).add('f: probes', dict(status='done', rows=[]))
    kept = Results(tmp_path / 'b.json', tmp_path / 'a.json', dry=False)
    assert kept.done('f: probes') and not kept.done('i: switches')
    assert 'f: probes: done' in kept.report() and 'i: switches: left' in kept.report()
    with pytest.raises(ValueError, match='is of a run that is not dry, this is a dry run'):
        Results(tmp_path / 'b.json', tmp_path / 'a.json', dry=True)
    (tmp_path / 'c.json').write_text('{"measurements": {}}')
    with pytest.raises(ValueError, match='c.json holds no results of make gpu'):
        Results(tmp_path / 'b.json', tmp_path / 'c.json', dry=False)


@pytest.mark.parametrize(
    ('rate', 'verdict'),
    [
        (600.0, 'from files it takes 6.7 ms, which is enough'),
        (400.0, 'from files, without colours it takes 7.0 ms, which is enough'),
        (200.0, 'from files, without colours and blur it takes 16.0 ms, which is not enough'),
    ],
)
def test_cores_follow_from_the_step_and_the_loader(rate, verdict):
    step = dict(line='c', details=dict(images=16, median_seconds=dict(ours=0.032)))  # 500 images/s, 8 ms for 4 cores
    seconds = dict(LoadImageFromFile=0.002, SuperpixelSLIC=0.1, ViewColorDistortion=0.003, ViewGaussianBlur=0.001)
    rates = [dict(details=dict(workers=n, images_per_second=100.0 * n)) for n in (1, 4, 8)]
    records = {
        'step: R18 + light FPN': dict(rows=[step]),
        'steps of the pipeline': dict(rows=[dict(line='5', details=dict(seconds_of_steps=seconds))]),
        'workers, superpixels computed': dict(rows=rates),
        'workers, superpixels from files': dict(rows=[dict(details=dict(workers=4, images_per_second=rate))]),
    }
    said = conclude(records)
    assert '500 images a second' in said[0] and '8 workers are enough' in said[1]
    assert verdict in said[3] and conclude({}) == []


RECORDS = {
    'f: probes': dict(status='done', rows=[], seconds=1.0),
    'i: switches': dict(status='done', rows=[], seconds=2.0),
    'b: region means': dict(status='failed', rows=[], error=['of kept']),
}


@pytest.mark.parametrize(
    ('there', 'expected'),
    [
        ({'i: compiler': dict(status='done', rows=[])}, ('done', 'done', 'failed', 'done')),
        ({'i: switches': dict(status='done', rows=[], note='own')}, ('done', 'own', 'failed', None)),
        (
            {'f: probes': dict(status='failed', rows=[]), 'b: region means': dict(status='left')},
            ('done', 'done', 'left', None),
        ),
        ({}, ('done', 'done', 'failed', None)),
    ],
)
def test_no_result_is_lost_that_is_kept_or_there_already(there, expected, tmp_path):
    kept, out = tmp_path / 'kept.json', tmp_path / 'out.json'
    for path, records in {kept: RECORDS, out: there}.items():
        path.write_text(json.dumps(dict(dry=False, surroundings={}, measurements=records)))
    results = Results(out, kept, dry=False)
    names = ('f: probes', 'i: switches', 'b: region means', 'i: compiler')
    written = json.loads(out.read_text())['measurements']
    assert tuple((r := written.get(name, {})).get('note', r.get('status')) for name in names) == expected
    assert results.taken == {kept: 2, out: sum(record['status'] == 'done' for record in there.values())}
    results.add('steps of the pipeline', dict(status='done', rows=[]))
    assert {*json.loads(out.read_text())['measurements']} == {*RECORDS, *there, 'steps of the pipeline'}


def test_a_file_of_something_else_is_not_written_over(tmp_path):
    good, out = tmp_path / 'good.json', tmp_path / 'out.json'
    good.write_text(json.dumps(dict(dry=False, surroundings={}, measurements=RECORDS)))
    other = dict(dry=True, surroundings={}, measurements={})
    for text, message in {
        json.dumps(other): 'out.json is of a dry run',
        '[]': 'out.json holds no results',
        '{"dry": false, "measurements": [], "surroundings": 3}': 'out.json holds no results',
        'notes': 'out.json holds no results',
    }.items():
        out.write_text(text)
        with pytest.raises(ValueError, match=message):
            Results(out, good, dry=False)
        assert out.read_text() == text
    with pytest.raises(ValueError, match='holds no results'):
        Results(tmp_path, good, dry=False)


def test_nothing_is_concluded_from_a_dry_run(tmp_path):
    of_card = json.loads((ROOT / 'benchmarks' / 'results' / 'h200.json').read_text())['measurements']
    for dry in (True, False):
        results = Results(tmp_path / f'{dry}.json', None, dry)
        for name, record in of_card.items():
            results.add(name, record)
        report, said = results.report(), json.loads(results.path.read_text())['conclusions']
        assert bool(said) != dry and ('images a second: a step' in report) != dry
        assert ('== Short of its target' in report) != dry and ('nothing is concluded or judged' in report) == dry


@pytest.mark.parametrize(('text', 'named'), [('2,7', '7'), ('x', 'x'), ('2,', ''), ('1 2', '1 2'), ('²', '²')])
def test_unknown_parts_are_refused(text, named, capsys):
    with pytest.raises(SystemExit):
        command.parse_args(['--parts', text])
    error = capsys.readouterr().err.splitlines()[-1]
    assert f'there is no part {named!r}; the parts are 1 (tests that need a GPU), 2 (' in error
    assert command.parse_args(['--dry', '--parts', '3, 1']).parts == [3, 1]


def test_without_a_gpu_only_a_dry_run_begins(monkeypatch, capsys):
    """All tests would be skipped, and count as finished once there is a card."""
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(SystemExit):
        command.parse_args([])
    assert 'PyTorch sees no GPU here' in capsys.readouterr().err
    dry = command.parse_args(['--dry']).out
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert dry.name == 'dry.json' and command.parse_args([]).out == dry.with_name('results.json')
    with pytest.raises(SystemExit):
        command.parse_args(['--kept', 'nowhere.json'])
    assert 'there is no file nowhere.json' in capsys.readouterr().err


def test_what_is_packed_ends_with_all_that_it_is_packed_for():
    text = (ROOT / 'benchmarks' / 'gpu' / 'pack.sh').read_text()
    head, hint = text.partition('set -euo pipefail')[0], text.partition("<< 'END'")[2]
    assert {*re.findall(r'`make ([a-z-]+)`', head)} == {*re.findall(r'make ([a-z-]+) ', hint)} == {'gpu', 'gpu-camvid'}


@pytest.mark.slow
def test_a_dry_run_goes_through_all_parts(tmp_path):
    out = tmp_path / 'results.json'
    words = ['make', 'gpu', f'GPU_ARGS=--dry --out {out}']
    run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    records = json.loads(out.read_text())['measurements']
    assert [*records] == [each.name for each in PLAN]
    failed = {name: record['error'] for name, record in records.items() if record['status'] not in ('done', 'skipped')}
    assert not failed, failed
    assert 'R50 + DeepLabV3+, LARS: backward' in run.stdout and '== Left\nnothing' in run.stdout
    assert 'nothing is concluded or judged' in run.stdout and 'LARS without waiting, against LARS' in run.stdout
