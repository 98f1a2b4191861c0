"""What the results of several measurements say together: how many cores a card needs."""

ON_HOST = {'colours': 'ViewColorDistortion', 'blur': 'ViewGaussianBlur'}
"""Steps of the pipeline that could move to the card; noise is drawn there already."""
CORES = 4


def conclude(records: dict) -> list[str]:
    """Sentences, as far as what they rest on has been measured.

    Args:
        records: Those of :class:`benchmarks.gpu.results.Results`.
    """
    step = _detail(records, 'step: R18 + light FPN', 'images')
    pipeline = _detail(records, 'steps of the pipeline', 'seconds_of_steps')
    if step is None or pipeline is None:
        return []
    images, milliseconds = step
    needed = 1000 * images / milliseconds
    said = [f'R18 + light FPN takes {needed:.0f} images a second: a step of {images} in {milliseconds:.0f} ms.']
    parts = pipeline['seconds_of_steps']
    for name in ('computed', 'from files'):
        rates = _rates(records, f'workers, superpixels {name}')
        enough = [count for count, rate in rates.items() if rate >= needed]
        if rates:
            most = max(rates.values())
            answer = (
                f'{min(enough)} workers are enough' if enough else f'no number tried is enough, the most is {most:.0f}'
            )
            said.append(f'Superpixels {name}: {answer} ({", ".join(f"{n}: {rate:.0f}" for n, rate in rates.items())}).')
    rate = _rates(records, 'workers, superpixels from files').get(CORES)
    return [*said, _to_move(parts, CORES / rate, needed)] if rate else said


def _to_move(parts: dict[str, float], seconds: float, needed: float) -> str:
    """Which of the steps would have to move for a few cores to be enough.

    Args:
        parts: Seconds of each step of the pipeline.
        seconds: What an image takes of a core as a few workers make them, with superpixels from files.
        needed: Images a second that the card takes.
    """
    budget, left = CORES / needed, seconds
    moved = []
    for name in sorted(ON_HOST, key=lambda name: -parts.get(ON_HOST[name], 0)):
        if left <= budget:
            break
        left -= parts.get(ON_HOST[name], 0)
        moved.append(name)
    without = f', without {" and ".join(moved)}' if moved else ''
    return (
        f'{CORES} cores have {1000 * budget:.1f} ms of one core for an image. With superpixels from files{without} it '
        f'takes {1000 * left:.1f} ms, which is {"enough" if left <= budget else "not enough"}. Noise is drawn on the '
        'card already.'
    )


def _detail(records: dict, name: str, key: str) -> object:
    """Of a step its images and milliseconds; of the pipeline its seconds by step; None where not measured."""
    rows = [row for row in records.get(name, {}).get('rows', ()) if row.get('details')]
    if key == 'seconds_of_steps':
        return next((row['details'] for row in rows if key in row['details']), None)
    line = next((row['details'] for row in rows if row['line'] == 'c'), None)
    return line and (line['images'], 1000 * line['median_seconds']['ours'])


def _rates(records: dict, name: str) -> dict[int, float]:
    rows = records.get(name, {}).get('rows', ())
    return {row['details']['workers']: row['details']['images_per_second'] for row in rows}
