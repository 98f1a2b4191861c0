"""The documents hold the numbers of the results that are kept of a GPU, and what is kept is small."""

import json
import re

import pytest

from benchmarks.gpu import documents
from benchmarks.gpu.conclusions import conclude

RESULTS = {name: json.loads(path.read_text()) for name, path in documents.KEPT.items()}


def test_the_documents_have_the_numbers_of_the_kept_results():
    marks = []
    for path, text in documents.documents():
        assert path.read_text() == text, f'{path}: run python -m benchmarks.gpu.documents'
        marks += re.findall(r'<!-- gpu: (\w+) -->', text)
    assert sorted(marks) == sorted(documents.tables(*RESULTS.values()))


def test_other_results_give_other_documents():
    """A number, a date, a state and a card that change are seen."""
    changed = json.loads(json.dumps(RESULTS['h200']))
    changed['measurements']['f: probes']['rows'][0]['ours'] = '7.89 ms'
    changed['measurements']['i: switches']['date'] = '2030-01-02 03:04 UTC'
    changed['measurements']['i: compiler']['status'] = 'done'
    changed['surroundings']['gpu']['name'] = 'Card'
    tables = documents.tables(changed, RESULTS['h200_operators'])
    assert '| 7.89 ms | 1.3 | <= 1.1 x: MISSED |' in tables['lines'] and tables['loader'].startswith('Card, torch ')
    assert '2030-01-02' in tables['switches'] and 'compiler' not in tables['unfinished']


def test_static_bags_are_those_of_the_operators():
    rows = RESULTS['h200_operators']['measurements'][documents.FORMS]['rows']
    (line,) = (line for line in documents.tables(*RESULTS.values())['forms'].splitlines() if 'static_bags |' in line)
    for size in (128, 512, 1024):
        assert f'| {next(row["ours"] for row in rows if row["what"] == f"D={size}, sums: static_bags")}, ' in line


def test_the_rows_of_a_busy_machine_are_those_that_are_kept():
    """Lines d and e; the heading says of each row what ran beside it."""
    kept = json.loads((documents.ROOT / 'benchmarks' / 'results' / 'cpu_lines_d_e.json').read_text())
    lines = (documents.ROOT / 'benchmarks' / 'README.md').read_text().splitlines()
    busy = {line.split(' | ')[0]: line for line in lines if line.endswith(' busy |')}
    assert kept['load_at_end'][0] > 1 and len(busy) == 5 and '28 Nov' in min(busy.values()) and '11-28' in kept['date']
    numbers = {
        "| d, file to packed sample, OpenCV's SLIC in the slow side": ['file to packed sample'],
        "| e, SLIC against OpenCV's at 320×320, 640×480, 2048×1024": ['against OpenCV'],
        "| e, SLIC against scikit-image's": ['against skimage'],
    }
    for line, (what,) in numbers.items():
        rows = [row for row in kept['rows'] if what in row['what']]
        ratios = ', '.join(f'{row["ratio"]:.3g}' for row in rows)
        ours = ', '.join(row['ours'].removesuffix(' ms') for row in rows)
        assert f' | {ours} ms | {ratios} | ' in busy[line], line


@pytest.mark.parametrize('name', documents.KEPT)
def test_what_is_kept_is_short(name):
    assert documents.KEPT[name].stat().st_size < 200_000 and documents.shorten(RESULTS[name]) == RESULTS[name]
    assert conclude(RESULTS[name]['measurements']) == RESULTS[name]['conclusions']  # a run that goes on keeps them
    text = documents.KEPT[name].read_text()
    assert 'Traceback' not in text and not re.search(r'/(root|home|work|opt|tmp)/', text)


def test_a_document_keeps_what_is_between_its_tables():
    text = 'a\n<!-- gpu: x -->\nold\n<!-- end -->\nb\n<!-- gpu: y -->\n<!-- end -->\n'
    once = documents.filled(text, dict(x='new', y='| 1 |'))
    assert once == 'a\n<!-- gpu: x -->\n\nnew\n\n<!-- end -->\nb\n<!-- gpu: y -->\n\n| 1 |\n\n<!-- end -->\n'
    assert documents.filled(once, dict(x='new', y='| 1 |')) == once
    with pytest.raises(KeyError):
        documents.filled(text, dict(x='new'))


def test_steps_over_frozen_encoders_are_those_of_the_kept_result():
    kept = json.loads((documents.ROOT / 'benchmarks' / 'results' / 'cpu_line_j.json').read_text())
    text = (documents.ROOT / 'docs' / 'encoders.md').read_text()
    for row in kept['rows']:
        network, saved = row['what'].split(', ')[2], row['details']['saved_mib']
        memory = [f'{saved[side]:.0f} MiB' for side in ('trained', 'frozen')]
        assert f'| {" | ".join([network, row["slow"], row["ours"], *memory])} |' in text
