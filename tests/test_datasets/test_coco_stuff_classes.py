"""The table of COCO-Stuff's labels against the numbers that IIC, PiCIE and ViCE use, and against its names."""

from mmvice.datasets import Cityscapes27Dataset, CityscapesDataset, COCOStuff27Dataset
from mmvice.datasets.coco_stuff_classes import COARSE_OF_FINE, FINE_LABELS

FINE_TO_COARSE = """
9 11 11 11 11 11 11 11 11 8 8 8 8 8 8 7 7 7 7 7 7 7 7 7 7 6 6 6 6 6 6 6 6 10 10 10 10 10 10 10 10 10 10 5 5 5 5 5 5 5 5
2 2 2 2 2 2 2 2 2 2 3 3 3 3 3 3 3 3 3 3 0 0 0 0 0 0 1 1 1 1 1 1 4 4 4 4 4 4 4 4 17 17 22 20 20 22 15 25 16 13 12 12 17
17 23 15 15 17 15 21 15 25 13 13 13 13 13 22 26 14 14 15 22 21 21 24 20 22 15 17 16 15 22 24 21 17 25 16 21 17 22 16 21
21 25 21 26 21 24 20 17 14 21 26 15 23 20 21 24 15 24 22 25 15 20 17 17 22 14 18 18 18 18 18 18 18 26 26 19 19 24
"""


def test_the_table_is_the_one_of_the_protocol():
    assert [COARSE_OF_FINE[value] for value in range(182)] == list(map(int, FINE_TO_COARSE.split()))
    assert sum(map(len, FINE_LABELS.values())) == len(COARSE_OF_FINE) == 182


def test_every_label_has_one_name_and_things_come_before_stuff():
    by_value = {value: name for labels in FINE_LABELS.values() for name, value in labels.items()}
    assert len(set(by_value.values())) == 182
    # ids of COCO-Stuff's labels.txt, which are one more than the pixel values
    known = {1: 'person', 12: 'street sign', 26: 'hat', 91: 'hair brush', 92: 'banner', 106: 'clouds', 124: 'grass'}
    known |= {149: 'road', 155: 'sea', 169: 'tree', 171: 'wall-brick', 181: 'window-other', 182: 'wood'}
    assert {number: by_value[number - 1] for number in known} == known
    for coarse, labels in FINE_LABELS.items():
        assert all((value < 91) == coarse.endswith('-things') for value in labels.values()), coarse


def test_names_belong_to_their_coarse_class():
    for coarse, names in {
        'vehicle-things': {'car', 'boat', 'airplane'},
        'animal-things': {'cat', 'zebra'},
        'electronic-things': {'tv', 'laptop', 'cell phone'},
        'sky-stuff': {'clouds', 'sky-other'},
        'water-stuff': {'sea', 'river', 'fog'},
        'ground-stuff': {'road', 'sand', 'snow'},
        'plant-stuff': {'tree', 'grass', 'bush'},
        'building-stuff': {'house', 'skyscraper', 'bridge'},
        'window-stuff': {'window-blind', 'window-other'},
    }.items():
        assert names <= set(FINE_LABELS[coarse])
    assert set(FINE_LABELS['person-things']) == {'person'}
    for kind in ('wall', 'floor', 'ceiling', 'food', 'furniture'):
        stuff = {name for labels in FINE_LABELS.values() for name in labels if name.startswith(f'{kind}-')}
        assert stuff <= set(FINE_LABELS[f'{kind}-stuff'])


def test_classes_and_colours_of_the_data_sets():
    for kind, number in ((COCOStuff27Dataset, 27), (Cityscapes27Dataset, 27), (CityscapesDataset, 19)):
        classes, palette = kind.METAINFO['classes'], kind.METAINFO['palette']
        assert len(classes) == len(set(classes)) == len({tuple(colour) for colour in palette}) == number
        assert all(0 <= channel <= 255 for colour in palette for channel in colour)
    assert COCOStuff27Dataset.METAINFO['classes'][9] == 'person-things'
    assert COCOStuff27Dataset.METAINFO['classes'][26] == 'water-stuff'
    shared = dict(zip(CityscapesDataset.METAINFO['classes'], CityscapesDataset.METAINFO['palette']))
    assert shared.items() <= dict(zip(*Cityscapes27Dataset.METAINFO.values())).items()
