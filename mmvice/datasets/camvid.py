from mmvice.registry import DATASETS

from .labeled_images import LabeledImageDataset


@DATASETS.register_module()
class CamVidDataset(LabeledImageDataset):
    """CamVid in the 11-class split of SegNet: 367 train, 101 val and 233 test road scenes of 360x480 px.

    Images ``images/{train,val,test}/*.jpg``, labels ``annotations/{train,val,test}/*.png``: 8-bit class ids, 255 is
    ignored. ``tools/dataset_converters/camvid.py`` makes them from the published data (Brostow et al., 2009, and
    Badrinarayanan et al., 2017).
    """

    layout = """expected under data_root, as tools/dataset_converters/camvid.py writes it:
    images/{train,val,test}/*.jpg
    annotations/{train,val,test}/*.png    8-bit class ids, 255 = ignore, named as the images
with data_prefix=dict(img_path='images/train', seg_map_path='annotations/train')"""

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
