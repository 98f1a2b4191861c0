import numpy as np
from mmseg.datasets.transforms import LoadAnnotations as MMSegLoadAnnotations

from mmvice.registry import TRANSFORMS
from mmvice.utils.image_files import decode_labels, printable
from mmvice.utils.reading import read_file


@TRANSFORMS.register_module()
class LoadAnnotations(MMSegLoadAnnotations):
    """MMSegmentation's transform for label maps, without its overflow of values.

    MMSegmentation's casts to 8 bits, which turns 256 into class 0. This transform reads the stored values of 16-bit
    label maps, and the indices of palettes. Colours, JPEGs and values above 255 raise an error that names the file; see
    :func:`mmvice.utils.label_files.decode_labels`.

    Required Keys:

    - seg_map_path, reduce_zero_label, label_map, seg_fields: as MMSegmentation's data sets give them

    Added Keys:

    - gt_seg_map: uint8 (H, W)

    Args:
        reduce_zero_label, backend_args: As of :class:`mmseg.datasets.transforms.LoadAnnotations`.

    Raises:
        UnusableFileError: If the file cannot be read or decoded.
        ValueError: If its values are not class ids.
    """

    def __init__(self, reduce_zero_label: bool | None = None, backend_args: dict | None = None) -> None:
        super().__init__(reduce_zero_label, backend_args)

    def _load_seg_map(self, results: dict) -> None:
        if 'seg_map_path' not in results:
            raise KeyError(
                f"{type(self).__name__} needs 'seg_map_path': give the data set the folder of its label maps, "
                'data_prefix=dict(img_path=..., seg_map_path=...)'
            )
        path = results['seg_map_path']
        try:
            labels = decode_labels(read_file(path, self.backend_args))
        except ValueError as error:
            raise type(error)(f'{printable(path)} {error}') from error
        if labels.dtype != np.uint8:
            labels = _narrow(labels, path)
        reduce_zero_label = results['reduce_zero_label'] if self.reduce_zero_label is None else self.reduce_zero_label
        if reduce_zero_label:
            labels = labels - np.uint8(1)  # 0 becomes 255, by the arithmetic of 8 bits
            labels[labels == 254] = 255
        if results.get('label_map') is not None:
            table = np.arange(256, dtype=np.uint8)
            for old, new in results['label_map'].items():
                table[old] = new
            labels = table[labels]
        results['gt_seg_map'] = labels
        results['seg_fields'].append('gt_seg_map')

    def __repr__(self) -> str:
        return f'{type(self).__name__}(reduce_zero_label={self.reduce_zero_label}, backend_args={self.backend_args})'


def _narrow(labels: np.ndarray, path: str) -> np.ndarray:
    wrong = np.unique(labels[(labels < 0) | (labels > 255)])
    if wrong.size:
        more = ', ...' if wrong.size > 10 else ''
        raise ValueError(
            f'{printable(path)} has the values {", ".join(map(str, wrong[:10].tolist()))}{more}, but label maps hold '
            'class ids from 0 on, and 255 for pixels that do not count'
        )
    return labels.astype(np.uint8)
