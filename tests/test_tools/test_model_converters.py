"""Weights go to stock models of MMSegmentation and back, and compute the same there."""

import runpy
from pathlib import Path

import mmseg
import pytest
import torch
import torchvision
from checkpoints import assert_same
from hostile_files import Payload
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.runner.checkpoint import load_checkpoint
from mmseg.registry import MODELS as MMSEG

from mmvice.registry import MODELS
from mmvice.utils.checkpoint import load_checkpoint_file

TOOLS = Path(__file__).parents[2] / 'tools' / 'model_converters'
STOCK = Path(mmseg.__file__).parent / '.mim' / 'configs'
R18 = 'deeplabv3plus/deeplabv3plus_r18b-d8_4xb2-80k_cityscapes-512x1024.py'
R50 = 'deeplabv3plus/deeplabv3plus_r50b-d8_4xb2-80k_cityscapes-512x1024.py'
SEM_FPN = 'sem_fpn/fpn_r50_4xb2-80k_cityscapes-512x1024.py'
PLAIN_R50 = dict(pretrained=None, backbone=dict(type='ResNet'))
D = 10

DEEPLAB = """
default_scope = 'mmvice'
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    type='ViCE',
    backbone=dict(
        type='ResNet', depth={depth}, dilations=(1, 1, 2, 4), strides=(1, 2, 1, 1), contract_dilation=True,
        norm_cfg=norm_cfg, norm_eval=False, style='pytorch'),
    decoder=dict(
        type='SegHeadDecoder', embed_dims=10,
        head=dict(
            type='DepthwiseSeparableASPPHead', in_channels={c4}, in_index=3, channels={channels},
            dilations=(1, 12, 24, 36), c1_in_channels={c1}, c1_channels={low}, norm_cfg=norm_cfg)),
    head=dict(type='DenseSwAVHead', num_concepts=6))
"""
SEMANTIC_FPN = """
default_scope = 'mmvice'
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    type='ViCE',
    backbone=dict(type='ResNet', depth=50, norm_cfg=norm_cfg, norm_eval=False, style='pytorch'),
    decoder=dict(
        type='SegHeadDecoder', embed_dims=10,
        neck=dict(type='FPN', in_channels=[256, 512, 1024, 2048], out_channels=256, num_outs=4),
        head=dict(
            type='FPNHead', in_channels=[256, 256, 256, 256], in_index=[0, 1, 2, 3], feature_strides=[4, 8, 16, 32],
            channels=128, norm_cfg=norm_cfg)),
    head=dict(type='DenseSwAVHead', num_concepts=6))
"""
LIGHT_FPN = """
default_scope = 'mmvice'
model = dict(
    type='ViCE',
    backbone=dict(type='ResNet', depth=18, norm_cfg=dict(type='BN'), style='pytorch'),
    decoder=dict(type='LightFPN', in_channels=[64, 128, 256, 512], embed_dims=10),
    head=dict(type='DenseSwAVHead', num_concepts=6))
"""
CONFIGS = dict(
    r18=DEEPLAB.format(depth=18, c4=512, channels=128, c1=64, low=12),
    r50=DEEPLAB.format(depth=50, c4=2048, channels=512, c1=256, low=48),
    sem_fpn=SEMANTIC_FPN,
    light_fpn=LIGHT_FPN,
)


class Made:
    """A ViCE model with its config and the work folder of its run."""

    def __init__(self, name, folder):
        self.config = folder / f'{name}.py'
        self.config.write_text(CONFIGS[name])
        torch.manual_seed(0)
        with DefaultScope.overwrite_default_scope('mmvice'):
            self.model = revert_sync_batchnorm(MODELS.build(Config.fromfile(self.config).model)).eval()
        for key, value in self.model.named_buffers():
            if 'running_mean' in key:
                value.normal_(0, 0.02)
            if 'running_var' in key:
                value.uniform_(0.5, 1.5)
        self.run = folder / 'run'
        self.run.mkdir()
        torch.save(dict(state_dict=self.model.state_dict(), meta={}), self.run / 'iter_1.pth')
        (self.run / 'last_checkpoint').write_text('/moved/away/iter_1.pth')


@pytest.fixture
def make(tmp_path):
    return lambda name: Made(name, tmp_path)


def stock(config, **changes):
    """A model of MMSegmentation from a config that it brings."""
    cfg = Config.fromfile(STOCK / config)
    cfg.merge_from_dict(dict(model={'pretrained': None, **changes}))
    with DefaultScope.overwrite_default_scope('mmseg'):
        return revert_sync_batchnorm(MMSEG.build(cfg.model)).eval()


def main(tool, *arguments):
    runpy.run_path(str(TOOLS / f'{tool}.py'))['main']([str(argument) for argument in arguments])


def state(path):
    return load_checkpoint_file(path)['state_dict']


