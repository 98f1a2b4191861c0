"""Checks of what was read from files."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

NULL = type(None)
_NAMES = {str: 'a text', NULL: 'null', dict: 'a mapping', list: 'a list', bool: 'true or false'}


def checked(
    where: str, value: Any, known: Mapping[str, tuple], required: Sequence[str] = (), others: bool = False
) -> dict:
    """A mapping whose keys are known, unless there may be others, and whose values are of the types that these have.

    Raises:
        ValueError: If it is not; the message says where and why.
    """
    refuse(where, {f'must be a mapping, got {value!r}': not isinstance(value, dict)})
    for key, content in value.items():
        kinds = known.get(key, (object, bool) if others else ())
        refuse(where, {f'unknown key {key!r}; known: {", ".join(known)}': not kinds})
        wrong = not isinstance(content, kinds) or (isinstance(content, bool) and bool not in kinds)
        wanted = ' or '.join(dict.fromkeys(_NAMES.get(kind, 'a number') for kind in kinds))
        refuse(where, {f'{key} must be {wanted}, got {content!r}': wrong})
    refuse(where, {f'{key} is missing': key not in value for key in required})
    return value


def refuse(where: str, problems: Mapping[str, Any]) -> None:
    """Raise a ValueError for the first of these sentences that is true."""
    for problem, is_so in problems.items():
        if is_so:
            raise ValueError(f'{where}: {problem}')


def require_known(where: str, names: Collection[Any], there: Collection[str | None], what: str) -> None:
    """Raise a ValueError that lists what there is if a name is none of it."""
    for name in names:
        known = ', '.join(name for name in there if name) or 'none'
        refuse(where, {f'there is no {what} {name}; there are {known}': name not in there})


def read_json(file: Path, advice: str) -> Any:
    """The content of a JSON file; a ValueError with advice if it is damaged."""
    try:
        return json.loads(file.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(f'{file} is no JSON file: {error}; {advice}') from error
