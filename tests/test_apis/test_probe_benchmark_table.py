"""The table of a benchmark from results made by hand: means, spread over seeds, and nothing where nothing was run."""

import json
from dataclasses import replace

import pytest
from small_benchmark import result, write_benchmark

from mmvice.apis.probe_benchmark import (
    Results,
    export_results,
    read_benchmark,
    read_results,
    read_step_times,
    table,
    tried_table,
    write_step_times,
)
from mmvice.apis.probe_benchmark.pictures import draw_curve
from mmvice.apis.probe_benchmark.table import _cell, best_rows, comparisons, curve_points, main_table

RESULTS = [
    result('random', 'linear-8', 0, 10.0),
    result('random', 'linear-8', 1, 12.0),
    result('grid', seed=0, processor_seconds=600.0),
    result('grid', 'linear-8', 0, 15.0),
    result('grid', 'linear-8', 1, 19.0),
    result('regions', seed=0),
    result('regions', 'linear-8', 0, 16.0, acc=70.0),
    result('regions', 'linear-8', 1, 22.0, acc=72.0),
    result('regions', 'linear-8', 0, 13.0, step=2),
    result('regions', 'linear-8', 0, 14.0, embedder='hypercolumns'),
    result('supervised', 'linear-8', 0, 40.0),
    result('supervised', split='table', miou=50.0, acc=88.0),
    result('regions', 'linear-3', 0, 99.0, variant='v', variant_options={'a.b': 1}),
    result('regions', 'linear-3', 0, 98.0, split='tune'),
    result('regions', 'linear-3', 0, 97.0, size='gpu'),
]


@pytest.fixture
def benchmark(tmp_path):
    return read_benchmark(write_benchmark(tmp_path / 'benchmark'))


@pytest.fixture
def results():
    return Results(RESULTS, 'cpu', 'table')


def cells(markdown):
    lines = [[cell.strip() for cell in line.strip('|').split('|')] for line in markdown.splitlines()]
    header, rows = lines[0], lines[2:]
    return {row[0]: dict(zip(header[1:], row[1:])) for row in rows}


def test_mean_and_spread_over_seeds_the_ratio_to_random_and_the_time(benchmark, results):
    rows = cells(main_table(benchmark, results))
    assert list(rows) == [row.title for row in benchmark.rows.values()]
    assert rows['on regions'] == {
        'linear-3': '',
        'linear-8': '19.00 ± 4.24 over 1 of 2 classes / 71.00 ± 1.41 (2)',
        '× random, linear-3': '',
        '× random, linear-8': '1.73',
        'end to end': '',
        'pretraining': '20min',
        'step': '',
    }
    assert rows['nothing learned']['linear-8'] == '11.00 ± 1.41 over 1 of 2 classes / 60.00 ± 0.00 (2)'
    assert rows['nothing learned']['× random, linear-8'] == '1.00' and rows['nothing learned']['pretraining'] == ''
    assert rows['on a grid']['pretraining'] == '10min'
    assert rows['on regions backbone']['linear-8'] == '14.00 over 1 of 2 classes / 60.00'
    assert rows['on regions backbone']['× random, linear-8'] == '', 'its baseline has not been run'
    assert rows['with labels']['linear-8'] == '40.00 over 1 of 2 classes / 60.00'
    assert rows['with labels']['end to end'] == '50.00 over 1 of 2 classes / 88.00'


def test_what_has_not_been_run_is_empty(benchmark):
    rows = cells(main_table(benchmark, Results([], 'cpu', 'table')))
    assert set(rows) == {row.title for row in benchmark.rows.values()}
    assert {cell for row in rows.values() for cell in row.values()} == {''}
    assert table(benchmark, Results([], 'cpu', 'table')).count('|') > 10


def test_differences_are_taken_seed_by_seed(benchmark, results):
    assert cells(comparisons(benchmark, results)) == {
        'on regions − on a grid': {'linear-3': '', 'linear-8': '+2.00 ± 1.41 (2)'}
    }
    fewer = Results([r for r in RESULTS if (r['run'], r['seed']) != ('grid', 1)], 'cpu', 'table')
    assert cells(comparisons(benchmark, fewer))['on regions − on a grid']['linear-8'] == '+1.00'


def test_the_best_row_of_each_embedder_with_its_classes_beside_what_bounds_it(benchmark, results):
    assert [row.name for row in best_rows(benchmark, results)] == ['regions']
    text = table(benchmark, results)
    rows = cells(text[text.index('| IoU, linear-8') :].strip())
    assert rows['road'] == {
        'nothing learned': '41.00 ± 1.41 (2)',
        'on regions': '49.00 ± 4.24 (2)',
        'with labels': '70.00',
    }
    assert set(rows['sign'].values()) == {''}, 'a class that never occurs has no IoU'
    backbone = replace(benchmark.rows['regions-backbone'], seeds=2)  # not better or worse than rows of a decoder
    both = replace(benchmark, rows={**benchmark.rows, 'regions-backbone': backbone})
    assert [row.name for row in best_rows(both, results)] == ['regions', 'regions-backbone']


