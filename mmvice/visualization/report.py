"""The report of a pretraining and its probes: one self-contained HTML page."""

import base64
import math
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

import cv2
import numpy as np

from .charts import line_chart

NETWORKS = {'vice': 'trained', 'random_init': 'untrained'}
PROBES = {'linear': 'Linear probe', 'cluster': 'Cluster probe'}
CLEAR_GAIN = 1.0  # points of mIoU below which a difference is not called clear

Curves = dict[str, tuple[Sequence[float], Sequence[float]]]


class Verdict(NamedTuple):
    """Verdict on a pretraining."""

    kind: str
    """'better', 'mixed' or 'worse'."""
    headline: str
    details: str


class Scene(NamedTuple):
    """A held-out image with its pictures; RGB uint8 (H, W, 3)."""

    name: str
    image: np.ndarray
    truth: np.ndarray
    of_networks: dict[str, dict[str, np.ndarray]]
    """Network, then caption of the picture."""


class ReportContent(NamedTuple):
    """Everything that the report shows besides the numbers."""

    curves: Curves
    num_concepts: int
    views: Sequence[np.ndarray]
    scenes: Sequence[Scene]
    classes: Sequence[str]
    palette: Sequence[Sequence[int]]
    facts: dict[str, str]
    commands: Sequence[tuple[str, str]]


def judge(numbers: dict[str, dict[str, dict[str, float]]]) -> Verdict:
    """Say whether the trained network beats the untrained one on the held-out images.

    Args:
        numbers: ``{'vice' | 'random_init': {'linear' | 'cluster': {'mIoU': .., 'aAcc': ..}}}`` in per cent.

    Returns:
        Verdict: 'better' only if both probes gain at least ``CLEAR_GAIN`` points of mIoU; 'worse' if neither gains.
    """
    gains = {probe: numbers['vice'][probe]['mIoU'] - numbers['random_init'][probe]['mIoU'] for probe in PROBES}
    details = ' '.join(_compare(PROBES[probe], *(numbers[net][probe] for net in NETWORKS)) for probe in PROBES)
    if not all(map(math.isfinite, gains.values())):
        return Verdict('worse', 'No verdict: a probe of this run has no mIoU.', details)
    if all(gain >= CLEAR_GAIN for gain in gains.values()):
        smaller = min(gains.values())
        margin = f'at least {math.floor(smaller * 10) / 10:.1f} points of mIoU'
        headline = f'Pretraining helped: with both probes the trained network beats the untrained one by {margin}.'
        return Verdict('better', headline, details)
    if all(gain <= 0 for gain in gains.values()):
        headline = 'Pretraining did not help: with neither probe does the trained network beat the untrained one.'
        return Verdict('worse', headline, details)
    if all(gain > 0 for gain in gains.values()):
        weak = ' and '.join(PROBES[probe].lower() for probe, gain in gains.items() if gain < CLEAR_GAIN)
        margin = f'less than {CLEAR_GAIN:g} point of mIoU'
        headline = f'Not clear: the trained network is ahead, but with the {weak} by {margin}.'
        return Verdict('mixed', headline, details)
    winning = next(PROBES[probe].lower() for probe, gain in gains.items() if gain > 0)
    losing = next(PROBES[probe].lower() for probe, gain in gains.items() if gain <= 0)
    headline = f'Mixed: the trained network beats the untrained one with the {winning}, but not with the {losing}.'
    return Verdict('mixed', headline, details)


def _compare(title: str, trained: dict[str, float], untrained: dict[str, float]) -> str:
    pairs = ', '.join(f'{name} {trained[name]:.1f} % (untrained {untrained[name]:.1f} %)' for name in ('mIoU', 'aAcc'))
    return f'{title}: {pairs}.'


def report_page(numbers: dict[str, Any], content: ReportContent) -> str:
    """Compose the report.

    Args:
        numbers: As for :func:`judge`; each probe also has ``mAcc`` and ``per_class``, class to ``IoU`` and ``Acc``.
        content: Curves, pictures and facts.

    Returns:
        str: An HTML page with all its pictures inside.
    """
    verdict = judge(numbers)
    sections = [
        _numbers_section(numbers),
        _class_section(numbers, content.classes, content.palette),
        _curve_section(content.curves, content.num_concepts),
        _view_section(content.views),
        _scene_section(content.scenes, content.classes, content.palette),
        _facts_section(content.facts),
        _command_section(content.commands),
    ]
    return '\n'.join(
        [
            '<!doctype html>',
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<title>mmvice quickstart</title><style>{_STYLE}</style></head><body>',
            '<header><p class="eyebrow">mmvice quickstart</p>',
            '<h1>What a network learned without labels</h1>',
            f'<div class="verdict {verdict.kind}"><p class="headline">{escape(verdict.headline)}</p>',
            f'<p>{escape(verdict.details)}</p></div></header>',
            *sections,
            '</body></html>',
        ]
    )


