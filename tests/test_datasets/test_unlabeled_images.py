import os
import pickle

import pytest
from awkward_files import encode, scene, write_files
from mmengine.registry import DefaultScope

from mmvice.datasets import CamVidDataset, SeededIndex, UnlabeledImageDataset
from mmvice.datasets.transforms import LoadImageFromFile
from mmvice.registry import DATASETS

LOAD = [dict(type='LoadImageFromFile')]


def write_images(folder, *names):
    write_files(folder, dict.fromkeys(names, encode(scene(), 'PNG')))


def names(dataset):
    return [os.path.basename(dataset.get_data_info(index)['img_path']) for index in range(len(dataset))]


def test_skipping_does_not_depend_on_what_was_skipped_before(tmp_path, warnings):
    write_images(tmp_path, *(f'{number}.png' for number in range(4)))
    write_files(tmp_path, {f'bad{number}.png': b'' for number in range(4)})
    fresh, used = (UnlabeledImageDataset(str(tmp_path), pipeline=LOAD) for _ in range(2))
    [used[index] for index in range(8)]
    for index in range(8):
        index = SeededIndex(index, (5, 0))
        assert fresh[index]['img_path'] == used[index]['img_path']


def test_only_unusable_images_is_an_error(tmp_path, warnings):
    write_files(tmp_path, {f'{number}.png': b'' for number in range(3)})
    dataset = UnlabeledImageDataset(str(tmp_path), pipeline=LOAD)
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r'none of the 3 images is usable; the last one: .*\.png. is empty'):
            dataset[0]
    assert len(warnings) == 3
    with pytest.raises(RuntimeError, match=r"0\.png' is empty: a file of 0 bytes"):
        UnlabeledImageDataset(str(tmp_path), pipeline=LOAD, test_mode=True)[0]


def test_a_mistake_in_a_transform_is_not_taken_for_a_bad_image(tmp_path):
    write_images(tmp_path, 'a.png')

    def broken(results):
        raise KeyError('superpixels')

    with pytest.raises(KeyError, match='superpixels'):
        UnlabeledImageDataset(str(tmp_path), pipeline=[*LOAD, broken])[0]


def test_folders_in_order_without_repeats_and_names_sorted(tmp_path):
    write_images(tmp_path, 'b/2.png', 'b/1.png', 'a/deep/0.png', 'a/3.png', 'c/ignored.png')
    both = UnlabeledImageDataset(str(tmp_path), dict(img_path=['b', 'a', str(tmp_path / 'b')]))
    assert names(both) == ['1.png', '2.png', '3.png', '0.png']
    assert names(UnlabeledImageDataset(str(tmp_path), dict(img_path='a'))) == ['3.png', '0.png']
    assert names(UnlabeledImageDataset(str(tmp_path), extensions=['jpg', '.PNG'])) == [
        *('3.png', '0.png', '1.png', '2.png', 'ignored.png'),
    ]


def test_list_files(tmp_path):
    (tmp_path / 'one.txt').write_text('x/ü.png\r\n\r\ny.png\r\n', encoding='utf-8')
    (tmp_path / 'two.txt').write_text(f'{tmp_path}/z.png')
    dataset = UnlabeledImageDataset(str(tmp_path), ann_file=['one.txt', 'two.txt'])
    paths = [dataset.get_data_info(index)['img_path'] for index in range(3)]
    assert paths == [f'{tmp_path}/x/ü.png', f'{tmp_path}/y.png', f'{tmp_path}/z.png']
    below = UnlabeledImageDataset(str(tmp_path), dict(img_path='img'), ann_file='one.txt')
    assert below.get_data_info(1)['img_path'] == f'{tmp_path}/img/y.png'


def test_nothing_to_find_is_an_error_that_names_the_place(tmp_path):
    (tmp_path / 'hollow' / 'inside').mkdir(parents=True)
    (tmp_path / 'blank.txt').write_text('\n\r\n')
    with pytest.raises(FileNotFoundError, match='no image in .*hollow'):
        UnlabeledImageDataset(str(tmp_path), dict(img_path='hollow'))
    with pytest.raises(FileNotFoundError, match='no folder .*missing'):
        UnlabeledImageDataset(str(tmp_path), dict(img_path='missing'))
    with pytest.raises(FileNotFoundError, match='no list file .*missing.txt'):
        UnlabeledImageDataset(str(tmp_path), ann_file='missing.txt')
    with pytest.raises(FileNotFoundError, match='blank.txt.* names no image'):
        UnlabeledImageDataset(str(tmp_path), ann_file='blank.txt')
    with pytest.raises(ValueError, match='has 2'):
        UnlabeledImageDataset(str(tmp_path), dict(img_path=['a', 'b']), ann_file='blank.txt')


