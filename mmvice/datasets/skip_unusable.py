"""Skipping files that a data set cannot use."""

import logging
from collections.abc import Callable

from mmvice.utils.console import tell
from mmvice.utils.image_files import UnusableFileError, printable


class SkipUnusableMixin:
    """Skips unusable files in training, with a warning that names and counts them; raises an error in testing.

    Testing raises an error because a score over fewer images is another score. A class with this mixin must set
    :attr:`skipped` to an empty dict before it reads files.
    """

    skipped: dict[int, str]
    """Index and defect of the samples passed over, in this process."""

    def _skip(self, index: int, defect: str) -> None:
        """Skip a sample.

        Args:
            index: Index of the sample.
            defect: A sentence that names the file.

        Raises:
            RuntimeError: In a test, or if no sample is left.
        """
        self.last_reason = defect
        if self.test_mode:
            raise RuntimeError(f'{type(self).__name__}: {defect}')
        if index not in self.skipped:
            self.skipped[index] = defect
            count = f'{len(self.skipped)} of {len(self)} images skipped so far in this process'
            tell(self, f'skipped an image: {defect} ({count})', logging.WARNING)
        if len(self.skipped) == len(self):
            raise RuntimeError(
                f'{type(self).__name__}: none of the {len(self)} images is usable; the last one: {defect}'
            )

    def _apply(self, transform: Callable[[dict], dict | None], results: dict) -> dict | None:
        """Apply a step of the pipeline; None if the image is unusable.

        Any other error is a fault of the config or the code, and would occur with every image. The log then names the
        image.
        """
        index, path = results['sample_idx'], printable(results['img_path'])
        try:
            transformed = transform(results)
        except UnusableFileError as error:
            return self._skip(index, str(error))
        except Exception:
            tell(self, f'{type(transform).__name__} failed on {path}', logging.ERROR)
            raise
        if transformed is None:
            self.last_reason = f'{transform!r} took nothing from {path}'
        return transformed

    def get_subset_(self, indices) -> None:
        """Keep the first n samples (an int n), the last n (-n), or those at a sequence of indices."""
        super().get_subset_(indices)
        self.skipped = {}

    def get_subset(self, indices):
        """A data set of the first n samples (an int n), the last n (-n), or those at a sequence of indices."""
        subset = super().get_subset(indices)
        subset.skipped = {}
        return subset
