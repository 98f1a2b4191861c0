"""A page of pictures in a single file."""

import base64
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

import cv2
import numpy as np

from .drawing import fit_within

_STYLE = """
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 1800px; padding: 1.5rem; font: 15px/1.5 system-ui, sans-serif; color: #18181b; }
h1 { font-size: 1.4rem; margin: 0 0 .75rem; }
h2 { font-size: 1rem; margin: 1.75rem 0 .5rem; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 0 0 1rem; }
dt { color: #5a5a62; }
dd { margin: 0; overflow-wrap: anywhere; }
.legend { display: flex; flex-wrap: wrap; gap: .15rem 1rem; margin: 0; padding: 0; list-style: none; }
.legend i { display: inline-block; width: .9em; height: .9em; margin-right: .35em; border: 1px solid #5a5a62;
  vertical-align: -.1em; }
.row { display: grid; grid-auto-flow: column; grid-auto-columns: minmax(0, 1fr); gap: .75rem; }
figure { margin: 0; }
figure img { width: 100%; height: auto; display: block; }
figcaption { color: #5a5a62; font-size: .85rem; }
@media (max-width: 700px) { .row { grid-auto-flow: row; } }
"""


class Legend(NamedTuple):
    """A legend of a column's colours."""

    title: str
    names: Sequence[str]
    colors: np.ndarray
    """(n, 3) RGB."""


def gallery_page(
    title: str,
    facts: dict[str, str],
    legends: Sequence[Legend],
    columns: Sequence[str],
    items: Iterable[tuple[str, Sequence[np.ndarray]]],
    long_side: int = 512,
) -> str:
    """An HTML page with a row of pictures for every image; the pictures are inside the page.

    Args:
        title: Title of the page.
        facts: Lines about the pictures, name to value, shown above them.
        legends: Legends, shown above the pictures.
        columns: Caption of every picture of a row.
        items: Name of an image, and its pictures, RGB uint8.
        long_side: Larger pictures are downsized to this many pixels.

    Returns:
        str: The page.
    """
    lines = [
        '<!doctype html>',
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<title>{escape(title)}</title><style>{_STYLE}</style></head><body>',
        f'<h1>{escape(title)}</h1>',
        '<dl>',
        *(f'<dt>{escape(name)}</dt><dd>{escape(value)}</dd>' for name, value in facts.items()),
        '</dl>',
    ]
    for legend in legends:
        lines += [f'<h2>{escape(legend.title)}</h2>', '<ul class="legend">']
        for name, (red, green, blue) in zip(legend.names, np.asarray(legend.colors).tolist()):
            lines.append(f'<li><i style="background:rgb({red},{green},{blue})"></i>{escape(name)}</li>')
        lines.append('</ul>')
    for name, pictures in items:
        lines += [f'<h2>{escape(name)}</h2>', '<div class="row">']
        for caption, picture in zip(columns, pictures):
            source = _data_url(fit_within(picture, long_side))
            alt = escape(f'{caption} of {name}', quote=True)
            image = f'<img loading="lazy" alt="{alt}" src="{source}">'
            lines.append(f'<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>')
        lines.append('</div>')
    lines.append('</body></html>')
    return '\n'.join(lines).encode('utf-8', 'replace').decode()


def _data_url(picture: np.ndarray) -> str:
    _, encoded = cv2.imencode('.jpg', cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])
    return f'data:image/jpeg;base64,{base64.b64encode(encoded).decode()}'
