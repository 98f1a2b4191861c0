"""timm, which only some encoders need."""

from types import ModuleType


def import_timm() -> ModuleType:
    """Import timm.

    Raises:
        ImportError: If it is not installed; the message says how to install it.
    """
    try:
        import timm
    except ImportError as error:
        raise ImportError(
            f'encoders of timm need the package timm ({error}): pip install -r requirements/encoders.txt'
        ) from error
    return timm