def _section(title: str, text: str, body: str) -> str:
    return f'<section><h2>{escape(title)}</h2><p class="lead">{text}</p>{body}</section>'


def _numbers_section(numbers: dict[str, Any]) -> str:
    rows = []
    for probe, title in PROBES.items():
        for network, name in NETWORKS.items():
            of = numbers[network][probe]
            bar = f'<i class="bar {network}" style="width:{min(max(_finite(of["mIoU"]), 0), 100):.1f}%"></i>'
            head = f'<th scope="rowgroup" rowspan="2">{title}</th>' if network == 'vice' else ''
            cells = ''.join(f'<td class="number">{of[key]:.2f}</td>' for key in ('mIoU', 'aAcc', 'mAcc'))
            known = [math.isfinite(values['IoU']) for values in of['per_class'].values()]
            if not all(known):
                name = f'{name}<br>mIoU over {sum(known)} of {len(known)} classes'
            rows.append(f'<tr>{head}<td>{name}</td>{cells}<td class="bars">{bar}</td></tr>')
    table = (
        '<div class="scroll"><table><thead><tr><th>Probe</th><th>Network</th><th class="number">mIoU</th>'
        '<th class="number">aAcc</th><th class="number">mAcc</th><th class="bars">mIoU, 0 to 100 %</th></tr></thead>'
        f'<tbody>{"".join(rows)}</tbody></table></div>'
    )
    text = (
        'Both networks are frozen. The trained one was pretrained on unlabelled scenes; the untrained one is the same '
        'network as it was before the first step. The <b>linear probe</b> learns one linear map from embeddings to '
        'classes. The <b>cluster probe</b> finds k-means clusters without labels, then names each by its most frequent '
        'class (Sec. 4.3). Scores are over held-out scenes, in per cent: mIoU averages the intersection over union of '
        'the classes, aAcc is the share of correct pixels, mAcc the mean accuracy of the classes.'
    )
    return _section('Numbers', text, table)


def _class_section(numbers: dict[str, Any], classes: Sequence[str], palette: Sequence[Sequence[int]]) -> str:
    columns = [(network, probe) for probe in PROBES for network in NETWORKS]
    top = ''.join(f'<th class="number" colspan="2">{PROBES[probe]}</th>' for probe in PROBES)
    names = ''.join(f'<th class="number">{NETWORKS[network]}</th>' for network, _ in columns)
    rows = []
    for name, color in zip(classes, palette):
        values = {(net, probe): numbers[net][probe]['per_class'][name]['IoU'] for net, probe in columns}
        shown = {column: round(_finite(value), 1) for column, value in values.items()}
        cells = ''
        for network, probe in columns:
            is_best = shown[network, probe] > min(shown[net, probe] for net in NETWORKS)
            cells += f'<td class="number{" best" if is_best else ""}">{values[network, probe]:.1f}</td>'
        rows.append(f'<tr><th scope="row">{_swatch(color)}{escape(name)}</th>{cells}</tr>')
    table = (
        f'<div class="scroll"><table><thead><tr><th rowspan="2">Class</th>{top}</tr><tr>{names}</tr></thead>'
        f'<tbody>{"".join(rows)}</tbody></table></div>'
    )
    text = (
        'Intersection over union of each class in per cent, the better network in bold; as Table 10 of the paper. '
        'Small and thin things such as poles are hard for the paper’s networks, too.'
    )
    return _section('Class by class', text, table)


