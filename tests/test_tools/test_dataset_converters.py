"""COCO-Stuff and Cityscapes from their published layouts to the data sets that read them: every label, every mishap."""

import errno
import os
import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmvice.datasets import Cityscapes27Dataset, CityscapesDataset, COCOStuff27Dataset
from mmvice.datasets.coco_stuff_classes import COARSE_OF_FINE
from mmvice.utils import conversion

pytestmark = pytest.mark.usefixtures('mmvice_scope')

TOOLS = Path(__file__).parents[2] / 'tools/dataset_converters'
LOAD = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
CURATED = 'Coco164kFull_Stuff_Coarse_7.txt'
IDS = dict(train2017=['000000000009', '000000000034', '000000581921'], val2017=['000000000139', '000000000285'])
CITYSCAPES_LABELS = """
unlabeled, ego vehicle, rectification border, out of roi, static, dynamic, ground, road, sidewalk, parking,
rail track, building, wall, fence, guard rail, bridge, tunnel, pole, polegroup, traffic light, traffic sign,
vegetation, terrain, sky, person, rider, car, truck, bus, caravan, trailer, train, motorcycle, bicycle"""


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), array)


def files(root):
    return {str(path.relative_to(root)) for path in root.rglob('*') if path.is_file()}


def converter(name, **counts):
    """A converter that takes these for the published numbers of images."""
    tool = runpy.run_path(str(TOOLS / f'{name}.py'))
    tool['NUM_CURATED' if name == 'coco_stuff27' else 'NUM_IMAGES'].update(counts)
    return lambda *arguments: tool['main']([str(argument) for argument in arguments])


@pytest.fixture
def coco(tmp_path):
    """COCO-Stuff with five curated images and one that is not; every label map has all values, turned differently."""
    values = np.array([*range(182), *[255] * 13], np.uint8)
    for split, ids in IDS.items():
        for i, name in enumerate([*ids, '000000000777']):
            write(tmp_path / 'images' / split / f'{name}.jpg', np.full((13, 15, 3), 128, np.uint8))
            write(tmp_path / 'stuffthingmaps' / split / f'{name}.png', np.roll(values, i).reshape(13, 15))
        path = tmp_path / 'curated' / split / CURATED
        path.parent.mkdir(parents=True)
        path.write_text('\n'.join(ids))
    return tmp_path


@pytest.fixture
def convert_coco():
    return converter('coco_stuff27', train2017=3, val2017=2)


@pytest.fixture
def cityscapes(tmp_path):
    """Cityscapes with two train frames and one val frame, which have all 34 label ids and one 255."""
    values = np.resize(np.array([*range(34), 255], np.uint8), (5, 7))
    for split, frame in (
        ('train', 'aachen/aachen_000000_000019'),
        ('train', 'ulm/ulm_000001_000019'),
        ('val', 'munster/munster_000000_000019'),
    ):
        write(tmp_path / 'leftImg8bit' / split / f'{frame}_leftImg8bit.png', np.zeros((5, 7, 3), np.uint8))
        write(tmp_path / 'gtFine' / split / f'{frame}_gtFine_labelIds.png', values)
        write(tmp_path / 'gtFine' / split / f'{frame}_gtFine_instanceIds.png', values.astype(np.uint16) * 1000)
    return tmp_path


@pytest.mark.parametrize('workers', [1, 2])
def test_every_label_of_coco_stuff_arrives_as_its_coarse_class(coco, convert_coco, workers):
    before = files(coco)
    convert_coco(coco, '--workers', workers)
    made = {f'annotations27/{split}/{name}.png' for split, ids in IDS.items() for name in ids}
    assert files(coco) - before == made | {f'lists/{split}.txt' for split in IDS}
    for split, ids in IDS.items():
        dataset = COCOStuff27Dataset(
            data_root=str(coco),
            data_prefix=dict(img_path=f'images/{split}', seg_map_path=f'annotations27/{split}'),
            ann_file=f'lists/{split}.txt',
            pipeline=LOAD,
        )
        assert [Path(dataset.get_data_info(i)['img_path']).stem for i in range(len(dataset))] == ids
        for i, item in enumerate(dataset):
            coarse = np.roll(item['gt_seg_map'].reshape(-1), -i)
            assert coarse.tolist() == [COARSE_OF_FINE[value] for value in range(182)] + [255] * 13


