"""Types of parts of a config: names, with or without a package, or classes."""

from collections.abc import Mapping


def type_name(part: Mapping, default: str = '') -> str:
    """The bare name of a part's ``type``; the default if it has none.

    Example:
        >>> [type_name(dict(type=kind)) for kind in ('mmpretrain.LARS', 'LARS', Mapping)]
        ['LARS', 'LARS', 'Mapping']
    """
    kind = part.get('type') or default
    return getattr(kind, '__name__', str(kind)).rpartition('.')[2]
