"""Imports within mmvice go one way: a room knows the rooms before it."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
LAYERS = (
    *(
        ['registry', 'version'],
        ['utils'],
        ['ops'],
        ['structures'],
        ['visualization', 'datasets', 'models', 'evaluation'],
    ),
    *(['engine'], ['apis'], ['cli'], ['experiments']),
)
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}


def imported(file: Path) -> set[str]:
    """Rooms of mmvice that a file imports from, wherever in it."""
    package, found = file.relative_to(ROOT).parent.parts, set()
    for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = '.'.join(package[: len(package) - node.level + 1]) if node.level else ''
            whole = '.'.join(filter(None, (base, node.module)))
            found |= {f'mmvice.{alias.name}' for alias in node.names} if whole == 'mmvice' else {whole}
    return {name.split('.')[1] for name in found if name.startswith('mmvice.')}


def test_every_room_has_its_place():
    rooms = {
        path.stem for path in (ROOT / 'mmvice').iterdir() if path.suffix == '.py' or (path / '__init__.py').is_file()
    }
    assert rooms - {'__init__'} == LEVEL.keys()


def test_a_room_imports_from_those_before_it():
    backwards = [
        f'{file.relative_to(ROOT)} imports mmvice.{room}'
        for file in (ROOT / 'mmvice').rglob('*.py')
        if file.parent.name != 'mmvice'
        for room in imported(file)
        if LEVEL.get(room, -1) > LEVEL[file.relative_to(ROOT / 'mmvice').parts[0]]
    ]
    assert backwards == []
