from mmseg.datasets import CityscapesDataset as MMSegCityscapesDataset

from mmvice.registry import DATASETS

from .labeled_images import LabeledImageDataset

LAYOUT = """expected under data_root:
    leftImg8bit/{{train,val}}/<city>/*_leftImg8bit.png
    gtFine/{{train,val}}/<city>/*{suffix}    written by tools/dataset_converters/cityscapes.py
with data_prefix=dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train')"""
TRAIN_IDS = '_gtFine_labelTrainIds.png'
LABEL_27_IDS = '_gtFine_label27Ids.png'


@DATASETS.register_module()
class CityscapesDataset(LabeledImageDataset, MMSegCityscapesDataset):
    """Cityscapes in its usual 19 classes (Cordts et al., 2016): 2,975 train and 500 val street scenes of 2048x1024 px.

    Classes and colours are MMSegmentation's. Errors distinguish missing files from wrong ones. Items are seeded.
    """

    layout = LAYOUT.format(suffix=TRAIN_IDS)

    def __init__(self, img_suffix: str = '_leftImg8bit.png', seg_map_suffix: str = TRAIN_IDS, **kwargs) -> None:
        super().__init__(img_suffix=img_suffix, seg_map_suffix=seg_map_suffix, **kwargs)


@DATASETS.register_module()
class Cityscapes27Dataset(LabeledImageDataset):
    """Cityscapes in the 27 classes of PiCIE (Cho et al., 2021): the label ids 7..33, which are all but void.

    Colours are Cityscapes' own, except that pole groups have another grey than poles.
    """

    METAINFO = dict(
        classes=(
            *('road', 'sidewalk', 'parking', 'rail track', 'building', 'wall', 'fence', 'guard rail', 'bridge'),
            *('tunnel', 'pole', 'polegroup', 'traffic light', 'traffic sign', 'vegetation', 'terrain', 'sky'),
            *('person', 'rider', 'car', 'truck', 'bus', 'caravan', 'trailer', 'train', 'motorcycle', 'bicycle'),
        ),
        palette=[
            *([128, 64, 128], [244, 35, 232], [250, 170, 160], [230, 150, 140], [70, 70, 70], [102, 102, 156]),
            *([190, 153, 153], [180, 165, 180], [150, 100, 100], [150, 120, 90], [153, 153, 153], [120, 120, 120]),
            *([250, 170, 30], [220, 220, 0], [107, 142, 35], [152, 251, 152], [70, 130, 180], [220, 20, 60]),
            *([255, 0, 0], [0, 0, 142], [0, 0, 70], [0, 60, 100], [0, 0, 90], [0, 0, 110], [0, 80, 100]),
            *([0, 0, 230], [119, 11, 32]),
        ],
    )
    layout = LAYOUT.format(suffix=LABEL_27_IDS)

    def __init__(self, img_suffix: str = '_leftImg8bit.png', seg_map_suffix: str = LABEL_27_IDS, **kwargs) -> None:
        super().__init__(img_suffix=img_suffix, seg_map_suffix=seg_map_suffix, **kwargs)
