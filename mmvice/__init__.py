"""Self-supervised visual concept embeddings (ViCE) for OpenMMLab.

Importing this package checks that OpenMMLab's packages are installed and fit together. It imports none of its own
parts.
"""

from importlib import import_module, metadata
from importlib.util import find_spec

from mmvice.version import __version__

__all__ = ['__version__']

MINIMUM_VERSIONS = {'mmengine': '0.10.0', 'mmcv': '2.0.0', 'mmseg': '1.0.0', 'mmpretrain': '1.0.0'}
"""Lowest version that works, by module; the original distributions and the maintained ones count alike."""


def _version(module: str) -> str | None:
    """The version of an importable module; None if only an import of the module would tell it.

    MMPretrain imports all its models with its top level, so its version is read from the installed metadata instead.
    """
    if module != 'mmpretrain':
        return import_module(module).__version__
    if find_spec(module) is None:
        raise ModuleNotFoundError(f"No module named '{module}'")
    for distribution in ('onedl-mmpretrain', 'mmpretrain'):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return None


def _check_dependencies() -> None:
    """Raise an ImportError that says what to install if an OpenMMLab package is missing, too old or does not fit.

    The packages check each other with assertions at import, so an AssertionError is also caught.
    """
    advice = 'install them with `pip install -r requirements/mminstall.txt`'
    needed = ', '.join(f'{module}>={minimum}' for module, minimum in MINIMUM_VERSIONS.items())
    for module, minimum in MINIMUM_VERSIONS.items():
        try:
            found = _version(module)
        except (ImportError, AssertionError) as error:
            raise ImportError(
                f'mmvice {__version__} needs {needed}, but {module} cannot be imported ({error}): {advice}.'
            ) from error
        from mmengine.utils import digit_version

        if found is not None and digit_version(found) < digit_version(minimum):
            raise ImportError(f'mmvice {__version__} needs {needed}, but found {module} {found}: {advice}.')


_check_dependencies()
