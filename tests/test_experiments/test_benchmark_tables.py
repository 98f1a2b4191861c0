"""The table of a benchmark from results made by hand: means, spread over seeds, and nothing where nothing was run."""

import json
from dataclasses import replace

import pytest
from small_benchmark import result

from mmvice.experiments.chart import draw_chart
from mmvice.experiments.collect import best_rows, collect, tried
from mmvice.experiments.measure import curve
from mmvice.experiments.pictures import draw_pictures
from mmvice.experiments.plan import Planner
from mmvice.experiments.results import Results, read_kept
from mmvice.experiments.step_times import read_step_times
from mmvice.experiments.tables import select

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
def planner(benchmark, tmp_path):
    return Planner.of(benchmark, work_dirs=tmp_path / 'runs')


@pytest.fixture
def table(benchmark):
    return benchmark.tables['bench']


def some_results(found=RESULTS, **kwargs):
    """Results of any settings, so that they need no trainings."""
    return Results(found, of_settings=False, **kwargs)


def cells(markdown):
    lines = [[cell.strip() for cell in line.strip('|').split('|')] for line in markdown.splitlines()]
    header, rows = lines[0], lines[2:]
    return {row[0]: dict(zip(header[1:], row[1:])) for row in rows}


def tables_of(text):
    """The Markdown tables of a text."""
    parts = [part for part in text.split('\n\n') if part.startswith('|')]
    return [cells(part) for part in parts]


def test_mean_and_spread_over_seeds_the_ratio_to_random_and_the_time(planner, table):
    rows, *_ = tables_of(collect(planner, some_results(), [table]))
    assert list(rows) == [row.title for row in table.rows]
    assert rows['on regions'] == {
        'linear-3': '',
        'linear-8': '19.00 ± 4.24 over 1 of 2 classes / 71.00 ± 1.41 (2)',
        '× linear-3': '',
        '× linear-8': '1.73',
        'end to end': '',
        'pretraining': '20min',
        'step': '',
    }
    assert rows['nothing learned']['linear-8'] == '11.00 ± 1.41 over 1 of 2 classes / 60.00 ± 0.00 (2)'
    assert rows['nothing learned']['× linear-8'] == '1.00' and rows['nothing learned']['pretraining'] == ''
    assert rows['on a grid']['pretraining'] == '10min'
    assert rows['on regions backbone']['linear-8'] == '14.00 over 1 of 2 classes / 60.00'
    assert rows['on regions backbone']['× linear-8'] == '', 'its baseline has not been run'
    assert rows['with labels']['linear-8'] == '40.00 over 1 of 2 classes / 60.00'
    assert rows['with labels']['end to end'] == '50.00 over 1 of 2 classes / 88.00'


def test_what_has_not_been_run_is_empty(planner, table):
    [rows] = tables_of(collect(planner, Results(), [table]))
    assert set(rows) == {row.title for row in table.rows}
    assert {cell for row in rows.values() for cell in row.values()} == {''}


def test_differences_are_taken_seed_by_seed(planner, table):
    _, rows, *_ = tables_of(collect(planner, some_results(), [table]))
    assert rows == {'on regions − on a grid': {'linear-3': '', 'linear-8': '+2.00 ± 1.41 over 1 of 2 classes (2)'}}
    fewer = some_results([r for r in RESULTS if (r['run'], r['seed']) != ('grid', 1)])
    _, rows, *_ = tables_of(collect(planner, fewer, [table]))
    assert rows['on regions − on a grid']['linear-8'] == '+1.00 over 1 of 2 classes (1 of 2)'


def test_the_best_row_of_each_baseline_with_its_classes_beside_what_bounds_it(planner, table):
    results = some_results()
    assert [row.name for row in best_rows(planner, results, table, 'linear-8')] == ['regions']
    *_, rows = tables_of(collect(planner, results, [table]))
    assert rows['road'] == {
        'nothing learned': '41.00 ± 1.41 (2)',
        'on regions': '49.00 ± 4.24 (2)',
        'with labels': '70.00',
    }
    assert set(rows['sign'].values()) == {''}, 'a class that never occurs has no IoU'
    both = replace(table, rows=[replace(row, seeds=2) for row in table.rows])
    # rows of a decoder are not better or worse than those of a backbone
    assert [row.name for row in best_rows(planner, results, both, 'linear-8')] == ['regions', 'regions-backbone']


def test_the_curve_begins_with_random_weights_and_ends_with_the_last_checkpoint(planner, table, tmp_path):
    results = some_results()
    assert curve(planner, results, table, table.row('regions')) == {0: [10.0], 2: [13.0], 4: [16.0]}
    assert curve(planner, results, table, table.row('grid')) == {}
    assert '| on regions, linear-8 | 0     | 2     | 4     |' in collect(planner, results, [table])
    assert draw_chart(planner, results, table, tmp_path / 'out' / 'curve.png')
    assert (tmp_path / 'out' / 'curve.png').stat().st_size > 5000
    assert not draw_chart(planner, Results(), table, tmp_path / 'none.png')
    assert not (tmp_path / 'none.png').exists()


