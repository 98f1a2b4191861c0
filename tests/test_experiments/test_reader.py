"""A file of experiments: what is refused and why, what is checked of its configs, and what the list shows."""

from pathlib import Path

import pytest
from paper_example import CONFIGS, PAPER, write_example
from small_benchmark import YAML, write_benchmark

from mmvice.experiments.checks import check
from mmvice.experiments.listing import listing
from mmvice.experiments.plan import Planner
from mmvice.experiments.reader import read_experiments
from mmvice.experiments.tables import Needs, select

FILTERS = 'model.decode_head.num_filters'
AGAIN = '{name: again, results: [{probe: vice2/random, metrics: [mIoU]}]}\n'
CAMVID = Path(__file__).parents[2] / 'configs' / 'experiments' / 'camvid.yml'


def problems(experiments, **kwargs):
    return check(Planner.of(experiments, **kwargs), select(experiments, []))


def test_a_row_knows_where_its_columns_come_from(tmp_path):
    tables = write_example(tmp_path).tables
    row = tables['table-3'].rows[1]
    assert row.source_of('ViCE').columns == {'ViCE': ['mIoU']}
    assert [source.pretraining and source.pretraining.config for source in row.sources] == ['vice/pre', None]
    assert tables['table-3'].columns == ['Forward', 'ViCE', 'Supervised'], 'in the order of the rows'
    assert tables['table-1'].rows[0].sources == [] and tables['table-1'].rows[0].paper == {'mIoU': 13.84, 'aAcc': None}


def test_what_each_row_has_is_said_once(tmp_path):
    rows = {row.name: row for row in read_experiments(write_benchmark(tmp_path)).tables['bench'].rows}
    assert rows['grid'].pretraining.run == 'grid' and rows['regions-backbone'].pretraining.run == 'regions'
    assert list(rows['grid'].source_of('linear-3').columns) == ['linear-3'] and rows['grid'].baseline == 'random'
    assert rows['regions-backbone'].sources[0].options['model.decoder.type'] == 'HypercolumnDecoder'
    assert rows['random'].pretraining is None and rows['random'].sources[0].run == 'random'
    assert read_experiments(CAMVID).sizes['gpu'].needs == Needs(cores=5, gpu_gib=8, gpu_minutes=2.8)


@pytest.mark.parametrize('also', ['', ', group: others', ', title: another', ', x: 3', ', baseline: random'])
def test_a_quoted_row_has_nothing_of_each_but_the_group(tmp_path, also):
    file = write_benchmark(tmp_path)
    quoted = f'{{name: quoted, paper: {{linear-8: 9}}{also}}}'
    file.write_text(YAML.replace('    rows:\n', f'    rows:\n    - {quoted}\n', 1))
    experiments = read_experiments(file)
    [table] = experiments.tables.values()
    assert table.rows[0].pretraining is None and table.rows[0].sources == []
    for names in (dict(), dict(probes=[]), dict(rows=['quoted'])):
        assert not any(job.run == 'quoted' for job in Planner.of(experiments, **names).jobs([table]))


def test_the_examples_have_no_problems(tmp_path):
    """Although probe and pretraining differ in initial weights and D, which the command settles."""
    assert problems(write_example(tmp_path)) == []
    benchmark = read_experiments(write_benchmark(tmp_path / 'benchmark'))
    assert problems(benchmark) == []
    assert problems(benchmark, split='tune', variant='v') == [], 'of a variant no checkpoints on the way are kept'