@pytest.mark.parametrize('kind, number', [(CityscapesDataset, 19), (Cityscapes27Dataset, 27)])
def test_every_label_of_cityscapes_arrives_as_the_class_of_its_name(cityscapes, kind, number):
    converter('cityscapes', train=2, val=1)(cityscapes, '--workers', 1)
    dataset = kind(
        data_root=str(cityscapes),
        data_prefix=dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train'),
        pipeline=LOAD,
    )
    assert len(dataset) == 2
    labels = dataset[1]['gt_seg_map'].reshape(-1).tolist()
    classes = dict(enumerate(dataset.metainfo['classes'])) | {255: None}
    names = [name.strip() for name in CITYSCAPES_LABELS.split(',')]
    expected = [name if name in dataset.metainfo['classes'] else None for name in names] + [None]
    assert [classes[label] for label in labels] == expected
    assert len(set(labels) - {255}) == number


def test_train_ids_of_cityscapes(cityscapes):
    converter('cityscapes', train=2, val=1)(cityscapes, '--workers', 1)
    made = cv2.imread(str(next((cityscapes / 'gtFine/val').rglob('*_labelTrainIds.png'))), cv2.IMREAD_UNCHANGED)
    void = [255] * 7
    assert made.dtype == np.uint8 and made.reshape(-1).tolist() == [
        *(*void, 0, 1, 255, 255, 2, 3, 4, 255, 255, 255, 5, 255, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
        *(255, 255, 16, 17, 18, 255),
    ]


def test_images_of_cityscapes_without_labels_are_told_what_to_run(cityscapes):
    with pytest.raises(
        FileNotFoundError, match=r'(?s)2 of 2 images lack.*labelTrainIds.*dataset_converters/cityscapes'
    ):
        CityscapesDataset(
            data_root=str(cityscapes), data_prefix=dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train')
        )
    with pytest.raises(FileNotFoundError, match=r'(?s)no folder .*leftImg8bit/test.*leftImg8bit/\{train,val\}'):
        Cityscapes27Dataset(data_root=str(cityscapes), data_prefix=dict(img_path='leftImg8bit/test'))


def test_a_run_goes_on_where_it_stopped(coco, convert_coco, monkeypatch, capsys):
    bad = coco / 'stuffthingmaps/train2017' / f'{IDS["train2017"][2]}.png'
    good = bad.read_bytes()
    write(bad, np.full((13, 15), 200, np.uint8))
    with pytest.raises(SystemExit, match=rf'^error: .*{bad.name} has the label values \[200\]'):
        convert_coco(coco, '--workers', 1)
    folder = coco / 'annotations27/train2017'
    first, second = (folder / f'{name}.png' for name in IDS['train2017'][:2])
    assert files(folder) == {first.name, second.name}
    assert not (coco / 'lists').exists()

    bad.write_bytes(good)
    second.write_bytes(second.read_bytes()[:-20])
    content, untouched = first.read_bytes(), first.stat()
    convert_coco(coco, '--workers', 1)
    assert (first.read_bytes(), first.stat().st_mtime_ns, first.stat().st_ino) == (
        content,
        untouched.st_mtime_ns,
        untouched.st_ino,
    )
    assert cv2.imread(str(second), cv2.IMREAD_UNCHANGED).shape == (13, 15)
    assert '3 complete, 2 of them written now' in capsys.readouterr().err
    assert (coco / 'lists/train2017.txt').read_bytes() == ''.join(f'{name}\n' for name in IDS['train2017']).encode()

    monkeypatch.setattr(conversion, 'write_image', lambda *_: pytest.fail('nothing is left to write'))
    convert_coco(coco, '--workers', 1)


def test_a_file_that_cannot_be_finished_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError('disk full')

    target = tmp_path / 'a.png'
    monkeypatch.setattr(os, 'replace', full)
    with pytest.raises(OSError, match='disk full'):
        conversion.write_image(str(target), np.zeros((4, 4), np.uint8))
    assert files(tmp_path) == set()
    target.write_bytes(b'')
    assert not conversion.is_complete(str(target)) and not conversion.is_complete(str(tmp_path / 'b.jpg'))


def test_what_is_missing_from_coco_is_counted_and_named(coco, convert_coco):
    first, second, _ = IDS['train2017']
    (coco / f'images/train2017/{first}.jpg').unlink()
    (coco / f'stuffthingmaps/train2017/{second}.png').unlink()
    with pytest.raises(SystemExit) as error:
        convert_coco(coco, '--workers', 1)
    text = str(error.value)
    assert f'1 ids of {coco}/curated/train2017/{CURATED} lack an image in {coco}/images/train2017: {first}' in text
    assert f'lack a label map in {coco}/stuffthingmaps/train2017: {second}' in text and '--allow-partial' in text
    assert not (coco / 'annotations27').exists()
    convert_coco(coco, '--workers', 1, '--allow-partial')
    assert (coco / 'lists/train2017.txt').read_text().split() == IDS['train2017'][2:]
    assert (coco / 'lists/val2017.txt').read_text().split() == IDS['val2017']


def test_published_numbers_are_asked_for(coco, cityscapes):
    with pytest.raises(SystemExit, match=r'3 ids in .*, but 49,629 were published; 2 ids in .*, but 2,175 were'):
        converter('coco_stuff27')(coco)
    with pytest.raises(SystemExit, match=r'2 images in .*, but 2,975 were published; 2 label maps .*; 1 images .*500'):
        converter('cityscapes')(cityscapes)
    converter('cityscapes')(cityscapes, '--allow-partial', '--workers', 1)
    assert len(list(cityscapes.rglob('*_gtFine_label27Ids.png'))) == 3


@pytest.mark.parametrize('line', ['../../../evil', '/etc/hostname', 'a/b', '..', '12\x00', '９'])
def test_lists_cannot_lead_out_of_the_folder(coco, convert_coco, line):
    path = coco / 'curated/train2017' / CURATED
    path.write_text(f'{path.read_text()}\n{line}\n', encoding='utf-8')
    before = files(coco.parent)
    with pytest.raises(SystemExit, match=r'must have an image id of digits on every line, but has'):
        convert_coco(coco, '--allow-partial')
    assert files(coco.parent) == before


@pytest.mark.parametrize(
    'make, message',
    [
        (lambda path: write(path, np.zeros((4, 4, 3), np.uint8)), r'must be an 8-bit label map.*RGB'),
        (lambda path: write(path, np.zeros((4, 4), np.uint16)), r'must be an 8-bit label map.*uint16'),
        (lambda path: path.write_bytes(path.read_bytes()[:60]), r'cannot be read'),
        (lambda path: path.write_bytes(b''), r'cannot be read'),
        (
            lambda path: write(path, np.resize([181, 182, 254, 255], (13, 15)).astype(np.uint8)),
            r'has the label values \[182, 254\]',
        ),
        (lambda path: write(path, np.zeros((4, 5), np.uint8)), r'is 5x4, but its image .*\.jpg 15x13'),
    ],
)
def test_bad_label_maps_are_named(coco, convert_coco, make, message):
    path = coco / 'stuffthingmaps/val2017' / f'{IDS["val2017"][1]}.png'
    make(path)
    with pytest.raises(SystemExit, match=rf'^error: {path} {message}'):
        convert_coco(coco, '--workers', 2)


def test_missing_folders_and_lists_are_named(coco, convert_coco, tmp_path_factory):
    (coco / 'curated/val2017' / CURATED).unlink()
    with pytest.raises(SystemExit, match=rf'(?s)no list {coco}/curated/val2017/.*published layout'):
        convert_coco(coco)
    empty = tmp_path_factory.mktemp('empty')
    with pytest.raises(
        SystemExit, match=rf'(?s)no folder {empty}/images/train2017, .*/stuffthingmaps/val2017; the pub'
    ):
        convert_coco(empty)
    with pytest.raises(SystemExit, match=rf'(?s)no folder {empty}/leftImg8bit/train, .*/gtFine/val; the published'):
        converter('cityscapes')(empty)


def test_label_maps_of_cityscapes_without_image_and_the_other_way_round(cityscapes):
    next(cityscapes.rglob('ulm*_labelIds.png')).unlink()
    next(cityscapes.rglob('aachen*_leftImg8bit.png')).unlink()
    with pytest.raises(SystemExit) as error:
        converter('cityscapes', train=1, val=1)(cityscapes)
    assert '1 images of train lack their label map *_gtFine_labelIds.png: ulm/ulm_000001_000019' in str(error.value)
    assert '1 label maps of train lack their image *_leftImg8bit.png: aachen/aachen_000000_000019' in str(error.value)


@pytest.mark.parametrize('workers', ['0', '-2'])
def test_workers_are_at_least_one(coco, convert_coco, workers):
    with pytest.raises(SystemExit, match=f'--workers must be at least 1, got {workers}'):
        convert_coco(coco, '--workers', workers)


@pytest.mark.parametrize('name', sorted(path.stem for path in TOOLS.glob('*.py')))
def test_help_says_what_is_read_and_written(name, capsys):
    assert os.access(TOOLS / f'{name}.py', os.X_OK)
    with pytest.raises(SystemExit, match='0'):
        runpy.run_path(str(TOOLS / f'{name}.py'))['main'](['--help'])
    text = capsys.readouterr().out
    assert 'usage:' in text and ('written under' in text or 'writes' in text)


@pytest.mark.parametrize('given', [False, True])
def test_where_nothing_can_be_written_another_folder_is_asked_for(cityscapes, tmp_path, monkeypatch, given):
    def refuse(path, *_, **__):
        raise OSError(errno.EROFS, 'Read-only file system', path)

    monkeypatch.setattr(os, 'makedirs', refuse)
    options = ('--out-dir', tmp_path / 'out') if given else ()
    with pytest.raises(SystemExit) as error:
        converter('cityscapes', train=2, val=1)(cityscapes, '--workers', 1, *options)
    place = tmp_path / 'out' if given else cityscapes
    assert str(error.value).startswith(f'error: {place}/gtFine/')
    assert str(error.value).endswith('cannot be written: Read-only file system; name another place by --out-dir DIR')


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path):
    (tmp_path / 'list.txt').write_text('a\n')
    (tmp_path / 'out').touch()
    with pytest.raises(SystemExit, match='out cannot be written: .*; name another place by OUTPUT_DIR'):
        runpy.run_path(str(TOOLS / 'few_shot_subsets.py'))['main']([str(tmp_path / 'list.txt'), str(tmp_path / 'out')])


def test_data_that_may_only_be_read_is_converted_into_another_folder(cityscapes, coco, convert_coco, tmp_path_factory):
    out, before = tmp_path_factory.mktemp('out'), files(coco)
    convert_coco(coco, '--workers', 1, '--out-dir', out / 'new/coco')
    converter('cityscapes', train=2, val=1)(cityscapes, '--workers', 1, '--out-dir', out / 'cityscapes')
    assert files(coco) == before, 'the fixtures share a folder, and neither has changed'
    labels = dict(img_path='leftImg8bit/train', seg_map_path=str(out / 'cityscapes/gtFine/train'))
    assert len(CityscapesDataset(data_root=str(cityscapes), data_prefix=labels, pipeline=LOAD)) == 2
    labels = dict(img_path='images/train2017', seg_map_path=str(out / 'new/coco/annotations27/train2017'))
    dataset = COCOStuff27Dataset(
        data_root=str(coco), data_prefix=labels, ann_file=str(out / 'new/coco/lists/train2017.txt'), pipeline=LOAD
    )
    assert len(dataset) == 3 and dataset[0]['gt_seg_map'].shape == (13, 15)