def test_what_was_tried_is_listed_with_its_settings(benchmark, planner, table):
    def rows(found, split):
        text = tried(Planner.of(benchmark, split=split, work_dirs=planner.work_dirs), some_results(found), [table])
        return [[cell.strip() for cell in line.split('|')[1:]] for line in text.splitlines() if line[:1] == '|']

    header, _, *found = rows(RESULTS, 'table')
    assert 'step' not in header and [row[0] for row in found if row[1] == 'v'] == ['regions']
    assert sum('98.00' in ' '.join(row) for row in rows(RESULTS, 'tune')) == 1
    pretraining = result('regions', variant='v', variant_options={'a.b': 1})
    [row] = [row for row in rows([*RESULTS, pretraining], 'table') if row[1] == 'v']
    assert row[2] == '`a.b=1`' and row[3] == '99.00 over 1 of 2 classes / 60.00'
    alone = rows([pretraining], 'table')
    assert [row[0] for row in alone[2:]] == ['regions'], 'a row of the same pretraining, which was not probed'


def test_sizes_and_splits_are_kept_apart(benchmark, planner, table):
    of_gpu = Planner.of(benchmark, 'gpu', work_dirs=planner.work_dirs)
    assert '97.00' in collect(of_gpu, some_results(), [table])
    assert '97.00' not in collect(planner, some_results(), [table])


def test_results_of_several_revisions_can_be_told(planner, table):
    mixed = [result('grid', git_revision='a' * 40), result('regions', git_revision='b' * 40, device='cpu')]
    text = collect(planner, some_results(mixed), [table])
    assert text.endswith('From 2 trainings: revision aaaaaaaaaa, bbbbbbbbbb; cpu.\n')


def test_one_training_cannot_count_twice():
    with pytest.raises(ValueError, match='two are of cpu table grid None 0 linear-8 decoder None: take one away'):
        some_results([*RESULTS, result('grid', 'linear-8', 0, 15.5)])


def test_results_alone_give_the_same_table(planner, table, tmp_path):
    times = dict(size='cpu', runs=dict(regions=dict(step_ms=510.4, data_ms=20.2, images=8)))
    results = some_results(step_times=times)
    text = collect(planner, results, [table])
    results.write(tmp_path / 'kept' / 'cpu.jsonl')
    kept, step_times = read_kept(tmp_path / 'kept' / 'cpu.jsonl')
    assert len(kept) == 12 and collect(planner, some_results(kept, step_times=step_times), [table]) == text


def test_kept_results_of_other_settings_and_of_no_row_are_told(benchmark, planner, table):
    results = Results([*RESULTS, result('vanished', 'linear-8', 0, 15.5)])
    assert '19.00' not in collect(planner, results, [table])
    assert 'regions seed 1: table decoder linear-8' in results.others
    assert results.unasked(planner) == ['cpu table vanished 0 linear-8 decoder']


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(classes=None), 'classes must be a mapping, got None'),
        (dict(versions=None), 'versions must be a mapping, got None'),
        (dict(probe=['a']), r"probe must be a text or null, got \['a'\]"),
        (dict(seed=True), 'seed must be a number, got True'),
        (dict(step='2'), r"step must be a number or null, got '2'"),
        (dict(mIoU=200), 'mIoU must be a number of percent, got 200'),
    ],
)
def test_kept_results_with_values_that_cannot_be_are_refused(changes, message, tmp_path):
    file = tmp_path / 'kept.jsonl'
    lines = [json.dumps(result('grid', 'linear-8', 1, 15.0)), json.dumps(result('grid', 'linear-8', 0, 15.0) | changes)]
    file.write_text('\n'.join(lines))
    with pytest.raises(ValueError, match=f'kept.jsonl, line 2: {message}'):
        read_kept(file)
    for text, wrong in (('{"mIoU": 99}', 'size is missing'), ('{', 'is no JSON'), ('[]', 'must be a mapping')):
        file.write_text(text)
        with pytest.raises(ValueError, match=f'kept.jsonl, line 1.*{wrong}'):
            read_kept(file)


def test_step_times_are_shown_with_the_rows_of_their_pretraining(planner, table, tmp_path):
    assert read_step_times(tmp_path) is None
    file = tmp_path / 'step_times.json'
    file.write_text(json.dumps(dict(runs=dict(regions=dict(step_ms=510.4, data_ms=20.2, images=8)))))
    rows, *_ = tables_of(collect(planner, some_results(step_times=read_step_times(tmp_path)), [table]))
    steps = {title: row['step'] for title, row in rows.items() if row['step']}
    assert steps == {'on regions': '510 + 20 ms', 'on regions backbone': '510 + 20 ms'}
    for text, wrong in (
        ('{', 'is no JSON file: .*; measure the steps again'),
        ('{"runs": {"a": {}}}', 'step_ms is mis'),
    ):
        file.write_text(text)
        with pytest.raises(ValueError, match=f'step_times.json.*{wrong}'):
            read_step_times(tmp_path)


def test_pictures_need_probes_and_show_the_rows_that_are_chosen(benchmark, planner, tmp_path):
    with pytest.raises(FileNotFoundError, match='run random seed 0: table decoder linear-8, or'):
        draw_pictures(planner, Results(), select(benchmark, []))
    chosen = Planner.of(benchmark, work_dirs=tmp_path / 'my runs', rows=['grid'])
    folder = tmp_path / 'my runs/cpu/grid/table_decoder_linear-8'
    folder.mkdir(parents=True)
    (folder / 'iter_4.pth').touch()
    charts, lines = draw_pictures(chosen, some_results(), select(benchmark, []), tmp_path / 'out')
    assert charts == [tmp_path / 'out/bench.png'] and charts[0].is_file()
    assert lines == [
        f"compare.py --model 'on a grid' '{folder}/linear.py' '{folder}' images --output-dir {tmp_path}/out"
    ]
