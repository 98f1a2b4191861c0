import os.path as osp

from mmseg.datasets import BaseSegDataset

from mmvice.registry import DATASETS

from .seeded_sampling import SeededItemMixin

LAYOUT = """expected under data_root:
    images/{train,val}/*.jpg
    annotations/{train,val}/*.png    8-bit class ids, 255 = ignore, named as the images
with data_prefix=dict(img_path='images/train', seg_map_path='annotations/train')"""


@DATASETS.register_module()
class CamVidDataset(SeededItemMixin, BaseSegDataset):
    """CamVid in the 11-class split of SegNet: 367 train and 101 val road scenes of 360x480 px.

    Images ``images/{train,val}/*.jpg``, labels ``annotations/{train,val}/*.png``: 8-bit class ids, 255 is ignored.
    Without ``seg_map_path`` in ``data_prefix`` the images are taken alone, as for pretraining.

    Raises:
        FileNotFoundError: If a folder is missing or holds no image, or an image has no label map.
    """

    METAINFO = dict(
        classes=(
            'sky',
            'building',
            'pole',
            'road',
            'sidewalk',
            'tree',
            'sign',
            'fence',
            'car',
            'pedestrian',
            'bicyclist',
        ),
        palette=[
            [128, 128, 128],
            [128, 0, 0],
            [192, 192, 128],
            [128, 64, 128],
            [0, 0, 192],
            [128, 128, 0],
            [192, 128, 128],
            [64, 64, 128],
            [64, 0, 128],
            [64, 64, 0],
            [0, 128, 192],
        ],
    )

    def __init__(self, img_suffix: str = '.jpg', seg_map_suffix: str = '.png', **kwargs) -> None:
        super().__init__(img_suffix=img_suffix, seg_map_suffix=seg_map_suffix, **kwargs)

    def load_data_list(self) -> list[dict]:
        if not self.data_prefix.get('img_path') or self.data_prefix['img_path'] == self.data_root:
            raise ValueError(f"CamVid: data_prefix=dict(img_path='images/...', ...) must name the split; {LAYOUT}")
        folders = [self.data_prefix.get(key) for key in ('img_path', 'seg_map_path')]
        for folder in folders:
            if folder is not None and not osp.isdir(folder):
                raise FileNotFoundError(f'CamVid: no folder {folder!r}; {LAYOUT}')
        data_list = super().load_data_list()
        if not data_list:
            raise FileNotFoundError(f'CamVid: no *{self.img_suffix} in {folders[0]!r}; {LAYOUT}')
        for key in ('img_path', 'seg_map_path'):
            missing = [info for info in data_list if key in info and not osp.isfile(info[key])]
            if missing:
                raise FileNotFoundError(
                    f'CamVid: {len(missing)} of {len(data_list)} images lack their {key}; the first is '
                    f'{missing[0][key]!r} of the image {missing[0]["img_path"]!r}; {LAYOUT}'
                )
        return data_list
