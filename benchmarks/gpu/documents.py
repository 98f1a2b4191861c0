"""The numbers of a GPU in the documents, written from the results kept in ``benchmarks/results/``."""

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
KEPT = {name: ROOT / 'benchmarks' / 'results' / f'{name}.json' for name in ('h200', 'h200_operators')}
"""With the kernels of :mod:`mmvice.ops.cell_kernels`, and with PyTorch's operators in their place."""
DOCUMENTS = (ROOT / 'benchmarks' / 'README.md', ROOT / 'docs' / 'performance.md')
UNREAD = ('seconds', 'median_cpu_seconds', 'longest_us')
"""Details of a row that nobody reads later: single runs and kernels of the forms."""
FORMS = 'b: forms of region sums'
STEP = 'step: R18 + light FPN'


def shorten(content: dict) -> dict:
    """Results without profiles, tracebacks, single runs and the machine's paths and name of its system."""
    kept = json.loads(json.dumps(content))
    kept['surroundings'].pop('system', None)
    for record in kept['measurements'].values():
        record.pop('error', None)
        for row in record.get('rows', ()):
            row.pop('profile', None)
            row['note'] = (row.get('note') or '').split('\n')[0].rstrip(': ')
            if row.get('details'):
                row['details'] = {key: value for key, value in row['details'].items() if key not in UNREAD}
    return kept


def tables(kernels: dict, operators: dict) -> dict[str, str]:
    """What stands between the marks of the documents, by name.

    Args:
        kernels: Results taken with the Triton kernels.
        operators: Those taken with PyTorch's operators.
    """
    return dict(
        lines=_lines(kernels, operators),
        forms=_forms(kernels, operators),
        loader=_loader(kernels),
        unfinished=_unfinished(kernels),
        pieces=_pieces(kernels, operators),
        switches=_switches(kernels, operators),
    )


def _lines(kernels: dict, operators: dict) -> str:
    """Lines b, c and f; what has no row by the operators has a dash there."""
    before = {row['what']: row for name in ('b: region means', STEP) for row in _rows(operators, name)}
    table = [('line', 'slow side', 'ours', 'ratio', 'target', "ours by PyTorch's operators", 'ratio')]
    for name in (STEP, 'b: region means', 'f: probes'):
        for row in (row for row in _rows(kernels, name) if row['line'] in 'bcf' and row['ratio'] is not None):
            old = before.get(row['what'])
            target = f'{row["target"]}: {row["verdict"]}' if row['target'] else ''
            by_operators = (_with_verdict(old), _ratio(old)) if old else ('—', '')
            what = row['what'].replace('; plain: index_add', '')
            table.append((f'{row["line"]}, {what}', row['slow'], row['ours'], _ratio(row), target, *by_operators))
    names = (STEP, 'b: region means', 'f: probes')
    return f'{_where(kernels, *names)}; by the operators: {_dates(operators, *names[:2])}.\n\n{_markdown(table)}'


def _forms(kernels: dict, operators: dict) -> str:
    """Time, extra memory and number of kernels of every form, for each D; today's arrays from the operators' file."""
    dims, cells = (128, 512, 1024), {}
    for content in (kernels, operators):  # the later wins
        for row in _rows(content, FORMS):
            size, what = re.fullmatch(r'D=(\d+), (.*)', row['what']).groups()
            if content is kernels or what == 'sums: static_bags':
                memory, *_, launched = row['note'].split(', ')
                cells[what, int(size)] = f'{row["ours"]}, {memory}, {launched.split()[0]}'
    table = [('forward and backward: time, peak extra memory, kernels', *(f'D = {size}' for size in dims))]
    table += [(what, *(cells.get((what, size), '—') for size in dims)) for what in dict.fromkeys(w for w, _ in cells)]
    where = f'{_where(kernels, FORMS)}; `static_bags`: {_dates(operators, FORMS)}.'
    return f'{where}\n\n{_markdown(table)}'


def _loader(kernels: dict) -> str:
    names = [f'workers, superpixels {kind}' for kind in ('computed', 'from files')]
    rates = [{row['details']['workers']: row['ours'] for row in _rows(kernels, name)} for name in names]
    table = [('workers', 'superpixels computed', 'superpixels from files')]
    table += [(str(count), rates[0][count], rates[1][count]) for count in rates[0]]
    said = '\n'.join(f'- {sentence}' for sentence in kernels['conclusions'])
    cores = f'{kernels["surroundings"]["processor"]}, {kernels["surroundings"]["cores"]} cores'
    return f'{_where(kernels, *names)}; {cores}.\n\n{_markdown(table)}\n\n{said}'


