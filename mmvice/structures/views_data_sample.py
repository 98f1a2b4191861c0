"""The data that a model gets besides the views of an image."""

import torch
from mmengine.structures import BaseDataElement


class ViewsDataSample(BaseDataElement):
    """The regions and masks of the M views of one image, both optional.

    PackViCEInputs writes this metainfo: ``num_regions`` (int I), ``img_path``, ``ori_shape``, ``view_boxes`` (float32
    (M, 4), xyxy in image pixels), ``view_flips`` (bool (M,)) and ``noise_seed`` (int, for the noise of masked pixels).

    Example:
        >>> import torch
        >>> sample = ViewsDataSample(metainfo=dict(num_regions=2))
        >>> sample.regions = torch.tensor([[[0, 1, -1]], [[1, 0, 0]]], dtype=torch.int32)
        >>> sample.num_regions, tuple(sample.regions.shape), 'view_masks' in sample
        (2, (2, 1, 3), False)
    """

    @property
    def regions(self) -> torch.Tensor:
        """int32 (M, h, w): regions 0..I-1 that are in every view, -1 elsewhere."""
        return self._regions

    @regions.setter
    def regions(self, value: torch.Tensor) -> None:
        _check('regions', value, torch.int32)
        self.set_field(value, '_regions', dtype=torch.Tensor)

    @regions.deleter
    def regions(self) -> None:
        del self._regions

    @property
    def view_masks(self) -> torch.Tensor:
        """bool (M, h, w): pixels that are hidden from the network."""
        return self._view_masks

    @view_masks.setter
    def view_masks(self, value: torch.Tensor) -> None:
        _check('view_masks', value, torch.bool)
        self.set_field(value, '_view_masks', dtype=torch.Tensor)

    @view_masks.deleter
    def view_masks(self) -> None:
        del self._view_masks

    def pin_memory(self) -> 'ViewsDataSample':
        """A copy in page-locked memory; a DataLoader with ``pin_memory=True`` makes it."""
        sample = self.new()
        sample.set_data({name: value.pin_memory() for name, value in self.items()})
        return sample


def _check(name: str, value: torch.Tensor, dtype: torch.dtype) -> None:
    """Raise unless ``value`` is a tensor (M, h, w) of this type."""
    if not isinstance(value, torch.Tensor):
        raise TypeError(f'{name} must be a tensor, got {type(value).__name__}')
    if value.dtype != dtype or value.ndim != 3:
        raise ValueError(f'{name} must be {dtype} (M, h, w), got {value.dtype} {tuple(value.shape)}')
