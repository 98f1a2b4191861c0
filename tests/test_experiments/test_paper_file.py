"""configs/experiments/paper.yml, the metafiles and the configs agree with each other."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from mmvice.experiments.checks import check
from mmvice.experiments.commands import commands
from mmvice.experiments.plan import Planner
from mmvice.experiments.reader import read_experiments
from mmvice.experiments.tables import DELTA, select

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'configs'
METAFILES = sorted(CONFIGS.rglob('metafile.yml'))


@pytest.fixture(scope='module')
def paper():
    return read_experiments(CONFIGS / 'experiments' / 'paper.yml')


def test_every_row_makes_sense(paper):
    assert check(Planner.of(paper), select(paper, [])) == []


def test_all_tables_and_figures_are_there(paper):
    """Figures 1 and 2 are an illustration and a diagram."""
    expected = {f'table-{i}' for i in range(1, 14)} | {f'figure-{i}' for i in range(3, 11)}
    assert set(paper.tables) - expected == {'table-2-camvid'} and expected <= set(paper.tables)


def test_commands_name_tools_and_configs_that_exist(paper, monkeypatch):
    monkeypatch.chdir(ROOT)
    lines = commands(Planner.of(paper, seeds=[0, 1]), select(paper, []))
    run = [line for line in lines if line and not line.startswith('#')]
    assert len(run) > 150
    for line in run:
        line = line.partition(' || { ')[2] if line.startswith('for ') else line
        words = shlex.split(line.removesuffix(' }; done'))
        named = [word for word in words if re.match(r'(tools|configs)/', word)]
        assert named and all((ROOT / word).is_file() for word in named), line


def test_quoted_numbers_of_the_paper(paper):
    """Some cells, looked up in the paper again."""
    cells = {
        ('table-1', 'COCO', 'ViCE (L = 256)', 'mIoU'): 25.49,
        ('table-1', 'Cityscapes', 'ViCE (from scratch)', 'aAcc'): 82.99,
        ('table-2', None, 'ViCE 1px', 'Time'): '34h 4min',
        ('table-3', 'Cityscapes', 'RN 101, 72 epochs', 'aAcc'): 82.85,
        ('table-5', None, 'Views 4 → 3', 'Δ mIoU'): -1.22,
        ('table-6', None, 'D = 256, K = 128', 'mIoU'): 27.25,
        ('table-8', 'COCO', 'High: RN50, DLV3+, 45', 'Linear mIoU'): 27.77,
        ('table-9', None, 'COCO → Cityscapes', 'mIoU'): 34.14,
        ('table-10', None, 'Bicycle', 'DG linear IoU'): 53.24,
        ('table-11', None, '1 %, 496 images', 'ViCE'): 40.17,
        ('table-13', None, 'High resolution, RN 50', 'Cluster model'): 2395,
    }
    for (table, group, name, column), figure in cells.items():
        rows = [row for row in paper.tables[table].rows if (row.group, row.name) == (group, name)]
        assert len(rows) == 1 and rows[0].paper[column] == figure


@pytest.mark.parametrize('path', METAFILES, ids=lambda path: path.parent.name)
def test_metafile(path, paper):
    """Its entries are configs with results, and a number that is called the paper's is one of the paper's for it."""
    content = yaml.safe_load(path.read_text(encoding='utf-8'))
    [collection] = content['Collections']
    assert ROOT / collection['README'] == path.with_name('README.md')
    for model in content['Models']:
        config = f'{path.parent.name}/{model["Name"]}'
        assert model['Config'] == f'configs/{config}.py' and (ROOT / model['Config']).is_file()
        assert model['In Collection'] == collection['Name']
        known = {
            row.paper.get(column)
            for table in paper.tables.values()
            for row in table.rows
            for source in row.sources
            if config in (source.pretraining and source.pretraining.config, source.probe)
            for column in table.columns
            if column.removeprefix(DELTA) in source.columns
        }
        assert model['Results']
        for result in model['Results']:
            source, _, _ = result['Source'].partition(':')
            assert source in ('the paper', 'mmvice')
            assert source == 'mmvice' or set(result['Metrics'].values()) <= known, model['Name']


def test_model_index_imports_all_metafiles():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text(encoding='utf-8'))
    assert sorted(index['Import']) == [str(path.relative_to(ROOT)) for path in METAFILES]