@pytest.mark.parametrize(
    ('name', 'config', 'changes'),
    [
        ('r18', R18, {}),
        pytest.param('r50', R50, {}, marks=pytest.mark.slow),
        pytest.param('sem_fpn', SEM_FPN, PLAIN_R50, marks=pytest.mark.slow),
    ],
)
def test_a_stock_segmentor_computes_the_embeddings_and_gives_the_weights_back(
    name, config, changes, make, tmp_path, capsys
):
    made = make(name)
    sizes = dict(decode_head=dict(num_classes=D), **changes)
    options = [f'model.decode_head.num_classes={D}']
    if changes:
        options += ['model.pretrained=None', 'model.backbone.type=ResNet']
    arguments = ['--config', made.config, '--mmseg-config', config, '--cfg-options', *options]
    main('to_mmseg', made.run, tmp_path / 'mmseg.pth', *arguments)
    said = capsys.readouterr().out
    assert str(made.run / 'iter_1.pth') in said
    assert f'D = {D}, becomes the classifier' in said and 'features of the decoder in both models are equal' in said
    assert f'learned anew there: {"auxiliary_head" if name != "sem_fpn" else "nothing"}' in said

    segmentor = stock(config, auxiliary_head=None, **sizes)
    load_checkpoint(segmentor, str(tmp_path / 'mmseg.pth'), map_location='cpu', strict=True)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        maps, theirs = made.model.backbone(images), segmentor.backbone(images)
        for ours, other in zip(maps, theirs):
            assert torch.equal(ours, other) and ours.std() > 0
        features = segmentor.neck(theirs) if segmentor.with_neck else theirs
        embeddings = made.model.decoder(maps)
        assert embeddings.std(dim=(2, 3)).min() > 0
        torch.testing.assert_close(segmentor.decode_head(features), embeddings, rtol=1e-6, atol=1e-6)

    torch.save(dict(state_dict=segmentor.state_dict()), tmp_path / 'trained.pth')
    main('to_vice', tmp_path / 'trained.pth', tmp_path / 'back.pth', '--config', made.config)
    expected = {k: v for k, v in made.model.state_dict().items() if not k.startswith('head.')}
    assert_same(state(tmp_path / 'back.pth'), expected)
    main('to_vice', tmp_path / 'mmseg.pth', tmp_path / 'back.pth')
    assert_same(state(tmp_path / 'back.pth'), expected)


def test_a_runner_of_mmseg_starts_from_the_file(make, tmp_path):
    """With ``load_from`` in the config, as documented: the new classifier alone is not in the file."""
    made = make('r18')
    out = tmp_path / 'mmseg.pth'
    main('to_mmseg', made.run, out, '--mmseg-config', R18)
    segmentor = stock(R18, auxiliary_head=None)
    result = segmentor.load_state_dict(state(out), strict=False)
    assert result.missing_keys == ['decode_head.conv_seg.weight', 'decode_head.conv_seg.bias']
    assert result.unexpected_keys == []
    cfg = dict(work_dir=str(tmp_path / 'work'), load_from=str(out), experiment_name='to_mmseg', log_level='ERROR')
    runner = Runner(model=stock(R18), default_scope='mmseg', **cfg)
    runner.load_or_resume()
    weights = runner.model.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in state(out).items())
    assert weights['decode_head.conv_seg.weight'].shape[0] == 19


def test_a_backbone_is_taken_up_by_init_cfg(make, tmp_path, capsys):
    made = make('light_fpn')
    out = tmp_path / 'backbone.pth'
    main('to_mmseg', made.run, out, '--mmseg-config', R18, '--config', made.config)
    said = capsys.readouterr().out
    assert 'the light FPN has no counterpart in MMSegmentation: the backbone alone is written' in said
    assert 'learned anew there: auxiliary_head, decode_head' in said
    assert 'features of the backbone in both models differ in size' in said
    assert "init_cfg=dict(type='Pretrained'" in said
    assert_same(state(out), {k: v for k, v in made.model.state_dict().items() if k.startswith('backbone.')})

    init = dict(type='Pretrained', checkpoint=str(out), prefix='backbone.')
    plain = dict(type='ResNet', depth=18, init_cfg=init, dilations=(1, 1, 1, 1), strides=(1, 2, 2, 2))
    segmentor = stock(R18, backbone=plain)
    segmentor.init_weights()
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        for ours, theirs in zip(made.model.backbone(images), segmentor.eval().backbone(images)):
            assert torch.equal(ours, theirs) and ours.std() > 0


def test_the_backbone_alone_on_request(make, tmp_path):
    made = make('r18')
    main('to_mmseg', made.run / 'iter_1.pth', tmp_path / 'out.pth', '--backbone-only', '--mmseg-config', R18)
    assert_same(
        state(tmp_path / 'out.pth'), {k: v for k, v in made.model.state_dict().items() if k.startswith('backbone.')}
    )


