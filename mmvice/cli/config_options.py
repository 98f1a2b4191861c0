"""Settings on the command line, as in MMEngine, but names of files and folders stay as typed."""

import argparse
import re
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import Config, DictAction

_ONE = {'data_root', 'work_dir', 'load_from', 'embedder_checkpoint', 'pretrained', 'checkpoint', 'folder', 'img_root'}
_ONE |= {'filename', 'save_dir', 'output_dir', 'out_dir'}
"""Settings whose value is the name of a file or folder."""
_SEVERAL = {'img_path', 'seg_map_path', 'ann_file', 'img_suffix', 'seg_map_suffix', 'extensions'}
"""Settings whose value is a name or a list of names."""
_PART = re.compile(r"""\s*("[^"]*"|'[^']*'|[^,]+?)\s*(?:,|$)""")
"""A name in a list, in quotation marks or without."""


class ConfigOptions(DictAction):
    """An argparse action for ``KEY=VALUE ...`` like :class:`mmengine.DictAction`, but the folder 2024 stays a name.

    A name may contain any characters, including white space. If a setting may be a list, ``a,b`` and ``[a,b]`` are
    lists of names. Quotation marks within the value make it one name: ``'img_path="a,b"'``, ``'img_path=[c,"a,b"]'``.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Sequence[str],
        option_string: str | None = None,
    ) -> None:
        """Add the settings to those that were given before."""
        options = dict(getattr(namespace, self.dest, None) or {})
        for setting in values:
            key, equals, text = setting.partition('=')
            if not equals:
                parser.error(
                    f"argument {option_string}: expected KEY=VALUE, but {setting!r} has no '='; put a value with white "
                    'space in quotation marks with its key, as "KEY=a b"'
                )
            options[key] = parse_value(key, text)
        setattr(namespace, self.dest, options)


def merge_options(cfg: Config, options: Mapping[str, Any] | None) -> None:
    """Change settings of a config like :meth:`mmengine.Config.merge_from_dict`.

    Raises:
        ValueError: If the value is a dict, or would replace one; the command line has no notation for dicts.
    """
    for key, value in (options or {}).items():
        there: Any = cfg
        for part in key.split('.'):
            if isinstance(there, (list, tuple)):
                there = there[int(part)] if part.isdigit() and int(part) < len(there) else None
            else:
                there = there.get(part) if isinstance(there, (Mapping, Config)) else None
        written = re.match(r'dict\(\s*(\w*)|\{\W*(\w*)', value) if isinstance(value, str) else None
        written = None if key.rpartition('.')[2] in _ONE | _SEVERAL else written
        if written or (isinstance(there, Mapping) and not isinstance(value, (Mapping, bool, type(None)))):
            name = (written and written[written.lastindex]) or next(iter(there or ()), 'NAME')
            raise ValueError(
                f'--cfg-options {key}={value}: {key} is a dict of settings, which are given one by one, as '
                f'{key}.{name}=VALUE'
            )
    cfg.merge_from_dict(options or {})


def parse_value(key: str, text: str) -> object:
    """The value of a setting.

    Example:
        >>> parse_value('data.data_root', '007'), parse_value('model.depth', '18')
        ('007', 18)
        >>> parse_value('data.data_prefix.img_path', '[2023,my images]'), parse_value('d.data_root', 'imgs, 2023')
        (['2023', 'my images'], 'imgs, 2023')
    """
    parts = [part for part in key.split('.') if not part.isdigit()]  # digits are places in a list
    name = parts[-1] if parts else key
    if name not in _ONE | _SEVERAL:
        return DictAction._parse_iterable(text)
    if text == 'None':
        return None
    bare = _unquoted(text)
    if name in _ONE or (bare != text and text[0] not in bare):
        return bare
    bracketed = text[:1] + text[-1:] in ('[]', '()')
    if not bracketed and ',' not in text:
        return text
    inside = text[1:-1] if bracketed else text
    return [_unquoted(part) for part in _PART.findall(inside) if part.strip()]


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in '\'"' else text
