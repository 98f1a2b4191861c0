"""configs/paper.yml: what is refused and why, and what the list shows."""

import pytest
from paper_example import CONFIGS, PAPER, write_example

from mmvice.apis.paper import check, listing, select


def test_a_row_knows_where_its_columns_come_from(tmp_path):
    paper = write_example(tmp_path)
    row = paper.tables['table-3'].rows[1]
    assert row.paper == {'ViCE': None, 'Supervised': 55.68}
    assert row.result_of('ViCE').metrics == {'ViCE': 'mIoU'}
    assert [result.pretrain for result in row.results] == ['vice/pre', None]
    delta = paper.tables['table-2'].rows[1].result_of('Δ mIoU')
    assert delta.metrics == {'mIoU': 'mIoU', 'Δ mIoU': 'mIoU'}
    assert paper.tables['table-2'].columns == ('mIoU', 'Δ mIoU')  # in the order of the rows


def test_the_example_has_no_problems(tmp_path):
    """Although probe and pretraining differ in initial weights and D, which the command settles."""
    assert check(write_example(tmp_path)) == []


@pytest.mark.parametrize(
    'old, new, message',
    [
        ('  title: Changes\n', '', 'table-2: title is missing'),
        ('probe: probe/linear\n      options', 'prob: probe/linear\n      options', "result 0: unknown key 'prob'; kn"),
        ('table-1:', 'tabel-1:', "named like table-1.*got 'tabel-1'"),
        ('probe/random', 'probe/rnd', 'configs that do not exist: probe/rnd'),
        ('pretrain: vice/pre\n    baseline', 'pretrain: vice/none\n    baseline', 'do not exist: vice/none'),
        ('columns: [mIoU, aAcc, Time]', 'columns: [mIoU, aAcc]', "row 'ViCE .L.': 'Time' is none of the columns"),
        ('name: changed', 'name: baseline', "two rows are called 'baseline'"),
        ('    baseline: baseline\n', '', 'a baseline go together'),
        ('    baseline: baseline\n', '    baseline: nothing\n', "there is no row 'nothing'"),
        ('{mIoU: null}', '{aAcc: null}', "baseline 'baseline' has no result for 'mIoU'"),
        ('source: train_time', 'source: time', 'source must be train_time or a file'),
        ('{mIoU: 7.5}', '{mIoU: [7.5]}', 'mIoU must be a number, a text or null, got .7.5.'),
        ('{mIoU: 7.5}', '{mIoU: 7.5, mIoU: 8.5}', "not valid YAML.*'mIoU' is given twice"),
        ('quoted: true, ', '', "a row's own paper is for quoted rows"),
        ('convert.py {run}', 'convert.py {rnu}', '{rnu} means nothing here; known: config, probe_config, probe_run, r'),
        ('convert.py {run}', 'convert.py {run', 'is no template'),
        ('convert.py {run}', 'convert.py "{run}', 'is no shell command: No closing quotation'),
        ('xscale: log', 'xscale: cubic', "xscale must be one of linear, log, got 'cubic'"),
        ('x: 20, ', '', "row 'grid 20' needs x or curve: true"),
        ('x: 20, ', 'x: yes, ', 'x must be a number, got True'),
        ('x: epoch', 'x: hour', "x of curves is 'epoch' or 'step', got 'hour'"),
        ('      paper: {Forward: 429}', '', 'result 0: names no column'),
        ('{mIoU: 24.09, aAcc: 62.26}', '{mIoU: 24.09, Time: 1}', "two results give 'Time'"),
    ],
)
def test_mistakes_are_named(tmp_path, old, new, message):
    assert old in PAPER
    with pytest.raises(ValueError, match=f'(?s){message}'):
        write_example(tmp_path, PAPER.replace(old, new, 1))


@pytest.mark.parametrize(
    'config, old, new, problem',
    [
        (
            'probe/linear',
            'depth=18',
            'depth=50',
            "row 'ViCE (L)': model.backbone.depth is 18 in vice/pre and 50 in probe",
        ),
        (
            'probe/cluster',
            '[64, 128]',
            '[64]',
            'model.decoder.in_channels.1 is 128 in vice/small and unset in probe/cl',
        ),
        ('probe/random', 'None', "'some.pth'", 'probe/random reads an embedder, and the row has no pretrain'),
        ('vice/pre', 'interval=100', 'max_keep_ckpts=2', 'keeps its last 2 checkpoints, and a curve needs all'),
        ('vice/pre', 'max_epochs=4', 'max_iters=4', 'has no train_cfg.max_epochs to count epochs by'),
        ('vice/pre', '_size=128', '_size=130', 'base_batch_size=130 is no multiple of batch_size=4'),
    ],
)
def test_configs_that_do_not_go_together_are_reported(tmp_path, monkeypatch, config, old, new, problem):
    assert old in CONFIGS[config]
    monkeypatch.setitem(CONFIGS, config, CONFIGS[config].replace(old, new))
    assert any(problem in found for found in check(write_example(tmp_path))), check(write_example(tmp_path))


@pytest.mark.parametrize(
    'old, new, problem',
    [
        ('{model.decode_head.num_filters: 45}', '{modle.head: 45}', "probe/linear has no 'modle' that the option"),
        ('{model.decode_head.num_filters: 45}', '{model.lr: 1e-3}', "'1e-3' cannot be given on a command line"),
        (", custom_hooks.0.checkpoint: '{run}/mmseg.pth'", '', 'the pretraining would go unused'),
        (
            '[{probe: probe/linear, paper: {mIoU: 21.5}}]',
            '[{probe: finetune/linear, paper: {mIoU: 1}}]',
            'share the folder',
        ),
    ],
)
def test_options_that_cannot_work_are_reported(tmp_path, monkeypatch, old, new, problem):
    monkeypatch.setitem(CONFIGS, 'finetune/linear', CONFIGS['probe/linear'])
    assert old in PAPER
    assert any(problem in found for found in check(write_example(tmp_path, PAPER.replace(old, new, 1))))


def test_tables_are_chosen_by_name_or_number(tmp_path):
    paper = write_example(tmp_path)
    assert [table.key for table in select(paper, ['2', 'Figure-4', 'table-2'])] == ['table-2', 'figure-4']
    assert [table.key for table in select(paper, ['all'])] == list(paper.tables)
    with pytest.raises(ValueError, match='there is no table-9; there are table-1, table-2, .*figure-7, or all'):
        select(paper, ['table-9'])


def test_the_list_has_configs_and_figures_of_every_row(tmp_path):
    text = listing(select(write_example(tmp_path), ['1', 'figure-5']))
    assert text.splitlines()[:8] == [
        '## table-1: Low resolution',
        '',
        '### COCO',
        '',
        '- **PiCIE**: mIoU 13.84, aAcc – (quoted by the paper)',
        '- **ViCE (L)**: mIoU 24.09, aAcc 62.26, Time 5h 31min',
        '  - mIoU, aAcc: `probe/linear` with `model.decode_head.num_filters=45` of `vice/pre`',
        '  - Time: training time of `vice/pre`',
    ]
    assert '  - `python look.py {probe_config} {probe_run} images --output-dir {run}/figure-5`' in text
