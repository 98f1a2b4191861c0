"""ViCE on one screen: the whole method in plain PyTorch, in the order of the paper.

    python examples/plain_vice.py data/camvid/images/train --steps 200

Read it from top to bottom, beside Alg. 1 to 3 of the paper. The names are the paper's:

    N, M  images of a step, views of an image; view 0 is the primary view (m = 1 in the paper)
    A     region of every pixel: 0..I-1, the same id in all views of an image; -1 for pixels of no mutual region
    Z     embedding of every pixel: a unit vector of D numbers
    z     embedding of every region (z* in the paper), for all R regions of the N images
    C     the K concepts: unit vectors
    s, q  scores of a region for each concept, and its optimal assignment to the concepts

The method ends with Alg. 3; a loop over a folder of images follows. mmvice computes the same loss and gradients without
the full map Z, and in any number of processes. ``tests/test_examples/test_plain_vice.py`` compares the two.

The settings are those of ``configs/vice/vice_r18_light-fpn_adamw-2k_camvid-64x64.py``. That config also keeps the
concepts fixed in the first 100 steps, uses the queue after these, and draws colours and centres in another way.
"""

import argparse
import functools
import math
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torchvision import transforms
from torchvision.models import resnet18
from torchvision.models.feature_extraction import create_feature_extractor

from mmvice.ops.superpixels import slic

N, M, D, K = 8, 4, 64, 64
tau, epsilon = 0.1, 0.05
image_size, view_size, superpixel_size, queue_length = 96, 64, 6, 1500
mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]  # ImageNet's, RGB
distort = transforms.Compose(
    [
        transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
        transforms.RandomGrayscale(p=0.2),
        transforms.RandomApply([transforms.GaussianBlur(5, sigma=(0.1, 1.0))], p=0.5),
    ]
)


# ---------------------------------------------------------------------------------------- Algorithm 1: view generation


