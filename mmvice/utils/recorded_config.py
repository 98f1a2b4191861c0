"""Reading single settings of a config from its text in a checkpoint, without running it as code."""

import ast
from typing import Any


def recorded_setting(text: Any, name: str, default: Any = None) -> Any:
    """Look up a setting in the text of a config, as written by :attr:`mmengine.config.Config.pretty_text`.

    Args:
        text: The config's text; a checkpoint may have any other object in its place.
        name: Name of the setting, such as ``optim_wrapper.optimizer.type``.
        default: Value if its dict exists but does not contain it.

    Returns:
        Its value; None if its dict does not exist, the value is not plain, or the text is not a config.

    Example:
        >>> recorded_setting("model = dict(head=dict(type='LinearProbeHead', num_classes=8))", 'model.head.num_classes')
        8
        >>> recorded_setting("model = dict(head=dict(type='LinearProbeHead', num_classes=8))", 'model.head')
        {'type': 'LinearProbeHead', 'num_classes': 8}
        >>> recorded_setting('train_dataloader = dict(num_workers=2)', 'train_dataloader.batch_size', 1)
        1
    """
    if not isinstance(text, str):
        return None
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    first, *rest = name.split('.')
    values = [
        entry.value
        for entry in body
        if isinstance(entry, ast.Assign) and any(isinstance(to, ast.Name) and to.id == first for to in entry.targets)
    ]
    node, holder = values[-1] if values else None, None
    for key in rest:
        node, holder = _entry(node, key), node
    if node is None:
        return default if isinstance(holder, (ast.Call, ast.Dict)) else None
    try:
        return _plain(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


def _plain(node: ast.expr) -> Any:
    """The value of a literal, which may contain calls of ``dict``.

    Raises:
        ValueError: For anything else.
    """
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict' and not node.args:
        return {entry.arg: _plain(entry.value) for entry in node.keywords}
    if isinstance(node, (ast.List, ast.Tuple)):
        values = [_plain(entry) for entry in node.elts]
        return values if isinstance(node, ast.List) else tuple(values)
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {ast.literal_eval(key): _plain(value) for key, value in zip(node.keys, node.values)}
    return ast.literal_eval(node)


def _entry(node: ast.expr | None, key: str) -> ast.expr | None:
    if isinstance(node, ast.Call):
        return next((entry.value for entry in node.keywords if entry.arg == key), None)
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values)
        return next((value for name, value in pairs if isinstance(name, ast.Constant) and name.value == key), None)
    return None
