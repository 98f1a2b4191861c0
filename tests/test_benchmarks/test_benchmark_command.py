"""``python -m benchmarks`` from the command line to table and JSON, and what it measures with."""

import json
import time
from pathlib import Path

import pytest
import torch

from benchmarks import __main__ as command
from benchmarks.harness import (
    Row,
    Settings,
    Times,
    at_least,
    at_most,
    count_operators,
    interleave,
    peak_extra_bytes,
    python_profile_text,
    require_close,
    write_seconds,
)
from benchmarks.lines import LINES
from benchmarks.lines.region_means import growth


@pytest.fixture(autouse=True)
def same_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_sides_take_turns():
    calls = []
    times = interleave(dict(a=lambda: calls.append('a'), b=lambda: calls.append('b')), 3)
    assert calls == ['a', 'b'] * 4
    assert {side: len(values) for side, values in times.seconds.items()} == dict(a=3, b=3)


def test_ratios_are_taken_round_by_round():
    times = Times(dict(a=[1.0, 20.0, 4.0], b=[1.0, 10.0, 1.0]), {})
    assert times.ratio('a', 'b') == 2
    assert times.rests('a', 'b') == [0, 10, 3]
    assert (times.median('a'), times.median('b')) == (4, 1)


def test_time_is_elapsed_time_where_that_is_asked_for():
    times = interleave(dict(sleep=lambda: time.sleep(0.05)), 1, warm=False, elapsed=True)
    assert times.median('sleep') >= 0.05
    assert times.cpu_seconds['sleep'][0] < 0.04


@pytest.mark.parametrize('threads', [1, 2])
def test_on_one_thread_the_processors_time_counts(threads):
    torch.set_num_threads(threads)
    times = interleave(dict(sleep=lambda: time.sleep(0.05), spin=lambda: sum(range(10_000))), 1, warm=False)
    assert times.details()['counted'] == ('cpu_seconds' if threads == 1 else 'seconds')
    assert (times.median('sleep') < 0.04) == (threads == 1)
    assert times.ratio('sleep', 'spin') == getattr(times, times.counted)['sleep'][0] / times.median('spin')


def test_peak_memory_is_that_of_the_tensors_alive_at_once():
    def work():
        for _ in range(3):
            a = torch.ones(1 << 18)
            b = a + 1  # two of 1 MiB alive
            del a, b

    assert peak_extra_bytes(work) == pytest.approx(2 << 20, rel=0.001)  # and a few bytes of scalars
    before = torch.ones(1 << 20)
    assert peak_extra_bytes(lambda: before.square()) == pytest.approx(4 << 20, rel=0.001)


def test_operators_are_counted():
    x = torch.ones(3)
    assert count_operators(lambda: [x.add(1) for _ in range(7)]) == 7 * count_operators(lambda: x.add(1)) > 0


def test_a_target_is_met_or_missed():
    assert Row('a', '', ratio=9.9, target=at_least(10)).verdict(False) == 'MISSED'
    assert Row('a', '', ratio=10.1, target=at_least(10)).verdict(False) == 'met'
    assert Row('a', '', ratio=1.2, target=at_most(1.1)).verdict(False) == 'MISSED'
    assert Row('a', '', ratio=1.2, target=at_most(1.1)).verdict(True) == 'not judged'
    assert Row('a', '', ratio=1.2).verdict(False) == ''
    assert Row('a', '', target=at_most(1)).verdict(False) == 'not judged'
    assert str(at_least(10)) == '>= 10 x' and str(at_most(1.1, '')) == '<= 1.1'