@pytest.mark.parametrize(
    'old, new, message',
    [
        ('    title: Changes\n', '', 'table-2: title is missing'),
        ('{probe: probe/linear, options', '{prob: probe/linear, options', "result 0: unknown key 'prob'; kn"),
        ('probe/random', 'probe/rnd', 'configs that do not exist: .*probe/rnd.py'),
        ('pretrain: vice/pre, baseline', 'pretrain: vice/none, baseline', 'do not exist: .*vice/none.py'),
        ('columns: [mIoU, aAcc, Time]', 'columns: [mIoU, aAcc]', "row 'ViCE .L.': there is no column Time; there are"),
        ('name: changed', 'name: baseline', "two rows are called 'baseline'"),
        (' baseline: baseline,', '', "'Δ mIoU' and a baseline go together"),
        (' baseline: baseline,', ' baseline: nothing,', 'there is no row nothing; there are baseline, changed'),
        (
            '{name: baseline,',
            '{name: baseline, results: [{probe: probe/linear}],',
            "'baseline' has no result for 'mIoU'",
        ),
        ('source: pretraining', 'source: time', 'source must be pretraining or a file'),
        ('{mIoU: 7.5}', '{mIoU: [7.5]}', 'mIoU must be a number or a text or null, got .7.5.'),
        ('{mIoU: 7.5}', '{mIoU: 7.5, mIoU: 8.5}', "not valid YAML.*'mIoU' is given twice"),
        ('convert.py {run}', 'convert.py {rnu}', '{rnu} means nothing here; known: config, probe_config, probe_run, r'),
        ('convert.py {run}', 'convert.py {run', 'is no template'),
        ('convert.py {run}', 'convert.py "{run}', 'is no shell command: No closing quotation'),
        ('xscale: log', 'xscale: cubic', 'there is no xscale cubic; there are linear, log'),
        ('      x: 20\n', '', "row 'grid 20' needs x"),
        ('x: 20', 'x: yes', 'x must be a number, got True'),
        ('x: epoch', 'x: hour', "x of curves is 'epoch' or 'step', got 'hour'"),
        ('        metrics: [Forward]\n', '', 'result 0: names no column'),
        ('metrics: {Time: train_time}', 'metrics: {mIoU: train_time}', "two results give 'mIoU'"),
        ('metrics: {Time: train_time}', 'metrics: {Time: 3}', 'must be texts, got 3'),
        ('tables:', 'table:', "unknown key 'table'; known: configs, work_dirs"),
        ('rows: [random, regions]', 'rows: [random, region]', 'pictures 0, rows: there is no row region; there are'),
        ('seeds: 2, curve: 2', 'curve: 0', 'curve must be true or at least 1, got 0'),
        ('seeds: 2, curve: 2', 'seeds: three', "seeds must be a number, got 'three'"),
        ('seeds: 2, curve: 2', 'seeds: -1', 'seeds must be at least 1, got -1'),
        ('seeds: 2, curve: 2', 'step: -1', 'step must be at least 0'),
        ('labelled: true', 'labelled: "no"', "labelled must be true or false, got 'no'"),
        ('embedder: decoder', 'embedder: encoder', 'there is no embedder encoder; there are decoder, hypercolumns'),
        ('[[regions, grid]]', '[[regions, pixels]]', 'differences: there is no row pixels'),
        ('[[regions, grid]]', '[[regions, grid, random]]', 'differences are pairs of rows'),
        ('classes: linear-8', 'classes: linear-9', 'classes: there is no column linear-9'),
        ('lines: [random', 'lines: [rnd', 'plot, lines: there is no row rnd'),
        (
            '{probe: linear, options: {model.decode_head.num_filters: 3}}',
            '{options: {}}',
            'probe linear-3: probe is mis',
        ),
        ('device: cuda', 'device: tpu', 'there is no device tpu; there are cpu, cuda'),
        ('amp: true', 'needs: {cores: 0}', 'size gpu, needs: cores must be more than 0, got 0'),
        ('amp: true', 'needs: {cores: 5, gpu_gib: -1.5}', 'needs: gpu_gib must be more than 0, got -1.5'),
        ('amp: true', 'needs: {memory: 3}', "needs: unknown key 'memory'; known: cores, gpu_gib, gpu_minutes"),
        ('amp: true', 'needs: {gpu_minutes: .nan}', 'needs: gpu_minutes must be more than 0, got nan'),
        ('amp: true', 'needs: {cores: many}', "needs: cores must be a number, got 'many'"),
        ('amp: true', 'needs: 5', 'size gpu: needs must be a mapping, got 5'),
        # figures of a paper, beside what says how a row is trained
        ('title: on regions,', 'paper: {linear-8: 9},', '.regions.: a row that only quotes .* leave seeds out'),
        (
            'seeds: 2, curve: 2',
            'paper: {linear-8: 9}, curve: 2',
            'is not trained: leave curve out, or say pretrain, op',
        ),
        ('seeds: 2, curve: 2', 'paper: {linear-8: 9}, step: 0', 'is not trained: leave step out'),
        ('seeds: 2, curve: 2', 'paper: {linear-8: 9}, labelled: true', 'is not trained: leave labelled out'),
        ('seeds: 2, curve: 2', 'paper: {linear-8: 9}, run: grid', 'is not trained: leave run out'),
        ('seeds: 2, curve: 2', 'paper: {linear-8: 9}, embedder: decoder', 'is not trained: leave embedder out'),
        (
            'seeds: 2, curve: 2',
            'paper: {linear-8: 9}, results: []',
            'results is of a training, and this row has no res',
        ),
        ('seeds: 2, curve: 2', 'paper: {}', '.regions.: paper must give a figure, got {}'),
        (
            'name: PiCIE,',
            'name: PiCIE, pretrain: vice/pre,',
            '.PiCIE.: pretrain is of a training, and this row has no',
        ),
        (
            'name: PiCIE,',
            'name: PiCIE, seeds: 3,',
            '.PiCIE.: a row that only quotes a paper is not trained: leave se',
        ),
        ('each: {pretrain: vice/pre}', 'each: {paper: {ViCE: 3}}', "table-3, each: unknown key 'paper'"),
    ],
)
def test_mistakes_are_named(tmp_path, old, new, message):
    of_paper = old in PAPER
    text = (PAPER if of_paper else YAML).replace(old, new, 1)
    assert text not in (PAPER, YAML)
    with pytest.raises(ValueError, match=f'(?s){message}'):
        if of_paper:
            write_example(tmp_path, text)
        else:
            file = write_benchmark(tmp_path)
            file.write_text(text)
            read_experiments(file)


