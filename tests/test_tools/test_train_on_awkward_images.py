"""Whole runs of tools/train.py over folders in which every kind of file lies."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from awkward_files import encode, scene, unusable_images, usable_images, write_files

from mmvice.utils.checkpoint import load_checkpoint_file

CONFIGS = Path(__file__).parents[2] / 'configs'
USABLE = {name: content for name, (content, *_) in usable_images().items()}
UNUSABLE = {name: content for name, (content, _) in unusable_images().items()}
SMALL = {'pixel.png': encode(scene(1, 1), 'PNG'), 'line.png': encode(scene(1, 500), 'PNG')}
SMALLER = (
    'model.backbone.base_channels=8',
    'model.backbone.init_cfg=None',
    'model.decoder.in_channels=[8,16,32,64]',
    'model.decoder.embed_dims=8',
)


def log_of(work_dir):
    (file,) = work_dir.glob('*/*.log')
    return file.read_text(encoding='utf-8')


def losses(log):
    return [float(number) for number in re.findall(r' loss: (\S+)', log)]


@pytest.mark.slow
def test_pretraining_on_a_mixed_folder_finishes_and_names_what_it_left_out(tool, tmp_path):
    images = tmp_path / 'images'
    write_files(images, USABLE | UNUSABLE | SMALL | {os.fsdecode(b'caf\xe9.png'): USABLE['deep.png']})
    write_files(
        images / 'more', {'notes.txt': b'no image', '.hidden.png': b'', 'large.jpg': encode(scene(300, 900), 'JPEG')}
    )
    (images / 'none').mkdir()
    (images / 'more' / 'loop').symlink_to(images)
    (images / 'dangling.png').symlink_to(images / 'nowhere.png')
    (images / 'itself.png').symlink_to(images / 'itself.png')
    total = len(USABLE) + len(UNUSABLE) + len(SMALL) + 2
    steps = -(-total // 4) + 1  # an epoch, and into the second
    tool(
        'train',
        CONFIGS / 'vice/vice_r18_light-fpn_adamw-2k_folder-64x64.py',
        '--work-dir',
        tmp_path / 'run',
        '--cfg-options',
        *SMALLER,
        f'train_dataloader.dataset.data_root={images}',
        'train_dataloader.batch_size=4',
        'train_dataloader.num_workers=2',
        f'train_cfg.max_iters={steps}',
        'model.head.num_concepts=8',
        'default_hooks.logger.interval=1',
        f'default_hooks.checkpoint.interval={steps}',
        'custom_hooks=[]',
    )
    log = log_of(tmp_path / 'run')
    assert len(losses(log)) == steps and np.isfinite(losses(log)).all()
    weights = load_checkpoint_file(str(tmp_path / 'run' / f'iter_{steps}.pth'))['state_dict']
    assert all(torch.isfinite(value).all() for value in weights.values())
    warnings = re.findall(r'WARNING - UnlabeledImageDataset: skipped an image: (.*)', log)
    assert all(
        re.search(rf'\(\d+ of {total} images skipped so far in this process\)$', warning) for warning in warnings
    )
    for name, (_, reason) in unusable_images().items():
        assert any(re.search(rf"/{name}' ({reason})", warning) for warning in warnings), name
    for name in SMALL:
        assert any(f"/{name}' is too small: " in warning for warning in warnings), name
    left_out = len(UNUSABLE) + len(SMALL)
    assert left_out <= len(warnings) <= 2 * left_out, 'each of the two workers tells once'
    assert not [warning for warning in warnings if any(f"/{name}' " in warning for name in USABLE)]


@pytest.mark.slow
def test_a_probe_passes_over_damaged_files_in_training_and_is_not_scored_on_fewer_images(tool, tmp_path):
    for split in ('train', 'val'):
        for number in range(4):
            image, labels = scene(96, 128, number), np.full((96, 128), number, np.uint8)
            write_files(tmp_path / 'data/images' / split, {f'{number}.jpg': encode(image, 'JPEG')})
            write_files(tmp_path / 'data/annotations' / split, {f'{number}.png': encode(labels, 'PNG')})
    (tmp_path / 'data/images/train/1.jpg').write_bytes(b'')
    labels = tmp_path / 'data/annotations/train/2.png'
    labels.write_bytes(labels.read_bytes()[:-40])
    options = [
        *SMALLER,
        'load_from=None',
        'custom_hooks=[]',
        'train_dataloader.batch_size=2',
        'train_dataloader.num_workers=2',
        'train_cfg.max_iters=4',
        'val_dataloader.num_workers=0',
        'val_dataloader.persistent_workers=False',
        'test_dataloader.num_workers=0',
        'test_dataloader.persistent_workers=False',
        'train_cfg.val_interval=4',
        'default_hooks.logger.interval=1',
        f'train_dataloader.dataset.data_root={tmp_path}/data',
        f'val_dataloader.dataset.data_root={tmp_path}/data',
        f'test_dataloader.dataset.data_root={tmp_path}/data',
    ]
    config = CONFIGS / 'linear_probe/random-init_r18_light-fpn_linear-64-1k_camvid-96x128.py'
    tool('train', config, '--work-dir', tmp_path / 'run', '--cfg-options', *options)
    log = log_of(tmp_path / 'run')
    assert len(losses(log)) == 4 and 'mIoU: ' in log
    assert re.search(r"skipped an image: '\S+/images/train/1\.jpg' is empty: a file of 0 bytes \(\d of 4 images", log)
    assert re.search(r"skipped an image: '\S+/annotations/train/2\.png' cannot be decoded: .*\(\d of 4 images", log)
    (tmp_path / 'data/images/val/3.jpg').write_bytes(b'')
    with pytest.raises(RuntimeError, match=r"CamVidDataset: '\S+/images/val/3\.jpg' is empty"):
        tool('test', config, tmp_path / 'run/iter_4.pth', '--work-dir', tmp_path / 'test', '--cfg-options', *options)