def _curve_section(curves: Curves, num_concepts: int) -> str:
    limit = math.log(num_concepts)
    charts = {
        'loss': (
            'Loss',
            'Cross-entropy of Eq. 4 between a region’s assignment in the primary view and its prediction from another '
            'view. Stuck at ln K it would be a uniform guess over K concepts.',
            dict(reference=(limit, 'ln K')),
        ),
        'concepts_used': (
            'Concepts used',
            'Share of the concepts that are the first choice of some region of the batch. Near 0: all regions have '
            'collapsed to a few concepts.',
            dict(low=0, high=1),
        ),
        'concept_perplexity': (
            'Concept perplexity',
            'How many concepts share the mean assignment; the Sinkhorn algorithm holds it near K.',
            dict(reference=(num_concepts, 'K'), low=0),
        ),
        'assignment_entropy': (
            'Assignment entropy',
            'How undecided the assignment of one region is, in nats. At ln K it says nothing; it falls as regions '
            'become distinct.',
            dict(reference=(limit, 'ln K'), low=0),
        ),
        'embedding_spread': (
            'Embedding spread',
            'One minus the length of the mean region embedding. 0: all embeddings are alike (collapse); near 1: they '
            'point everywhere on the sphere.',
            dict(low=0, high=1),
        ),
    }
    figures = []
    for key, (title, caption, options) in charts.items():
        steps, values = curves.get(key, ((), ()))
        if any(map(math.isfinite, values)):
            chart = line_chart(steps, values, f'{title} over the training steps', **options)
            figures.append(f'<figure class="chart"><h3>{title}</h3>{chart}<figcaption>{caption}</figcaption></figure>')
    if not figures:
        return _section('Learning', 'This run logged no curves: it was too short.', '')
    text = 'Over the steps of pretraining. The loss tells whether it learns, the others whether it learns something.'
    return _section('Learning or collapse', text, f'<div class="charts">{"".join(figures)}</div>')


def _view_section(views: Sequence[np.ndarray]) -> str:
    figures = [
        f'<figure><img alt="Views of training scene {i + 1}: as the network sees them, mutual image region, mutual '
        f'regions" src="{data_uri(view, lossless=False)}"></figure>'
        for i, view in enumerate(views)
    ]
    text = (
        'Training images as the network gets them, as Fig. 3 of the paper; one column per view, the primary view '
        'first. <b>Top:</b> the view, with its own crop, size, flip and colours; masked superpixels are noise. '
        '<b>Middle:</b> the part of the image that all views share. <b>Bottom:</b> the mutual regions, one colour per '
        'superpixel in all views. Every secondary view must predict the concept that each region has in the primary '
        'view (Eq. 2); hatched regions are masked somewhere, and nothing is learned from them.'
    )
    return _section('What it learns from', text, f'<div class="views">{"".join(figures)}</div>')


def _scene_section(scenes: Sequence[Scene], classes: Sequence[str], palette: Sequence[Sequence[int]]) -> str:
    items = ''.join(f'<li>{_swatch(color)}{escape(name)}</li>' for name, color in zip(classes, palette))
    cards = []
    for scene in scenes:
        given = _picture('image', scene.name, scene.image) + _picture('truth', scene.name, scene.truth)
        rows = [f'<div class="strip"><h4>Scene</h4><div>{given}</div></div>']
        for network, pictures in scene.of_networks.items():
            cells = ''.join(_picture(caption, f'{network}, {scene.name}', p) for caption, p in pictures.items())
            rows.append(f'<div class="strip"><h4>{escape(network.capitalize())} network</h4><div>{cells}</div></div>')
        cards.append(f'<article><h3>{escape(scene.name)}</h3><div class="strips">{"".join(rows)}</div></article>')
    text = (
        'Held-out scenes at even distances through the test set, not chosen. <b>Components:</b> the first three '
        'principal components of the embeddings as red, green and blue, fitted over these scenes for each network '
        '(Fig. 5). <b>Clusters:</b> the cluster probe’s k-means clusters, found without labels; the same colour is the '
        'same cluster in all scenes of a network (Fig. 9, centre). <b>Clusters, named:</b> each cluster in the colour '
        'of its class (Fig. 9, right). <b>Linear:</b> the linear probe’s segmentation (Fig. 6).'
    )
    return _section('What it sees', text, f'<ul class="legend">{items}</ul>{"".join(cards)}')


def _facts_section(facts: dict[str, str]) -> str:
    body = ''.join(f'<dt>{escape(name)}</dt><dd>{escape(value)}</dd>' for name, value in facts.items())
    return _section('What was run', 'The same numbers are in report.json beside this page.', f'<dl>{body}</dl>')


def _command_section(commands: Sequence[tuple[str, str]]) -> str:
    body = ''.join(f'<h3>{escape(title)}</h3><pre><code>{escape(lines)}</code></pre>' for title, lines in commands)
    text = 'From the folder of the project, with its environment active: <code>source .venv/bin/activate</code>'
    return _section('What next', text, body)


