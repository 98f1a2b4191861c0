"""Running measurements as processes that cannot cost one another anything."""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from .plan import Measurement
from .results import Results

ROOT = Path(__file__).parents[2]
LAST_LINES = 20
"""Lines of output that the results keep of a process that failed."""
GRACE = 3
"""Seconds that a process has, once its time is up, to say where it is."""


@dataclass
class Running:
    """A process, what it measures, and where it writes to."""

    process: subprocess.Popen
    measurements: Sequence[Measurement]
    out: Path
    log: Path
    start: float
    end: float


def run_batch(batch: Sequence[Measurement], results: Results, end: float, dry: bool) -> None:
    """Take some measurements: tests each in a process, all at the same time; others one after the other in one.

    In a dry run tests, too, share a process: none of them runs without a GPU.

    Args:
        batch: All of them tests, or none.
        results: Where their records go.
        end: Time by ``time.monotonic`` at which they are ended. What is expected to take twice as long is left.
        dry: Tiny sizes on the CPU.
    """
    groups = [[each] for each in batch] if batch[0].tests and not dry else [list(batch)]
    running = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            for number, group in enumerate(groups):
                if not dry and end - time.monotonic() < sum(each.seconds for each in group) / 2:
                    for each in group:
                        results.add(each.name, dict(results.record(each.name), status='left'))
                    continue
                running.append(_start(group, Path(folder), number, end, dry))
            while running:
                time.sleep(0.1)
                for each in [each for each in running if _ended(each, results, dry)]:
                    running.remove(each)
        finally:
            for each in running:
                _kill(each.process)


def _start(group: list[Measurement], folder: Path, number: int, end: float, dry: bool) -> Running:
    out, log = folder / f'{number}.out', folder / f'{number}.log'
    names = [each.name for each in group]
    if group[0].tests:
        command = ['-m', 'pytest', '-q', '-m', 'gpu', '-p', 'no:cacheprovider', '--durations=3', '--tb=short']
        command += [f'--junitxml={out}', *(test for each in group for test in each.tests)]
    else:
        command = ['-m', 'benchmarks.gpu.worker', *(['--dry'] if dry else []), str(out), *names]
    sys.stderr.write(f'{group[0].part}: {", ".join(names)}\n')
    environment = dict(os.environ, PYTHONFAULTHANDLER='1', PYTHONUNBUFFERED='1', OMP_NUM_THREADS='1')
    environment['PYTHONPATH'] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))
    now = time.monotonic()
    with log.open('wb') as file:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_no_core_dump,
        )
    return Running(process, group, out, log, now, min(end, now + sum(each.limit for each in group)))


def _no_core_dump() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _ended(running: Running, results: Results, dry: bool) -> bool:
    """Whether a process has ended, or been ended as its time is up; if so, its records are in the results."""
    code = running.process.poll()
    late = code is None and time.monotonic() > running.end
    if code is None and not late:
        return False
    if late:
        running.process.send_signal(signal.SIGABRT)  # Python says where each thread is
        try:
            running.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            pass
    _kill(running.process)
    lines = running.log.read_text(encoding='utf-8', errors='replace').splitlines()
    tail = [line[:300] for line in lines if line.strip() and 'Extension modules' not in line][-LAST_LINES:]
    written, surroundings = _read(running)
    for each in running.measurements:
        record = written.get(each.name, dict(status='running', rows=[]))
        if record['status'] in ('running', 'failed'):
            record['status'] = 'ended by the clock' if late else 'failed'
            record.setdefault('error', tail)
        record.setdefault('seconds', round(time.monotonic() - running.start, 1))
        results.add(each.name, record, surroundings)
        sys.stderr.write(f'{each.part}: {each.name}: {record["status"]}, {record["seconds"]:.0f} s\n')
    return True


def _kill(process: subprocess.Popen) -> None:
    """End a process and what it has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:  # all of them have ended
        pass
    process.wait()


def _read(running: Running) -> tuple[dict, dict]:
    """The records that a process has written, by name, and its surroundings."""
    try:
        text = running.out.read_text(encoding='utf-8')
    except FileNotFoundError:  # it has not come so far
        return {}, {}
    if not running.measurements[0].tests:
        content = json.loads(text)
        return content['measurements'], content['surroundings']
    cases = [*ElementTree.fromstring(text).iter('testcase')]
    records = {}
    for each in running.measurements:
        rows = [_test_row(case) for case in cases if any(_is_of(case, test) for test in each.tests)]
        verdicts = {row['verdict'] for row in rows}
        status = 'failed' if not verdicts or 'FAILED' in verdicts else 'done' if 'passed' in verdicts else 'skipped'
        records[each.name] = dict(status=status, rows=rows)
    return records, {}


def _is_of(case: ElementTree.Element, test: str) -> bool:
    """Whether a case of a report is one of ``FILE`` or ``FILE::TEST``."""
    file, _, name = test.partition('::')
    module = file.removesuffix('.py').replace('/', '.')
    return case.get('classname') == module and name in ('', case.get('name', '').partition('[')[0])


def _test_row(case: ElementTree.Element) -> dict:
    row = dict(what=case.get('name'), verdict='passed', seconds=float(case.get('time', 0)))
    for tag, verdict in dict(skipped='skipped', failure='FAILED', error='FAILED').items():
        for found in case.iter(tag):
            row.update(verdict=verdict, note=(found.get('message') or '')[:500])
    return row
