"""Subsets for few labels: sizes of Table 11, nested, seeded, and blind to everything but the names."""

import runpy
from decimal import Decimal
from pathlib import Path

import pytest

TOOL = runpy.run_path(str(Path(__file__).parents[2] / 'tools/dataset_converters/few_shot_subsets.py'))
RATIOS = [Decimal(text) for text in ('0.001', '0.01', '0.05', '0.1', '0.5', '1')]
NAMES = [f'{7 * i:012}' for i in range(49_629)]


def draw(names, ratios=RATIOS, seed=0):
    return TOOL['draw_subsets'](names, ratios, seed)


def test_sizes_of_table_11_each_within_the_next():
    subsets = draw(NAMES)
    assert [len(subset) for subset in subsets] == [49, 496, 2481, 4962, 24814, 49629]
    assert all(set(small) < set(large) for small, large in zip(subsets, subsets[1:]))
    assert all(subset == sorted(subset) for subset in subsets) and subsets[-1] == NAMES


def test_a_subset_depends_on_the_names_and_the_seed_only():
    subsets = draw(NAMES)
    assert draw(NAMES) == subsets
    assert draw(NAMES, RATIOS[2:3]) == subsets[2:3]
    assert [set(subset) for subset in draw(NAMES[::-1])] == [set(subset) for subset in subsets]
    assert draw(NAMES, seed=1)[0] != subsets[0]
    # known for good, so that figures of different machines are of the same images
    assert draw([f'{i:03}' for i in range(100)], [Decimal('0.05')]) == [['002', '026', '055', '075', '086']]


def test_draws_are_even_over_the_list():
    tenth = draw(NAMES)[3]
    position = {name: i for i, name in enumerate(NAMES)}
    share = [sum(position[name] // 4963 == part for name in tenth) / 4963 for part in range(10)]
    assert all(0.08 < value < 0.12 for value in share)


def test_ratios_are_exact():
    assert [len(subset) for subset in draw(NAMES[:100], [Decimal('0.29'), Decimal('0.57')])] == [29, 57]
    assert [TOOL['percent'](share) for share in RATIOS] == ['0.1', '1', '5', '10', '50', '100']
    assert TOOL['percent'](Decimal('0.125')) == '12.5' and TOOL['percent'](Decimal('0.50')) == '50'


def test_files(tmp_path, capsys):
    source = tmp_path / 'train2017.txt'
    source.write_bytes(b'\r\n'.join(name.encode() for name in NAMES[:2000]) + b'\r\n\r\n')
    TOOL['main']([str(source), str(tmp_path / 'out'), '--seed', '3'])
    names = {f'train2017_{percent}pct_seed-3.txt' for percent in ('0.1', '1', '5', '10', '50', '100')}
    assert {path.name for path in (tmp_path / 'out').iterdir()} == names
    text = (tmp_path / 'out/train2017_1pct_seed-3.txt').read_bytes()
    assert text.decode() == ''.join(f'{name}\n' for name in draw(NAMES[:2000], RATIOS[1:2], 3)[0])
    assert 'train2017_0.1pct_seed-3.txt: 2 names' in capsys.readouterr().out


def test_names_of_any_bytes_are_kept(tmp_path):
    names = [b'caf\xe9', 'ü 図'.encode(), 'a\u2028b'.encode()]
    (tmp_path / 'list.txt').write_bytes(b'\xef\xbb\xbf' + b' \r\n'.join(names))
    TOOL['main']([str(tmp_path / 'list.txt'), str(tmp_path / 'out'), '--ratios', '1'])
    assert (tmp_path / 'out/list_100pct_seed-0.txt').read_bytes() == b''.join(name + b'\n' for name in names)
    (tmp_path / 'list.txt').write_text('a', encoding='utf-16')
    with pytest.raises(SystemExit, match="error: the list file .*list.txt' is not UTF-8 text"):
        TOOL['main']([str(tmp_path / 'list.txt'), str(tmp_path / 'out')])


@pytest.mark.parametrize(
    'text, options, message',
    [
        ('a\nb\na\n', [], 'in the list more than once: a'),
        ('a\nb\n', ['--ratios', '0.1'], 'a ratio of 0.1 of 2 names is less than one name'),
        ('', [], 'of 0 names'),
    ],
)
def test_lists_that_cannot_be_drawn_from(tmp_path, text, options, message):
    (tmp_path / 'list.txt').write_text(text)
    with pytest.raises(SystemExit, match=message):
        TOOL['main']([str(tmp_path / 'list.txt'), str(tmp_path / 'out'), *options])
    assert not (tmp_path / 'out').exists()
    with pytest.raises(SystemExit, match='no list'):
        TOOL['main']([str(tmp_path / 'none.txt'), str(tmp_path / 'out')])


@pytest.mark.parametrize('option', [['--ratios', '0'], ['--ratios', '1.5'], ['--ratios', 'many'], ['--seed', '-1']])
def test_arguments_out_of_range(option, capsys):
    with pytest.raises(SystemExit, match='2'):
        TOOL['main'](['list.txt', 'out', *option])
    assert 'must be' in capsys.readouterr().err


@pytest.mark.parametrize('count, left', [(491, ['1', '5', '10', '50', '100']), (19, ['10', '50', '100']), (1, ['100'])])
def test_a_short_list_has_the_default_subsets_that_are_a_name_or_more(tmp_path, capsys, count, left):
    source = tmp_path / 'list.txt'
    source.write_text('\n'.join(NAMES[:count]))
    TOOL['main']([str(source), str(tmp_path / 'out')])
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {f'list_{share}pct_seed-0.txt' for share in left}
    listed = f'{count} name' + 's' * (count > 1)
    written = capsys.readouterr()
    assert f'no subset of 0.1 %: of {listed} that is less than one' in written.err
    assert written.out.endswith(f'list_100pct_seed-0.txt: {listed}\n')
    with pytest.raises(SystemExit, match=f'a ratio of 0.001 of {listed} is less than one name'):
        TOOL['main']([str(source), str(tmp_path / 'out'), '--ratios', '0.001', '1'])
