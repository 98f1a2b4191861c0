"""Classes of the scenes, and the colours that labels are shown in (not those of the scenes)."""

CLASSES = ('sky', 'road', 'sidewalk', 'building', 'vegetation', 'vehicle', 'person', 'pole')
SKY, ROAD, SIDEWALK, BUILDING, VEGETATION, VEHICLE, PERSON, POLE = range(len(CLASSES))
PALETTE = [
    [70, 130, 180],
    [128, 64, 128],
    [244, 35, 232],
    [70, 70, 70],
    [107, 142, 35],
    [0, 0, 142],
    [220, 20, 60],
    [153, 153, 153],
]