def test_growth_that_is_lost_in_the_noise_is_not_judged():
    still = [0.1, 0.1, 0.09, 0.11, 0.1]
    row = growth({32: still, 128: [-0.2], 1024: [1.6 * value for value in still]}, lambda: '')
    assert row.ratio == pytest.approx(1.6) and row.verdict(False) == 'MISSED'
    for noise in ([-0.01] * 5, [0.0, 0.02, 0.1, 0.14, 0.2], [-0.1, 0.3, 0.1, 0.05, 0.2]):
        row = growth({32: still, 1024: noise}, lambda: '')
        assert row.ratio is None and row.verdict(False) == 'not judged' and 'lost in the noise at D=1024' in row.note
    assert growth({32: [0.1], 1024: [0.12]}, lambda: '').verdict(False) == 'met'


def test_sides_of_another_shape_are_not_close():
    with pytest.raises(AssertionError, match=r'means: shapes \(3,\) and \(3, 1\) differ'):
        require_close(torch.ones(3), torch.ones(3, 1), 'means')
    with pytest.raises(AssertionError, match='means: the two sides differ by 1, and the largest value is 1'):
        require_close(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 1.0]), 'means')
    with pytest.raises(AssertionError, match='differ by nan'):
        require_close(torch.tensor([torch.nan]), torch.tensor([1.0]), 'means')


@pytest.mark.parametrize(
    ('seconds', 'text'), [(12.34, '12.3 s'), (0.0123, '12.3 ms'), (2e-5, '20 us'), (1234, '1234 s')]
)
def test_durations_are_written_with_their_unit(seconds, text):
    assert write_seconds(seconds) == text


def test_a_missed_line_is_said_to_be_missed_with_its_profile(monkeypatch, tmp_path, capsys):
    def missing(settings):
        yield Row('a', 'slow thing', '1 s', '2 s', 0.5, at_least(1), profile=lambda: python_profile_text(sorted_list))
        yield Row('a', 'fine thing', '2 s', '1 s', 2.0, at_least(1), profile=lambda: 'unwanted')

    def sorted_list():
        return sorted(range(100))

    monkeypatch.setitem(LINES, 'a', missing)
    command.main(['--lines', 'a', '--out', str(tmp_path / 'sub' / 'results.json')])
    printed = capsys.readouterr().out
    assert 'MISSED a: slow thing' in printed and 'sorted_list' in printed and 'unwanted' not in printed
    first, second = json.loads((tmp_path / 'sub' / 'results.json').read_text())['rows']
    assert (first['verdict'], second['verdict']) == ('MISSED', 'met')
    assert 'sorted_list' in first['profile'] and 'profile' not in second


def test_unknown_lines_are_refused(capsys):
    with pytest.raises(SystemExit):
        command.parse_args(['--lines', 'a,x'])
    assert "no line 'x'; there are a, b, c, d, e, f, g, h" in capsys.readouterr().err
    assert command.parse_args(['--lines', 'a,d']).lines == ['a', 'd']
    assert Settings(quick=True).pick('full', 'quick') == 'quick'


def test_a_quick_run_does_not_write_over_measured_numbers():
    whole, quick = (command.parse_args(words).out for words in ([], ['--quick']))
    assert (whole.name, quick) == ('results.json', whole.with_name('quick.json'))
    assert all(command.parse_args([*words, '--out', 'x.json']).out == Path('x.json') for words in ([], ['--quick']))


@pytest.mark.slow
def test_all_lines_run_quickly(tmp_path, capsys):
    out = tmp_path / 'results.json'
    command.main(['--quick', '--repeats', '1', '--out', str(out)])
    results = json.loads(out.read_text())
    assert {row['line'] for row in results['rows']} == set('abcdefghij')
    assert results['versions']['torch'] == torch.__version__ and results['quick'] and results['threads'] == 1
    judged = {row['line'] for row in results['rows'] if row['verdict'] == 'not judged'}
    assert judged >= set('acdfgh')
    timed = [row['details'] for row in results['rows'] if 'seconds' in row['details']]
    assert all(min(details['median_seconds'].values()) > 0 for details in timed)
    captured = capsys.readouterr()
    assert '>= 50 x' in captured.out and 'g: loss over concepts' in captured.err