def test_subsets_lazy_loading_pickling_and_building(tmp_path):
    write_images(tmp_path, *(f'{number}.png' for number in range(6)))
    dataset = DATASETS.build(dict(type='UnlabeledImageDataset', data_root=str(tmp_path), pipeline=LOAD))
    assert dataset.metainfo['classes'] == ()
    assert names(dataset.get_subset(2)) == ['0.png', '1.png']
    assert names(dataset.get_subset(-2)) == ['4.png', '5.png']
    assert names(dataset.get_subset([3, 0])) == ['3.png', '0.png']
    assert names(UnlabeledImageDataset(str(tmp_path), indices=[5, 1])) == ['5.png', '1.png']
    lazy = UnlabeledImageDataset(str(tmp_path), lazy_init=True)
    assert not lazy._fully_initialized and len(lazy) == 6
    assert names(pickle.loads(pickle.dumps(dataset))) == names(dataset)
    assert dataset.get_data_info(-1)['sample_idx'] == 5
    with pytest.raises(IndexError):
        dataset.get_data_info(6)


def test_images_that_nobody_named_are_asked_for(tmp_path):
    """Else the current directory would be scanned."""
    with pytest.raises(ValueError, match='no images were named'):
        UnlabeledImageDataset()
    with pytest.raises(ValueError, match="must have the key 'img_path'"):
        UnlabeledImageDataset(data_root=str(tmp_path), data_prefix=dict(img='sub'))
    (tmp_path / 'list.txt').touch()
    with pytest.raises(NotADirectoryError, match='is a file; give its folder, or a list of images as ann_file'):
        UnlabeledImageDataset(data_root=str(tmp_path / 'list.txt'))


def test_list_files_of_all_kinds_of_lines(tmp_path, warnings):
    """Missing entries, blank lines, Windows line ends, a byte order mark, any bytes, repeats and trailing spaces."""
    odd = os.fsdecode(b'caf\xe9.png')
    write_images(tmp_path, 'ü 図.png', odd, 'b.png')
    lines = ['ü 図.png', '', 'gone.png', f'{odd}  ', '   ', 'b.png', 'b.png']
    (tmp_path / 'list.txt').write_bytes(b'\xef\xbb\xbf' + b'\r\n'.join(map(os.fsencode, lines)))
    dataset = UnlabeledImageDataset(str(tmp_path), ann_file='list.txt', pipeline=LOAD)
    assert names(dataset) == ['ü 図.png', 'gone.png', odd, 'b.png', 'b.png'], 'a line is a sample'
    items = [dataset[SeededIndex(index, (0, 0))] for index in range(5)]
    assert {os.path.basename(item['img_path']) for item in items} == {'ü 図.png', odd, 'b.png'}
    assert len(warnings) == 1
    assert "gone.png' cannot be read: No such file or directory (1 of 5 images" in warnings[0]


def test_a_list_none_of_whose_files_exists_is_an_error_at_the_first_use(tmp_path, warnings):
    (tmp_path / 'list.txt').write_text('train/a.png\ntrain/b.png')
    dataset = UnlabeledImageDataset(str(tmp_path), ann_file='list.txt', pipeline=LOAD)
    message = r"none of the 2 files that .*list\.txt' names exists; the first is '.*/train/a\.png': check data_root and"
    with pytest.raises(FileNotFoundError, match=message):
        dataset[1]
    assert not warnings
    (tmp_path / 'list.txt').write_text('train/a.png', encoding='utf-16')
    with pytest.raises(ValueError, match='not UTF-8 text'):
        UnlabeledImageDataset(str(tmp_path), ann_file='list.txt')


def test_a_folder_that_may_not_be_read_is_an_error(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, 'Permission denied', path)

    monkeypatch.setattr(os, 'scandir', refuse)
    with pytest.raises(PermissionError, match='Permission denied: the folder cannot be listed'):
        UnlabeledImageDataset(str(tmp_path))


