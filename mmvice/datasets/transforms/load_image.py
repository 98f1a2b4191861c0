from importlib.util import find_spec

from mmcv.image import io as mmcv_io
from mmcv.transforms import LoadImageFromFile as MMCVLoadImageFromFile

from mmvice.registry import TRANSFORMS
from mmvice.utils.image_files import UnusableFileError, check_stretch, decode_image, printable
from mmvice.utils.reading import read_file

_PACKAGES = dict(turbojpeg='turbojpeg', tifffile='tifffile')  # of backends that MMCV does not bring along


@TRANSFORMS.register_module()
class LoadImageFromFile(MMCVLoadImageFromFile):
    """MMCV's transform, with errors that say what is wrong with a file and a limit on pixels.

    :func:`mmvice.utils.image_files.decode_image` describes the result for every kind of image, and which are refused.

    Required Keys:

    - img_path

    Added Keys:

    - img: with the arguments' defaults uint8 (H, W, 3), BGR
    - img_shape, ori_shape: (H, W)

    Args:
        to_float32, color_type, imdecode_backend, ignore_empty, backend_args: As of
            :class:`mmcv.transforms.LoadImageFromFile`.
        value_range: The stored values (black, white) that become 0 and 255, in files of more than 8 bits a value: (0,
            4095) for 12 bits. By default, the upper 8 of 16 bits are read.
        percentiles: The same as percentiles of each image's values: (1, 99).

    Raises:
        ValueError: If a setting has an unknown value, or ``imdecode_backend`` cannot decode an undamaged image.
        UnusableFileError: If the file cannot be read or decoded. It is a ValueError, and names the file.
        OSError, MemoryError: If disk or network fail for long, or this process lacks open files or memory.
    """

    def __init__(
        self,
        to_float32: bool = False,
        color_type: str = 'color',
        imdecode_backend: str = 'cv2',
        ignore_empty: bool = False,
        *,
        value_range: tuple[float, float] | None = None,
        percentiles: tuple[float, float] | None = None,
        backend_args: dict | None = None,
    ) -> None:
        name = type(self).__name__
        if imdecode_backend not in mmcv_io.supported_backends:
            raise ValueError(
                f'{name}: imdecode_backend must be one of {mmcv_io.supported_backends}, got {imdecode_backend!r}'
            )
        if imdecode_backend in _PACKAGES and find_spec(_PACKAGES[imdecode_backend]) is None:
            raise ValueError(
                f'{name}: imdecode_backend={imdecode_backend!r} needs the package {_PACKAGES[imdecode_backend]!r}, '
                "which is not installed: install it, or leave imdecode_backend='cv2'"
            )
        if color_type not in mmcv_io.imread_flags:
            raise ValueError(f'{name}: color_type must be one of {[*mmcv_io.imread_flags]}, got {color_type!r}')
        if backend_args is not None and not isinstance(backend_args, dict):
            raise ValueError(f"{name}: backend_args must be a dict such as dict(backend='local'), got {backend_args!r}")
        try:
            check_stretch(value_range, percentiles, imdecode_backend)
        except ValueError as error:
            raise ValueError(f'{name}: {error}') from error
        self.value_range, self.percentiles = value_range, percentiles
        super().__init__(to_float32, color_type, imdecode_backend, None, ignore_empty, backend_args=backend_args)

    def transform(self, results: dict) -> dict | None:
        path = results['img_path']
        content = None
        try:
            content = read_file(path, self.backend_args)
            image = decode_image(
                content,
                self.color_type,
                self.imdecode_backend,
                self.value_range,
                self.percentiles,
                path,
            )
        except UnusableFileError as error:
            if self.ignore_empty:
                return None
            if content is not None:
                self._require_bad(content, path, error)
            raise UnusableFileError(f'{printable(path)} {error}') from error
        results['img'] = image.astype('float32') if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def _require_bad(self, content: bytes, path: str, error: UnusableFileError) -> None:
        """Raise ValueError if only ``imdecode_backend`` cannot decode a file: the setting is wrong, not the image."""
        if self.imdecode_backend in (None, 'cv2'):
            return
        try:
            decode_image(content, value_range=(0, 1))  # the range is any: without one, depths are refused
        except UnusableFileError:
            return
        raise ValueError(
            f'{type(self).__name__}: imdecode_backend={self.imdecode_backend!r} cannot decode an undamaged image, '
            f"{printable(path)} {error}: leave imdecode_backend='cv2'"
        ) from error

    def __repr__(self) -> str:
        return f'{super().__repr__()[:-1]}, value_range={self.value_range}, percentiles={self.percentiles})'