def test_the_curve_begins_with_random_weights_and_ends_with_the_last_checkpoint(benchmark, results, tmp_path):
    assert curve_points(benchmark, results, benchmark.rows['regions']) == {0: 10.0, 2: 13.0, 4: 16.0}
    assert curve_points(benchmark, results, benchmark.rows['grid']) == {0: 10.0, 4: 15.0}
    assert draw_curve(benchmark, results, tmp_path / 'out' / 'curve.png')
    assert (tmp_path / 'out' / 'curve.png').stat().st_size > 5000
    assert not draw_curve(benchmark, Results([], 'cpu', 'table'), tmp_path / 'none.png')
    assert not (tmp_path / 'none.png').exists()


def test_what_was_tried_is_listed_with_its_settings(benchmark):
    rows = tried_table(benchmark, Results(RESULTS, 'cpu', 'table')).splitlines()
    found = [row for row in rows if '| v ' in row]
    assert len(found) == 1
    assert tried_table(benchmark, Results(RESULTS, 'cpu', 'tune')).count('98.00') == 1
    pretraining = result('regions', variant='v', variant_options={'a.b': 1})
    listed = tried_table(benchmark, Results([*RESULTS, pretraining], 'cpu', 'table'))
    assert '`a.b=1`' in listed and '99.00 over 1 of 2 classes / 60.00' in listed
    alone = tried_table(benchmark, Results([pretraining], 'cpu', 'table'))
    assert '| regions ' in alone and 'backbone' not in alone, 'a row of the same pretraining, which was not probed'


def test_sizes_and_splits_are_kept_apart(benchmark):
    assert '97.00' in table(benchmark, Results(RESULTS, 'gpu', 'table'))
    assert '97.00' not in table(benchmark, Results(RESULTS, 'cpu', 'table'))


def test_results_of_several_revisions_can_be_told(benchmark):
    mixed = [result('grid', git_revision='a' * 40), result('regions', git_revision='b' * 40, device='cpu')]
    text = table(benchmark, Results(mixed, 'cpu', 'table'))
    assert text.endswith('From 2 trainings: revision aaaaaaaaaa, bbbbbbbbbb; cpu.\n')


def test_one_training_cannot_count_twice(benchmark):
    with pytest.raises(ValueError, match='two results are of grid, decoder, linear-8, seed 0'):
        table(benchmark, Results([*RESULTS, result('grid', 'linear-8', 0, 15.5)], 'cpu', 'table'))


def test_results_alone_give_the_same_table(benchmark, results, tmp_path):
    files = export_results(RESULTS, tmp_path / 'kept')
    assert len(set(files)) == len(RESULTS)
    assert 'cpu_regions_seed-0_table_decoder_linear-8_iter-2.result.json' in {file.name for file in files}
    again = Results(read_results(tmp_path / 'kept'), 'cpu', 'table')
    assert table(benchmark, again) == table(benchmark, results)


def test_other_files_are_not_taken_for_results(tmp_path):
    (tmp_path / 'result.json').write_text('{"mIoU": 99}')
    with pytest.raises(ValueError, match='is not the result of a training: it has no embedder|it has no fingerprint'):
        read_results(tmp_path)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(classes=None), 'classes must be dict, got None'),
        (dict(versions=None), 'versions must be dict, got None'),
        (dict(probe=['a']), r"probe must be str \| None, got \['a'\]"),
        (dict(seed=True), 'seed must be int, got True'),
        (dict(step='2'), r"step must be int \| None, got '2'"),
        (dict(mIoU=200), 'mIoU of a probe must be a number of percent, got 200'),
    ],
)
def test_results_with_values_that_cannot_be_are_refused(changes, message, tmp_path):
    (tmp_path / 'result.json').write_text(json.dumps(result('grid', 'linear-8', 0, 15.0) | changes))
    with pytest.raises(ValueError, match=f'result.json: {message}'):
        read_results(tmp_path)


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / 'result.json').write_bytes(b'\xff\xfe')
    with pytest.raises(ValueError, match='result.json is no JSON file: .*; remove it'):
        read_results(tmp_path)


def test_step_times_are_shown_with_the_rows_of_their_pretraining(benchmark, tmp_path):
    times = dict(size='cpu', runs=dict(regions=dict(step_ms=510.4, data_ms=20.2, images=8)))
    write_step_times(times, tmp_path)
    assert read_step_times(tmp_path, 'gpu') is None
    rows = cells(main_table(benchmark, Results(RESULTS, 'cpu', 'table', read_step_times(tmp_path, 'cpu'))))
    steps = {title: row['step'] for title, row in rows.items() if row['step']}
    assert steps == {'on regions': '510 + 20 ms', 'on regions backbone': '510 + 20 ms'}
    (tmp_path / 'cpu_step_times.json').write_text('{')
    with pytest.raises(ValueError, match='cpu_step_times.json is no JSON file: .*; measure the steps again'):
        read_step_times(tmp_path, 'cpu')


def test_a_mean_that_leaves_classes_out_says_over_how_many_it_is():
    found = result('random', 'linear-8', 0, 100.0)
    found['classes'] = dict(background=dict(IoU=100.0, Acc=100.0), foreground=dict(IoU=None, Acc=None))
    assert _cell([found]).startswith('100.00 over 1 of 2 classes / ')
    found['classes']['foreground'] = dict(IoU=0.0, Acc=0.0)
    assert _cell([found]).startswith('100.00 / ')
