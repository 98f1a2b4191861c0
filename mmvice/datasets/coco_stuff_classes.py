"""The 182 labels of COCO-Stuff, grouped into the 27 coarse classes that IIC, PiCIE and ViCE are measured on.

Pixel values are those of the published ``stuffthingmaps`` (Caesar et al., COCO-Stuff, 2018): the id in its
``labels.txt`` less one. Eleven things have an id, but COCO has none of them labelled: street sign, hat, shoe, eye
glasses, plate, mirror, window, desk, door, blender and hair brush.
"""

# fmt: off
FINE_LABELS = {
    'electronic-things': {
        'tv': 71, 'laptop': 72, 'mouse': 73, 'remote': 74, 'keyboard': 75, 'cell phone': 76,
    },
    'appliance-things': {
        'microwave': 77, 'oven': 78, 'toaster': 79, 'sink': 80, 'refrigerator': 81, 'blender': 82,
    },
    'food-things': {
        'banana': 51, 'apple': 52, 'sandwich': 53, 'orange': 54, 'broccoli': 55, 'carrot': 56, 'hot dog': 57,
        'pizza': 58, 'donut': 59, 'cake': 60,
    },
    'furniture-things': {
        'chair': 61, 'couch': 62, 'potted plant': 63, 'bed': 64, 'mirror': 65, 'dining table': 66, 'window': 67,
        'desk': 68, 'toilet': 69, 'door': 70,
    },
    'indoor-things': {
        'book': 83, 'clock': 84, 'vase': 85, 'scissors': 86, 'teddy bear': 87, 'hair drier': 88, 'toothbrush': 89,
        'hair brush': 90,
    },
    'kitchen-things': {
        'bottle': 43, 'plate': 44, 'wine glass': 45, 'cup': 46, 'fork': 47, 'knife': 48, 'spoon': 49, 'bowl': 50,
    },
    'accessory-things': {
        'hat': 25, 'backpack': 26, 'umbrella': 27, 'shoe': 28, 'eye glasses': 29, 'handbag': 30, 'tie': 31,
        'suitcase': 32,
    },
    'animal-things': {
        'bird': 15, 'cat': 16, 'dog': 17, 'horse': 18, 'sheep': 19, 'cow': 20, 'elephant': 21, 'bear': 22,
        'zebra': 23, 'giraffe': 24,
    },
    'outdoor-things': {
        'traffic light': 9, 'fire hydrant': 10, 'street sign': 11, 'stop sign': 12, 'parking meter': 13, 'bench': 14,
    },
    'person-things': {
        'person': 0,
    },
    'sports-things': {
        'frisbee': 33, 'skis': 34, 'snowboard': 35, 'sports ball': 36, 'kite': 37, 'baseball bat': 38,
        'baseball glove': 39, 'skateboard': 40, 'surfboard': 41, 'tennis racket': 42,
    },
    'vehicle-things': {
        'bicycle': 1, 'car': 2, 'motorcycle': 3, 'airplane': 4, 'bus': 5, 'train': 6, 'truck': 7, 'boat': 8,
    },
    'ceiling-stuff': {
        'ceiling-other': 101, 'ceiling-tile': 102,
    },
    'floor-stuff': {
        'carpet': 100, 'floor-marble': 113, 'floor-other': 114, 'floor-stone': 115, 'floor-tile': 116,
        'floor-wood': 117,
    },
    'food-stuff': {
        'food-other': 120, 'fruit': 121, 'salad': 152, 'vegetable': 169,
    },
    'furniture-stuff': {
        'cabinet': 97, 'counter': 106, 'cupboard': 107, 'desk-stuff': 109, 'door-stuff': 111, 'furniture-other': 122,
        'light': 129, 'mirror-stuff': 132, 'shelf': 155, 'stairs': 160, 'table': 164,
    },
    'rawmaterial-stuff': {
        'cardboard': 99, 'metal': 131, 'paper': 138, 'plastic': 142,
    },
    'textile-stuff': {
        'banner': 91, 'blanket': 92, 'cloth': 103, 'clothes': 104, 'curtain': 108, 'mat': 130, 'napkin': 136,
        'pillow': 140, 'rug': 151, 'textile-other': 166, 'towel': 167,
    },
    'wall-stuff': {
        'wall-brick': 170, 'wall-concrete': 171, 'wall-other': 172, 'wall-panel': 173, 'wall-stone': 174,
        'wall-tile': 175, 'wall-wood': 176,
    },
    'window-stuff': {
        'window-blind': 179, 'window-other': 180,
    },
    'building-stuff': {
        'bridge': 94, 'building-other': 95, 'house': 127, 'roof': 150, 'skyscraper': 157, 'tent': 165,
    },
    'ground-stuff': {
        'dirt': 110, 'gravel': 124, 'ground-other': 125, 'mud': 135, 'pavement': 139, 'platform': 143,
        'playingfield': 144, 'railroad': 146, 'road': 148, 'sand': 153, 'snow': 158,
    },
    'plant-stuff': {
        'branch': 93, 'bush': 96, 'flower': 118, 'grass': 123, 'leaves': 128, 'moss': 133, 'plant-other': 141,
        'straw': 162, 'tree': 168,
    },
    'sky-stuff': {
        'clouds': 105, 'sky-other': 156,
    },
    'solid-stuff': {
        'hill': 126, 'mountain': 134, 'rock': 149, 'solid-other': 159, 'stone': 161, 'wood': 181,
    },
    'structural-stuff': {
        'cage': 98, 'fence': 112, 'net': 137, 'railing': 145, 'structural-other': 163,
    },
    'water-stuff': {
        'fog': 119, 'river': 147, 'sea': 154, 'water-other': 177, 'waterdrops': 178,
    },
}
"""Per coarse class, in the order of the ids 0..26: the name and the pixel value of each of its labels."""
# fmt: on

COARSE_OF_FINE = {value: coarse for coarse, labels in enumerate(FINE_LABELS.values()) for value in labels.values()}
"""Coarse id 0..26 of every pixel value 0..181."""
