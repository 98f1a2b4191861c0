from mmvice.registry import DATASETS

from .coco_stuff_classes import FINE_LABELS
from .labeled_images import LabeledImageDataset


@DATASETS.register_module()
class COCOStuff27Dataset(LabeledImageDataset):
    """COCO-Stuff 164k in the 27 coarse classes of IIC and PiCIE: 49,629 curated train images and 2,175 val images.

    It reads the files of ``tools/dataset_converters/coco_stuff27.py``. Set ``ann_file`` to a list of the curated
    images: only these have label maps.
    """

    METAINFO = dict(
        classes=tuple(FINE_LABELS),
        palette=[
            *([0, 80, 160], [90, 120, 180], [255, 140, 0], [160, 82, 45], [200, 160, 220], [0, 160, 160]),
            *([255, 0, 200], [255, 200, 0], [150, 0, 0], [220, 20, 60], [120, 0, 200], [0, 0, 142]),
            *([225, 225, 200], [200, 170, 130], [230, 190, 80], [120, 60, 20], [150, 150, 110], [240, 130, 170]),
            *([140, 130, 150], [160, 220, 230], [70, 70, 70], [128, 64, 128], [60, 140, 40], [110, 180, 240]),
            *([110, 100, 80], [190, 153, 153], [20, 110, 200]),
        ],
    )
    layout = """expected under data_root, after tools/dataset_converters/coco_stuff27.py:
    images/{train2017,val2017}/*.jpg
    annotations27/{train2017,val2017}/*.png    8-bit ids 0..26, 255 = ignore
    lists/{train2017,val2017}.txt              the curated ids
with data_prefix=dict(img_path='images/val2017', seg_map_path='annotations27/val2017'), ann_file='lists/val2017.txt'"""
