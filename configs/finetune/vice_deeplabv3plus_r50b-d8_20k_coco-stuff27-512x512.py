# Table 11: the same from a ViCE model, backbone and decoder, exported by tools/model_converters/to_mmseg.py
_base_ = './deeplabv3plus_r50b-d8_20k_coco-stuff27-512x512.py'
model = dict(pretrained=None)
custom_hooks = [
    dict(
        type='InitialWeightsHook',
        checkpoint='work_dirs/vice_r50_deeplabv3plus_32xb4-lars-16e_coco-400x400/mmseg.pth',
        learned_anew=['decode_head.conv_seg.', 'auxiliary_head.'],
    )
]
