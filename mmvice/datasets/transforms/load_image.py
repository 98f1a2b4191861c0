from mmcv.transforms import LoadImageFromFile as MMCVLoadImageFromFile
from mmengine import fileio

from mmvice.registry import TRANSFORMS
from mmvice.utils.image_files import UnusableFileError, decode_image, explain, printable, require_regular


@TRANSFORMS.register_module()
class LoadImageFromFile(MMCVLoadImageFromFile):
    """MMCV's transform, which tells what is wrong with a file, and does not decode one of too many pixels.

    What images of all kinds come out as, and which do not: :func:`mmvice.utils.image_files.decode_image`.

    Required Keys:

    - img_path

    Added Keys:

    - img: with the arguments' defaults uint8 (H, W, 3), BGR
    - img_shape, ori_shape: (H, W)

    Args:
        to_float32, color_type, imdecode_backend, ignore_empty, backend_args: As of
            :class:`mmcv.transforms.LoadImageFromFile`.

    Raises:
        UnusableFileError: If the file cannot be read or decoded. It is a ValueError, and names the file.
    """

    def __init__(
        self,
        to_float32: bool = False,
        color_type: str = 'color',
        imdecode_backend: str = 'cv2',
        ignore_empty: bool = False,
        *,
        backend_args: dict | None = None,
    ) -> None:
        super().__init__(to_float32, color_type, imdecode_backend, None, ignore_empty, backend_args=backend_args)

    def transform(self, results: dict) -> dict | None:
        path = results['img_path']
        try:
            require_regular(path)
            image = decode_image(
                fileio.get(path, backend_args=self.backend_args), self.color_type, self.imdecode_backend
            )
        except Exception as error:  # storage backends raise whatever they like
            if self.ignore_empty:
                return None
            raise UnusableFileError(f'{printable(path)} {explain(error)}') from error
        results['img'] = image.astype('float32') if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results
