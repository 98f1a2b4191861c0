"""The file of results, which every measurement adds to, and what is printed of it."""

import json
import os
from pathlib import Path

from .conclusions import conclude
from .plan import PARTS, PLAN

DONE = ('done', 'skipped')
"""States of a measurement that a later run does not take again."""


class Results:
    """Records of the measurements by their names, on disk after every change.

    A record has ``status`` ('done', 'skipped', 'failed', 'ended by the clock' or 'left'), ``seconds``, ``rows`` and, of
    what failed, the last lines of its output as ``error``.

    Args:
        path: The JSON file. What is in it already stays.
        kept: A former one, or None. Its measurements are taken over that are finished in it and not in ``path``.
        dry: Whether the run is dry. Results of dry runs and of others do not mix.

    Attributes:
        taken: For each file that was there, how many measurements are finished in it.

    Raises:
        ValueError: If a file is of the other kind, or holds no results.
    """

    def __init__(self, path: Path, kept: Path | None, dry: bool) -> None:
        self.path = path
        self.content: dict = dict(dry=dry, surroundings={}, measurements={})
        self.taken: dict[Path, int] = {}
        for file in dict.fromkeys(filter(None, (kept, path))):  # the later wins
            if file.exists():
                self._take_over(file, dry)
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.taken:
            self._write()

    def _take_over(self, file: Path, dry: bool) -> None:
        try:
            found = json.loads(file.read_text(encoding='utf-8'))
            of_dry, records, around = found['dry'], dict(found['measurements']), dict(found['surroundings'])
            finished = {name: record for name, record in records.items() if record['status'] in DONE}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f'{file} holds no results of make gpu: {error!r}; give another --out or --kept') from error
        if of_dry != dry:
            kinds = {True: 'a dry run', False: 'a run that is not dry'}
            raise ValueError(f'{file} is of {kinds[not dry]}, this is {kinds[dry]}: give another --out or --kept')
        self.taken[file] = len(finished)
        unfinished = {name: record for name, record in records.items() if not self.done(name)}
        self.content['measurements'] |= {**unfinished, **finished}
        self.content['surroundings'] = around or self.content['surroundings']

    def record(self, name: str) -> dict:
        """What is known of a measurement."""
        return self.content['measurements'].get(name, {})

    def done(self, name: str) -> bool:
        """Whether a measurement need not be taken again."""
        return self.record(name).get('status') in DONE

    def left(self, name: str) -> bool:
        """Whether there was no time to begin a measurement."""
        return self.record(name).get('status') == 'left'

    def add(self, name: str, record: dict, surroundings: dict | None = None) -> None:
        """Write down the record of a measurement, and where it was taken."""
        if surroundings:
            self.content['surroundings'] = surroundings
            record = dict(record, date=surroundings['date'], gpu=surroundings['gpu'].get('name'))
        self.content['measurements'][name] = record
        self._write()

    def _write(self) -> None:
        self.content['conclusions'] = self._conclusions()
        unfinished = self.path.with_suffix('.part')
        unfinished.write_text(json.dumps(self.content, indent=1, default=str) + '\n', encoding='utf-8')
        os.replace(unfinished, self.path)

    def _conclusions(self) -> list[str]:
        """What the results say; nothing follows from the tiny sizes of a dry run."""
        return [] if self.content['dry'] else conclude(self.content['measurements'])

    def report(self) -> str:
        """What was measured, what fell short of its target, what failed and what was left, as text."""
        records = self.content['measurements']
        lines, missed = [], []
        for part, title in PARTS.items():
            lines.append(f'\n== {part}. {title}')
            for each in (each for each in PLAN if each.part == part):
                record = records.get(each.name, dict(status='left'))
                seconds = f', {record["seconds"]:.0f} s' if 'seconds' in record else ''
                lines.append(f'{each.name}: {record["status"]}{seconds} (expected {each.seconds} s)')
                for row in record.get('rows', ()):
                    lines.append('    ' + _row_text(row))
                    if row['verdict'] in ('MISSED', 'FAILED'):
                        missed.append(f'{each.name}: {_row_text(row)}')
        if self.content['dry']:
            lines += ['\n== Conclusions and targets', 'A dry run takes tiny sizes: nothing is concluded or judged.']
        else:
            lines += ['\n== Conclusions', *self.content.get('conclusions', [])]
            lines += ['\n== Short of its target', *(missed or ['nothing'])]
        for title, states in {'Failed': ('failed', 'ended by the clock'), 'Left': ('left',)}.items():
            lines.append(f'\n== {title}')
            found = [each.name for each in PLAN if records.get(each.name, dict(status='left'))['status'] in states]
            for name in found or ['nothing']:
                lines += [name, *(f'    | {line}' for line in records.get(name, {}).get('error', [])[-5:])]
        return '\n'.join(lines)


def _row_text(row: dict) -> str:
    sides = ', '.join(f'{side} {row[side]}' for side in ('slow', 'ours') if row.get(side))
    ratio = '' if row.get('ratio') is None else f'ratio {row["ratio"]:.3g}'
    target = f'target {row["target"]}' if row.get('target') else ''
    note = f'({row["note"]})' if row.get('note') else ''
    return '; '.join(filter(None, [f'{row["what"]} {note}'.strip(), sides, ratio, target, row['verdict']]))