def generate_views(image):
    """Make M views (M, 3, h, w) of an image, uint8 (H, W, 3) in RGB, and their mutual regions A (M, h, w)."""
    superpixels = slic(image[..., ::-1].copy(), superpixel_size)  # A := superpixels(X)

    # gen_views, resize_views: M boxes of random size around a point (x, y)* that is likely on an edge (Sec. 3.2)
    content = cv2.GaussianBlur(cv2.Canny(image, 10, 50), (3, 3), 0).ravel() + 1.0
    center = np.unravel_index(np.random.choice(len(content), p=content / content.sum()), superpixels.shape)
    views, A = np.empty((M, view_size, view_size, 3), np.uint8), np.empty((M, view_size, view_size), np.int32)
    for m in range(M):
        side = round(view_size * np.random.uniform(0.5, 1.5))  # beta * h
        spans = [(max(0, c - side + 1), min(c, length - side) + 1) for c, length in zip(center, superpixels.shape)]
        box = tuple(slice(start, start + side) for start in (np.random.randint(*span) for span in spans))
        views[m] = cv2.resize(image[box], (view_size, view_size), interpolation=cv2.INTER_AREA)
        A[m] = cv2.resize(superpixels[box], (view_size, view_size), interpolation=cv2.INTER_NEAREST_EXACT)

    # mask_views: all superpixels that a random rectangle touches, except for a quarter of the common ones
    common = functools.reduce(np.intersect1d, A)
    preserved = np.random.permutation(common)[: math.ceil(len(common) / 4)]
    masks = np.empty(A.shape, bool)
    for m in range(M):
        sides = np.random.randint(0, view_size // 4 + 1, 2)
        top, left = np.random.randint(0, view_size - sides + 1)
        touched = A[m, top : top + sides[0], left : left + sides[1]]
        masks[m] = np.isin(A[m], np.setdiff1d(touched, preserved))

    # mutual_regions: superpixels that are seen in every view and masked in none, numbered 0..I-1
    A = number_regions(A, np.setdiff1d(common, A[masks]))

    # geometric_aug: left-right flips
    for m in np.flatnonzero(np.random.rand(M) < 0.5):
        views[m], A[m], masks[m] = views[m, :, ::-1], A[m, :, ::-1], masks[m, :, ::-1]

    # appearance_aug, and to_tensor: colour distortion and blur; the masked pixels become noise after normalisation
    X = torch.stack([distort(view) for view in torch.from_numpy(views).permute(0, 3, 1, 2) / 255])
    X = (X - mean) / std
    return torch.where(torch.from_numpy(masks)[:, None], torch.rand_like(X) * 2 - 1, X), torch.from_numpy(A)


def number_regions(superpixels, mutual):
    """Number the mutual superpixels 0..I-1; the pixels of all others get -1."""
    number = np.full(superpixels.max() + 1, -1)
    number[mutual] = np.arange(len(mutual))
    return number[superpixels]


# ------------------------------------------------------------------------------------- Algorithm 2: learning algorithm


class Embedder(nn.Module):
    """f_theta of Eq. 2: ResNet-18 and a light FPN; images (B, 3, h, w) to features (B, D, h/4, w/4)."""

    def __init__(self):
        super().__init__()
        self.backbone = create_feature_extractor(resnet18(), ['layer1', 'layer2', 'layer3', 'layer4'])
        self.laterals = nn.ModuleList(nn.Conv2d(channels, D, 1) for channels in (64, 128, 256, 512))

    def forward(self, x):
        *finer, fused = [lateral(feature) for lateral, feature in zip(self.laterals, self.backbone(x).values())]
        for feature in reversed(finer):
            fused = feature + upsample(fused, feature.shape[-2:])
        return fused


def upsample(features, size):
    return F.interpolate(features, size, mode='bilinear', align_corners=False)


def embedding_map(features, size):
    """Z: every pixel's unit embedding (B, D, h, w), B = N * M."""
    return F.normalize(upsample(features, size), dim=1)


def region_embeddings(Z, A):
    """z* of all regions in all views: (M, R, D), and the number I of regions of every image: (N,)."""
    I = A.flatten(1).amax(1) + 1
    first, R = I.cumsum(0) - I, int(I.sum())  # the regions of image n are rows first[n] .. first[n] + I[n] - 1
    view = torch.arange(A.shape[1], device=A.device)[None, :, None, None]
    row = (view * R + first[:, None, None, None] + A)[A >= 0]
    z_pixels = Z.permute(0, 2, 3, 1)[A.flatten(0, 1) >= 0]  # T_Z: pixels of no mutual region are discarded
    sums = Z.new_zeros(A.shape[1] * R, Z.shape[1]).index_add(0, row, z_pixels)
    z = sums / row.bincount(minlength=len(sums))[:, None]  # z* := mean(T_Z)
    return F.normalize(z, dim=1).view(-1, R, Z.shape[1]), I  # unit vectors again, so that a score is a cosine


# --------------------------------------------------------------------------- Algorithm 3: swapped prediction objective


def swapped_prediction(z, I, C, queue):
    """L of Eq. 4: the scores of a region in every secondary view must predict its assignment in the primary view."""
    s = z @ C.T  # Eq. 3: (M, R, K)
    with torch.no_grad():  # Q := optimal_assignment, together with the regions of past primary views
        q = optimal_assignment(torch.cat([z[0], queue]) @ C.T)[: z.shape[1]]
    log_p = F.log_softmax(s[1:] / tau, dim=-1)  # p := sigma(s* / tau), for the views m > 1
    cross_entropy = -(q * log_p).sum(-1)  # (M - 1, R)
    return (cross_entropy / I.repeat_interleave(I)).sum() / (len(I) * len(log_p))  # L / I, then L / (N (M - 1))


def optimal_assignment(s, iterations=3):
    """Sinkhorn-Knopp: rows of q sum to 1 and are as close to s as an equal use of all concepts permits."""
    q = torch.exp((s - s.max()) / epsilon)
    for _ in range(iterations):
        q = q / q.sum(0)  # each concept has the same share of the regions
        q = q / q.sum(1, keepdim=True)  # each region is assigned once
    return q


# ------------------------------------------------------------------------------------------- a loop over a folder


def train(paths, steps, device):
    """Learn theta and C from the images; return f_theta and C."""
    f, C = Embedder().to(device), nn.Parameter(F.normalize(torch.randn(K, D, device=device), dim=1))
    queue = torch.zeros(0, D, device=device)
    optimizer = torch.optim.AdamW([*f.parameters(), C], lr=2e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(  # linear warm-up, cosine decay
        optimizer, lambda t: min(1, 10 * (t + 1) / steps) * (1 + math.cos(math.pi * t / steps)) / 2
    )
    for step in range(steps):
        batch = []
        while len(batch) < N:
            X, A = generate_views(read_image(paths[np.random.randint(len(paths))]))
            if A.max() >= 0:  # an image without mutual regions teaches nothing: draw another one
                batch.append((X, A))
        X, A = (torch.stack(part).to(device) for part in zip(*batch))  # (N, M, 3, h, w), (N, M, h, w)

        z, I = region_embeddings(embedding_map(f(X.flatten(0, 1)), A.shape[-2:]), A)
        loss = swapped_prediction(z, I, C, queue)
        optimizer.zero_grad()
        loss.backward()  # optimize(theta, C, L)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            C.copy_(F.normalize(C, dim=1))  # concepts lie on the unit sphere (Sec. 3)
            queue = torch.cat([z[0], queue])[:queue_length]  # first in, first out

        bar = '#' * (30 * (step + 1) // steps)
        end = '\n' if (step + 1) % 50 == 0 or step + 1 == steps else ''
        print(f'\r[{bar:<30}] step {step + 1}/{steps}, loss {loss:.3f}', end=end, flush=True)
    return f, C


def read_image(path):
    """Read an image, uint8 (H, W, 3) in RGB, its shorter side scaled to ``image_size``."""
    image = cv2.imread(str(path))
    if image is None:
        sys.exit(f'OpenCV cannot read {path} as an image: repair or remove this file')
    scale = image_size / min(image.shape[:2])
    size = [max(image_size, round(side * scale)) for side in image.shape[1::-1]]
    return cv2.resize(image[..., ::-1], size, interpolation=cv2.INTER_AREA)


@torch.no_grad()
def draw_concepts(f, C, paths, device):
    """Show images beside the nearest concept of every pixel; similar concepts have similar colours."""
    f.eval()
    axes = torch.pca_lowrank(C, 3)[0]
    colors = ((axes - axes.amin(0)) / (axes.amax(0) - axes.amin(0)) * 255).byte().cpu().numpy()
    rows = []
    for image in map(read_image, paths):
        shown = cv2.resize(image, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
        X = (torch.from_numpy(image.copy()).permute(2, 0, 1) / 255 - mean) / std
        Z = embedding_map(f(X[None].to(device)), shown.shape[:2])
        concepts = torch.einsum('dyx,kd->kyx', Z[0], C).argmax(0).cpu().numpy()
        rows.append(np.hstack([shown, colors[concepts]]))
    width = max(row.shape[1] for row in rows)
    return np.vstack([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows])


def main():
    parser = argparse.ArgumentParser(
        description='Learn visual concepts from a folder of images, without labels, and draw them beside some images.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('folder', type=Path, help='folder of JPEG or PNG images; subfolders are searched too')
    parser.add_argument('--steps', type=int, default=200, help='training steps of N = 8 images')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/plain_vice.png'), help='PNG to write')
    parser.add_argument('--seed', type=int, default=0, help='seed of weights, images and views')
    args = parser.parse_args()
    if args.steps < 1:
        parser.error(f'--steps must be at least 1, got {args.steps}')
    if args.out.suffix.lower() != '.png':
        parser.error(f'--out must end in .png, got {args.out}')
    paths = sorted(p for p in args.folder.rglob('*') if p.suffix.lower() in ('.jpg', '.jpeg', '.png'))
    if not paths:
        missing = 'contains no .jpg, .jpeg or .png file' if args.folder.is_dir() else 'is not a folder'
        parser.error(f'{args.folder} {missing}: give a folder of images')

    np.random.seed(args.seed)
    torch.manual_seed(args.seed)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    print(f'{len(paths)} images, on {device}; a loss of ln K = {math.log(K):.3f} is that of chance')
    f, C = train(paths, args.steps, device)
    picture = draw_concepts(f, C, paths[:: math.ceil(len(paths) / 4)], device)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(args.out), picture[..., ::-1]):
        sys.exit(f'{args.out} cannot be written: give a file in a folder that you may write to')
    print(f'Images and their concepts: {args.out}')


if __name__ == '__main__':
    main()
