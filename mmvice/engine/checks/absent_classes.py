"""Warnings about classes that no label map has, before a run and with its result."""

import logging

from mmengine.logging import print_log
from torch.utils.data import Dataset

from mmvice.datasets.occurring_classes import occurring_classes


def warn_of_absent_classes(loader: str, dataset: Dataset) -> str | None:
    """Warn of classes that occur in no label map of a data set.

    Nothing is learned or measured of such a class, and a mean over classes leaves it out: where masks are 0 and 255,
    and 255 does not count, one class is left and every score is 100. Label maps are read until all classes are found,
    so that this takes long only where one is absent.

    Args:
        loader: Name of the data set's loader in the config.
        dataset: The data set.

    Returns:
        str: The warning; None where there is nothing to warn of.
    """
    found = occurring_classes(dataset)
    if found is None or not found.absent:
        return None
    several = len(found.absent) > 1
    ids = ', '.join(map(str, found.ids[:10])) + (', ...' if len(found.ids) > 10 else '')
    message = (
        f'{loader}: the {"classes" if several else "class"} {", ".join(map(repr, found.absent))} '
        f'{"occur" if several else "occurs"} in none of {found.number} label maps. They have the ids {ids}'
        f'{", where 255 does not count" if 255 in found.ids else ""}: check the ids of the classes, or take these out '
        'of metainfo'
    )
    if set(found.ids) == {0, 255}:
        message += '. A mask of 0 and 255 needs 0 and 1 in the files'
    print_log(message, logger='current', level=logging.WARNING)
    return message