@pytest.mark.parametrize(
    'place, old, new, problem',
    [
        ('probe/linear', 'depth=18', 'depth=50', "row 'ViCE (L)': model.backbone.depth is 18 in vice/pre and 50 in"),
        ('probe/cluster', '[64, 128]', '[64]', 'model.decoder.in_channels.1 is 128 in vice/small and unset in probe/c'),
        ('probe/random', 'None', "'some.pth'", 'probe/random reads an embedder, and the row has no pretrain'),
        ('vice/pre', 'interval=100', 'max_keep_ckpts=2', 'keeps its last 2 checkpoints, and a curve needs all'),
        ('vice/pre', 'max_epochs=4', 'max_iters=4', 'has no train_cfg.max_epochs to count epochs by'),
        ('vice/pre', '_size=128', '_size=130', 'base_batch_size=130 is no multiple of batch_size=4'),
        ('file', f'{{{FILTERS}: 45}}', '{modle.head: 45}', 'linear.py has no modle to be changed'),
        ('file', f'{{{FILTERS}: 45}}', '{modle: 45}', "probe/linear has no 'modle' that the option"),
        ('file', f'{{{FILTERS}: 45}}', '{model.lr: 1e-3}', "'1e-3' cannot be given on a command line"),
        ('file', ", custom_hooks.0.checkpoint: '{run}/mmseg.pth'", '', 'the pretraining would go unused'),
        ('file', '{name: random, ', f'{AGAIN}    - {{name: random, ', 'shares the folder'),
    ],
)
def test_rows_that_cannot_work_are_reported(tmp_path, monkeypatch, place, old, new, problem):
    texts = {**CONFIGS, 'file': PAPER, 'vice2/random': CONFIGS['probe/random']}
    assert old in texts[place]
    texts[place] = texts[place].replace(old, new)
    paper = texts.pop('file')
    monkeypatch.setattr('paper_example.CONFIGS', texts)
    found = problems(write_example(tmp_path, paper))
    assert any(problem in each for each in found), found


def test_tables_are_chosen_by_name_or_number(tmp_path):
    experiments = write_example(tmp_path)
    assert [table.key for table in select(experiments, ['2', 'Figure-4', 'table-2'])] == ['table-2', 'figure-4']
    assert [table.key for table in select(experiments, ['all'])] == list(experiments.tables)
    with pytest.raises(ValueError, match='there is no table table-9; there are table-1, table-2, .*figure-7, or all'):
        select(experiments, ['table-9'])


def test_the_list_has_configs_and_figures_of_every_row(tmp_path):
    text = listing(select(write_example(tmp_path), ['1', '3', 'figure-5']))
    assert text.splitlines()[:8] == [
        '## table-1: Low resolution',
        '',
        '### COCO',
        '',
        '- **PiCIE**: mIoU 13.84, aAcc – (quoted)',
        '- **ViCE (L)**: mIoU 24.09, aAcc 62.26, Time 5h 31min',
        '  - mIoU, aAcc: `probe/linear` with `model.decode_head.num_filters=45` of `vice/pre`',
        '  - Time: pretraining of `vice/pre`',
    ]
    assert '  - Forward: `benchmark_train.json` of `vice/pre`' in text
    assert '  - `python look.py {probe_config} {probe_run} images --output-dir {run}/figure-5`' in text
