"""The types of parts of a config, which are names, with or without a package before them, or the classes themselves."""

from collections.abc import Mapping


def type_name(part: Mapping, default: str = '') -> str:
    """The bare name of a part's ``type``; the default where it has none.

    Example:
        >>> [type_name(dict(type=kind)) for kind in ('mmpretrain.LARS', 'LARS', Mapping)]
        ['LARS', 'LARS', 'Mapping']
    """
    kind = part.get('type') or default
    return getattr(kind, '__name__', str(kind)).rpartition('.')[2]
