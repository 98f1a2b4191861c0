from mmcv import rescale_size
from mmcv.image import geometric
from mmcv.transforms import Resize as MMCVResize

from mmvice.datasets.transforms.checks import get_input
from mmvice.registry import TRANSFORMS
from mmvice.utils.image_files import UnusableFileError, printable

_INTERPOLATIONS = {
    'cv2': geometric.cv2_interp_codes,
    'pillow': geometric.pillow_interp_codes,
    None: geometric.cv2_interp_codes,  # MMCV's own choice
}


@TRANSFORMS.register_module()
class Resize(MMCVResize):
    """MMCV's transform, with an error that names an image too long for its width.

    With its ratio kept, one side of such an image would have less than half a pixel, and OpenCV would fail. In training
    the data sets skip it.

    Required Keys, Modified Keys, Args: as of :class:`mmcv.transforms.Resize`.

    Raises:
        ValueError: If ``scale``, ``backend`` or ``interpolation`` has an invalid value.
        UnusableFileError: If a side would have 0 pixels. It is a ValueError and names the file.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        # MMCV has (0, 0) for a scale that another transform sets for each image
        if self.scale not in (None, (0, 0)) and min(self.scale) < 1:
            raise ValueError(f'{type(self).__name__}: scale must be of at least 1 px, got {self.scale}')
        if self.backend not in _INTERPOLATIONS:
            raise ValueError(
                f'{type(self).__name__}: backend must be one of {[*_INTERPOLATIONS]}, got {self.backend!r}'
            )
        known = [*_INTERPOLATIONS[self.backend]]
        if self.interpolation not in known:
            raise ValueError(
                f'{type(self).__name__}: interpolation must be one of {known} with backend={self.backend!r}, '
                f'got {self.interpolation!r}'
            )

    def transform(self, results: dict) -> dict:
        get_input(results, 'img', 'LoadImageFromFile', self)
        return super().transform(results)

    def _resize_img(self, results: dict) -> None:
        if results.get('img') is not None:
            height, width = results['img'].shape[:2]
            scale = results['scale']
            new = rescale_size((width, height), scale) if self.keep_ratio else scale
            if min(new) < 1:
                bound = f'{scale[0]}x{scale[1]}' if isinstance(scale, tuple) else scale
                raise UnusableFileError(
                    f'{printable(results.get("img_path", "an image"))} is too long for its width: {width}x{height} px, '
                    f'scaled to {bound} ({"with" if self.keep_ratio else "without"} its ratio kept), would have '
                    f'{new[0]}x{new[1]}; cut it into tiles'
                )
        super()._resize_img(results)

    def __repr__(self) -> str:
        names = ('scale', 'scale_factor', 'keep_ratio', 'clip_object_border', 'backend', 'interpolation')
        return f'{type(self).__name__}({", ".join(f"{name}={getattr(self, name)!r}" for name in names)})'
