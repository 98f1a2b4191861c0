"""Ending a tool on an error of its user: with one sentence and no traceback."""

import ast
import dis
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import mmengine.config

from mmvice.cli.building_errors import explain_building
from mmvice.cli.step_errors import explain_step
from mmvice.utils.console import use_console_without_run

TRACEBACK = '--traceback'

_OWN = (Path(__file__).parents[1], Path(__file__).parents[2] / 'tools')
_CONFIG = Path(mmengine.config.__file__).parent


def run_tool(main: Callable[[], None]) -> None:
    """Run a tool's ``main``; an error of its user ends the program with status 1 and one sentence on stderr.

    Programming errors keep their traceback. With ``--traceback`` on the command line, all errors do.

    Raises:
        SystemExit: Instead of an error of the user.
    """
    use_console_without_run()
    try:
        main()
    except Exception as error:
        message = explain(error)
        if message is None or TRACEBACK in sys.argv[1:]:
            raise
        print(f'error: {message}', file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None


def explain(error: BaseException) -> str | None:
    """The message of an error for the user; None for a programming error.

    Errors for the user are: those that mmvice or a tool raises with its own ``raise``, also in a worker of a data
    loader; those of MMEngine while it reads a config; types, arguments or values of a config with which an object
    cannot be built (:mod:`.building_errors`); errors in computing the first step (:mod:`.step_errors`); the loss of a
    worker of a data loader. The search starts at the last error and follows its causes; the first match is used.
    """
    cause: BaseException | None = error
    while cause is not None:
        message = _own_message(cause) or explain_building(cause) or _worker_message(str(cause)) or _lost(str(cause))
        message = message or explain_step(cause)
        if message is not None:
            return message
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return None


def _own_message(error: BaseException) -> str | None:
    """The message of an error that mmvice, a tool, or MMEngine's config raises."""
    *_, last = [None, *_entries(error.__traceback__)]
    if last is None or not _lies_in(last.tb_frame.f_code.co_filename, (*_OWN, _CONFIG)):
        return None
    return _text(error) if _raises(last) else None


def _worker_message(text: str) -> str | None:
    """The message of an error in a data loader's worker, read from its traceback, since it sends nothing else."""
    if ' in DataLoader worker process ' not in text:
        return None
    places = list(re.finditer(r'^  File "(.+)", line (\d+), in .+$', text, re.MULTILINE))
    if not places or not _lies_in(places[-1][1], _OWN) or int(places[-1][2]) not in _raising_lines(places[-1][1]):
        return None
    last = re.search(r'^[\w.]+: ((?:.|\n)+)', text[places[-1].end() :], re.MULTILINE)
    return last[1].strip() if last else None


def _lost(text: str) -> str | None:
    """The message for torch's errors about workers that were killed, have ended, or exceed the timeout."""
    timed_out = re.match(r'DataLoader timed out after ([\d.]+) seconds', text)
    if timed_out:
        return (
            f'the workers of a data loader gave no batch for {timed_out[1]} seconds: is the disk of the images there? '
            'Where loading does take so long, raise timeout of the loader, in seconds'
        )
    killed = re.match(r'DataLoader worker \(pid.*?\) is killed by signal: ([\w ]+)', text)
    if killed:
        return (
            f'a worker of a data loader was killed by a signal ({killed[1]}), as happens where memory runs out: lower '
            'num_workers, prefetch_factor or batch_size of the loader'
        )
    if re.match(r'DataLoader worker \(pid.*?\) exited unexpectedly', text):
        return (
            'a worker of a data loader ended unexpectedly; what it wrote above says why, or with num_workers=0 of the '
            'loader the error itself does'
        )
    return None


def _entries(entry: TracebackType | None) -> Iterator[TracebackType]:
    while entry is not None:
        yield entry
        entry = entry.tb_next


def _raises(entry: TracebackType) -> bool:
    """Whether this entry of a traceback is a function's own ``raise``, not a failed operation or call."""
    return dis.opname[entry.tb_frame.f_code.co_code[entry.tb_lasti]] == 'RAISE_VARARGS'


def _raising_lines(file: str) -> set[int]:
    """The line numbers of ``raise`` statements in a source file."""
    try:
        nodes = ast.walk(ast.parse(Path(file).read_bytes()))
    except (OSError, SyntaxError):
        return set()
    raises = [node for node in nodes if isinstance(node, ast.Raise)]
    return {line for node in raises for line in range(node.lineno, node.end_lineno + 1)}


def _lies_in(file: str, folders: tuple[Path, ...]) -> bool:
    return any(folder in Path(file).parents for folder in folders)


def _text(error: BaseException) -> str:
    """The message, without the quotes that a KeyError adds."""
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error) or type(error).__name__