def test_the_embedding_layer_is_left_out_where_classes_are_others(make, tmp_path, capsys):
    made = make('r18')
    for more, reason in (([], 'no --mmseg-config says'), (['--mmseg-config', R18], 'it has 19 classes')):
        main('to_mmseg', made.run, tmp_path / 'out.pth', *more)
        assert f'the embedding layer, D = {D}, is left out' in (said := capsys.readouterr().out) and reason in said
        assert not any('conv_seg' in key for key in state(tmp_path / 'out.pth'))
        assert any(key.startswith('decode_head.') for key in state(tmp_path / 'out.pth'))
    assert 'learned anew there: auxiliary_head, decode_head.conv_seg' in said
    meta = load_checkpoint_file(tmp_path / 'out.pth')['meta']
    assert meta['source'] == 'iter_1.pth' and meta['mmvice_version']


def test_settings_that_change_the_features_are_told(make, tmp_path, capsys):
    made = make('r18')
    aligned = R18.replace('512x1024', '769x769')
    main('to_mmseg', made.run, tmp_path / 'out.pth', '--config', made.config, '--mmseg-config', aligned)
    assert 'features of the decoder in both models differ by up to' in capsys.readouterr().out


def test_segmentors_that_do_not_fit_are_refused(make, tmp_path):
    made = make('r18')
    cases = {
        'deeplabv3plus/deeplabv3plus_r18-d8_4xb2-80k_cityscapes-512x1024.py': r'missing: backbone\.stem\.0\.weight',
        'fcn/fcn_r18b-d8_4xb2-80k_cityscapes-512x1024.py': r'missing: decode_head\.convs\.0\.conv\.weight',
        'no/such.py': 'no config file at no/such.py, and none of that name in MMSegmentation',
    }
    for config, message in cases.items():
        with pytest.raises(SystemExit, match=rf'(?s)error: .*{message}'):
            main('to_mmseg', made.run, tmp_path / 'out.pth', '--mmseg-config', config)
    with pytest.raises(SystemExit, match='--cfg-options changes --mmseg-config'):
        main('to_mmseg', made.run, tmp_path / 'out.pth', '--cfg-options', 'model.decode_head.num_classes=3')
    assert not (tmp_path / 'out.pth').exists()


def test_to_vice_says_what_became_of_every_weight(make, tmp_path, capsys):
    made = make('light_fpn')
    main('to_vice', made.run, tmp_path / 'clean.pth', '--config', made.config)
    said = capsys.readouterr().out
    for line in ('format  checkpoint of mmvice', '120 taken  backbone', '8 taken  decoder', '1 taken  concepts'):
        assert line in said
    assert '4 dropped  rest of the head' in said
    expected = {k: v for k, v in made.model.state_dict().items() if not k.startswith('head.') or k == 'head.concepts'}
    assert_same(state(tmp_path / 'clean.pth'), expected)
    main('to_vice', tmp_path / 'clean.pth', tmp_path / 'again.pth')
    assert_same(state(tmp_path / 'again.pth'), expected)

    torch.save(torchvision.models.resnet18(weights=None).state_dict(), tmp_path / 'imagenet.pth')
    main('to_vice', tmp_path / 'imagenet.pth', tmp_path / 'new' / 'backbone.pth', '--config', made.config)
    assert '2 dropped  classifier' in capsys.readouterr().out
    assert len(state(tmp_path / 'new' / 'backbone.pth')) == 120


def test_to_vice_refuses_what_it_cannot_account_for(make, tmp_path):
    made = make('light_fpn')
    files = dict(
        unknown={'a.weight': torch.ones(1)},
        extra={**made.model.state_dict(), 'mystery': torch.ones(1)},
        empty={},
        hostile=dict(state_dict=made.model.state_dict(), meta=Payload(tmp_path / 'made')),
        other=torchvision.models.resnet50(weights=None).state_dict(),
    )
    messages = dict(
        unknown='no known format',
        extra=r'(?s)1 of its 134 weights is.*mystery',
        empty='no weights of a backbone or decoder',
        hostile='was not loaded',
        other=r'does not fit the backbone of this config',
    )
    for name, content in files.items():
        torch.save(content, tmp_path / f'{name}.pth')
        with pytest.raises(SystemExit, match=messages[name]):
            main('to_vice', tmp_path / f'{name}.pth', tmp_path / 'out.pth', '--config', made.config)
    with pytest.raises(SystemExit, match='no checkpoint file at'):
        main('to_vice', tmp_path / 'nothing.pth', tmp_path / 'out.pth')
    with pytest.raises(SystemExit, match='is a folder: name a file to write'):
        main('to_vice', made.run, tmp_path)
    assert not (tmp_path / 'out.pth').exists() and not (tmp_path / 'made').exists()