def _unfinished(kernels: dict) -> str:
    states = {name: record['status'] for name, record in kernels['measurements'].items()}
    bad = [f'- {name}: {state}' for name, state in states.items() if state != 'done']
    return 'Of the last run, all was done but:\n\n' + '\n'.join(bad)


def _pieces(kernels: dict, operators: dict) -> str:
    """The pieces of a step and its kernels, by the GPU's clock."""
    before = {row['what']: row['ours'] for row in _rows(operators, STEP)}
    table = [('R18 + light FPN, LARS, --amp, 80 views of 256x256', 'kernels', "PyTorch's operators")]
    for row in (row for row in _rows(kernels, STEP) if row['line'] == '2'):
        table.append(
            (row['what'].removeprefix('R18 + light FPN, LARS').strip(':, '), row['ours'], before.get(row['what'], '—'))
        )
    return f'{_where(kernels, STEP)}; by the operators: {_dates(operators, STEP)}.\n\n{_markdown(table)}'


def _switches(kernels: dict, operators: dict) -> str:
    """Line i, relative to the plain network."""
    columns = {}
    for content, kind in ((kernels, 'kernels'), (operators, "PyTorch's operators")):
        for row in _rows(content, 'i: switches'):
            size, switch = re.fullmatch(r'training step, (.*), cuda: (.*)', row['what']).groups()
            column = columns.setdefault(f'{size}, {kind}', {'plain': f'1 ({row["slow"]})'})
            column[switch] = f'{row["ratio"]:.2f}'
    table = [('', *columns)]
    table += [(switch, *(column[switch] for column in columns.values())) for switch in next(iter(columns.values()))]
    when = f'{_where(kernels, "i: switches")}; by the operators: {_dates(operators, "i: switches")}.'
    return f'{when}\n\n{_markdown(table)}'


def _rows(content: dict, name: str) -> list[dict]:
    return content['measurements'][name]['rows']


def _ratio(row: dict) -> str:
    return f'{row["ratio"]:.3g}'


def _with_verdict(row: dict) -> str:
    return f'{row["ours"]}: {row["verdict"]}' if row['verdict'] else row['ours']


def _where(content: dict, *names: str) -> str:
    """Card, version of PyTorch and time."""
    around = content['surroundings']
    return f'{around["gpu"]["name"]}, torch {around["versions"]["torch"]}, {_dates(content, *names)}'


def _dates(content: dict, *names: str) -> str:
    dates = sorted({content['measurements'][name]['date'] for name in names})
    return dates[0] if len(dates) == 1 else f'{dates[0]} to {dates[-1]}'


def _markdown(table: list[tuple[str, ...]]) -> str:
    head, *rows = table
    return '\n'.join('| ' + ' | '.join(cells) + ' |' for cells in (head, ['---'] * len(head), *rows))


def filled(text: str, contents: dict[str, str]) -> str:
    """A document with new contents between its marks ``<!-- gpu: NAME -->`` and ``<!-- end -->``.

    Raises:
        KeyError: If there is no content of that name.
    """
    mark = re.compile(r'(<!-- gpu: (\w+) -->\n).*?(<!-- end -->)', re.DOTALL)
    return mark.sub(lambda found: f'{found[1]}\n{contents[found[2]]}\n\n{found[3]}', text)


def documents() -> Iterator[tuple[Path, str]]:
    """Every document with the numbers of the kept results."""
    contents = tables(*(json.loads(path.read_text(encoding='utf-8')) for path in KEPT.values()))
    for path in DOCUMENTS:
        yield path, filled(path.read_text(encoding='utf-8'), contents)


def main() -> None:
    """Keep results that are named, and write the numbers into the documents."""
    parser = argparse.ArgumentParser('python -m benchmarks.gpu.documents', description=__doc__)
    for name in KEPT:
        parser.add_argument(f'--{name}', type=Path, help=f'results of make gpu to keep as {KEPT[name].name}')
    given = vars(parser.parse_args())
    for name, path in KEPT.items():
        if given[name]:
            kept = shorten(json.loads(given[name].read_text(encoding='utf-8')))
            path.write_text(json.dumps(kept, indent=1) + '\n', encoding='utf-8')
    for path, text in documents():
        path.write_text(text, encoding='utf-8')


if __name__ == '__main__':
    main()