def data_uri(picture: np.ndarray, lossless: bool = True) -> str:
    """An RGB picture as a data URL of PNG or JPEG."""
    kind, options = ('png', []) if lossless else ('jpeg', [cv2.IMWRITE_JPEG_QUALITY, 88])
    _, encoded = cv2.imencode(f'.{kind}', np.ascontiguousarray(picture[..., ::-1]), options)
    return f'data:image/{kind};base64,{base64.b64encode(encoded).decode()}'


def _picture(caption: str, of: str, picture: np.ndarray) -> str:
    alt = escape(f'{caption}: {of}', quote=True)
    return (
        f'<figure><img class="pixels" alt="{alt}" src="{data_uri(picture)}"><figcaption>{escape(caption)}</figcaption>'
        '</figure>'
    )


def _swatch(color: Sequence[int]) -> str:
    return f'<i class="swatch" style="background:rgb({",".join(str(int(c)) for c in color)})"></i>'


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0


_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1d22; --faint: #5c616b; --line: #dcdfe4; --panel: #f5f6f8;
  --vice: #2563c9; --random_init: #9aa1ac; --better: #1d7f4a; --mixed: #9a6700; --worse: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --paper: #14161a; --ink: #e7e9ed; --faint: #a2a8b3; --line: #343942;
  --panel: #1d2026; --vice: #7aaeff; --random_init: #777e8a; --better: #5fce92; --mixed: #e3b341; --worse: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 1.75rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: .1rem 0 1rem; }
h2 { font-size: 1.3rem; margin: 3rem 0 .4rem; }
h3 { font-size: 1rem; margin: 0 0 .4rem; }
h4 { font-size: .85rem; margin: 0 0 .3rem; color: var(--faint); font-weight: 600; }
.eyebrow { margin: 0; color: var(--faint); letter-spacing: .04em; }
.lead { max-width: 78ch; margin: 0 0 1rem; color: var(--faint); }
.lead b { color: var(--ink); }
.verdict { border-left: 5px solid; background: var(--panel); padding: .9rem 1.1rem; border-radius: 0 8px 8px 0; }
.verdict.better { border-color: var(--better); } .verdict.mixed { border-color: var(--mixed); }
.verdict.worse { border-color: var(--worse); }
.verdict p { margin: .25rem 0 0; } .verdict .headline { margin: 0; font-size: 1.15rem; font-weight: 650; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .35rem .75rem; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap; }
thead th { color: var(--faint); font-weight: 600; font-size: .9rem; }
tbody th { font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
thead th.number[colspan] { text-align: center; }
.best { font-weight: 700; }
td.bars, th.bars { width: 45%; min-width: 9rem; }
.bar { display: block; height: .8rem; border-radius: 3px; }
.bar.vice { background: var(--vice); } .bar.random_init { background: var(--random_init); }
.swatch { display: inline-block; width: .85em; height: .85em; margin-right: .45em; border-radius: 2px;
  border: 1px solid var(--faint); vertical-align: -.05em; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; margin: 0 0 1.25rem; padding: 0; list-style: none; }
figure { margin: 0; min-width: 0; }
figcaption { color: var(--faint); font-size: .85rem; line-height: 1.4; margin-top: .2rem; }
img, svg { display: block; width: 100%; height: auto; border-radius: 4px; }
.pixels { image-rendering: pixelated; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 320px), 1fr)); gap: 1.75rem 1.5rem; }
.curve { fill: none; stroke: var(--vice); stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.grid { stroke: var(--line); } .reference { stroke: var(--faint); stroke-dasharray: 5 4; }
.tick { fill: var(--faint); font-size: 11px; }
.views { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 1.25rem; }
article { padding: 1rem 0 1.25rem; border-top: 1px solid var(--line); }
.strips { display: grid; grid-template-columns: repeat(5, minmax(0, 1fr)); gap: .75rem; }
.strip { grid-column: span 2; } .strip:first-child { grid-column: span 1; }
.strip > div { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .75rem; }
.strip:first-child > div { grid-template-columns: 1fr; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.25rem; margin: 0; }
dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; }
pre { background: var(--panel); padding: .8rem 1rem; border-radius: 8px; overflow-x: auto; font-size: .85rem; }
code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: .92em; }
@media (max-width: 760px) { body { padding: 1.1rem .9rem 3rem; } h1 { font-size: 1.5rem; }
  .strips { grid-template-columns: minmax(0, 1fr); } .strip, .strip:first-child { grid-column: span 1; }
  .strip:first-child > div { grid-template-columns: repeat(2, 1fr); }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .6rem; } th, td { padding: .3rem .5rem; }
  td.bars, th.bars { display: none; } }
"""