def test_pipelines_are_ours_also_without_a_default_scope(tmp_path):
    for scope in ('mmvice', None):
        with DefaultScope.overwrite_default_scope(scope):
            for kind in (UnlabeledImageDataset, CamVidDataset):
                dataset = kind(str(tmp_path), dict(img_path='x'), lazy_init=True, pipeline=LOAD)
                assert isinstance(dataset.pipeline.transforms[0], LoadImageFromFile)


def test_every_ending_is_looked_for_and_the_rest_is_told(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr('mmvice.utils.console.print_log', lambda text, **_: lines.append(text))
    write_images(tmp_path, 'a/1.png')
    for ending in ('jfif', 'j2k', 'JPX', 'apng', 'mpo', 'avifs', 'heic', 'HEIC', 'txt'):
        (tmp_path / f'a/x.{ending}').write_bytes(b'x')
    (tmp_path / 'README').write_bytes(b'x')
    write_images(tmp_path, 'b/1.png')
    assert len(UnlabeledImageDataset(str(tmp_path), dict(img_path=['a', 'b']))) == 8
    assert lines == [
        f"UnlabeledImageDataset: 8 images: 7 in '{tmp_path}/a', 1 in '{tmp_path}/b'; "
        'left out 3 files: 2 *.heic, 1 *.txt'
    ]
    lines.clear()
    UnlabeledImageDataset(str(tmp_path), dict(img_path='.'))
    assert lines[0].endswith('left out 4 files: 2 *.heic, 1 without ending, 1 *.txt')
    (tmp_path / 'list.txt').write_text('a/1.png\n')
    UnlabeledImageDataset(str(tmp_path), ann_file='list.txt')
    assert lines[1] == f"UnlabeledImageDataset: 1 image, listed in '{tmp_path}/list.txt'"


@pytest.mark.parametrize('extensions', ['.png', 'PNG', ['.png', 1], 1, 2024])
def test_one_ending_need_not_be_in_a_list(tmp_path, extensions):
    write_images(tmp_path, 'a.png')
    for name in ('a.p', 'a.1', 'a.2024'):
        (tmp_path / name).write_bytes(b'')
    found = {'a.png', 'a.1', 'a.2024'} if not isinstance(extensions, (str, list)) else {'a.png'}
    found = found & {f'a.{extensions}'} if isinstance(extensions, int) else found
    found = found | {'a.1'} if isinstance(extensions, list) else found
    assert {*names(UnlabeledImageDataset(str(tmp_path), extensions=extensions))} == found


def test_an_ending_that_is_none_is_told(tmp_path):
    with pytest.raises(ValueError, match='UnlabeledImageDataset: extensions must be the name'):
        UnlabeledImageDataset(str(tmp_path), extensions=[True])


def test_folders_whose_names_are_numbers_or_lists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path, '2024/1.png', '2025/2.png', '0.5/3.png', 'imgs, 2023/4.png')
    assert names(UnlabeledImageDataset(2024)) == ['1.png']
    assert names(UnlabeledImageDataset(tmp_path / '2024')) == ['1.png']
    assert names(UnlabeledImageDataset('', dict(img_path=[2025, 0.5]))) == ['2.png', '3.png']
    assert names(UnlabeledImageDataset('imgs, 2023')) == ['4.png']
    for wrong in (
        dict(data_root=['imgs', 2023]),
        dict(data_prefix=dict(img_path=[True])),
        dict(ann_file={}),
    ):
        with pytest.raises(ValueError, match='UnlabeledImageDataset: .* must be the name of one file or folder, got'):
            UnlabeledImageDataset(**wrong)
    for number in (1e5, 2023.0, 1e-7, 1.5e300, float('nan'), -0.5):
        for wrong in (dict(data_root=number), dict(data_prefix=dict(img_path=['a', number]))):
            with pytest.raises(ValueError, match='can be written in several ways: put the name in quotation marks'):
                UnlabeledImageDataset(**wrong)
    with pytest.raises(ValueError, match=r"data_prefix must be dict\(img_path='...'\), got 'imgs'"):
        UnlabeledImageDataset(data_prefix='imgs')
