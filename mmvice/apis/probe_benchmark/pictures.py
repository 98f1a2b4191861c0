"""The pictures of a benchmark: models side by side, and mIoU over the steps of pretraining."""

from pathlib import Path

from .plan import make_plan
from .reader import Benchmark
from .table import Results, curve_points


def draw_curve(benchmark: Benchmark, results: Results, file: Path) -> bool:
    """Draw mIoU over the steps of pretraining, beside what has learned nothing and what had labels, of seed 0 (Fig. 7).

    Returns:
        bool: Whether there was a curve to draw; nothing is written otherwise.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for row in benchmark.rows.values():
        points = curve_points(benchmark, results, row) if row.curve else {}
        if len(points) > 1:
            axes.plot(list(points), list(points.values()), marker='o', label=row.title)
    if not axes.has_data():
        return False
    for row in benchmark.rows.values():
        found = results.of_row(row, benchmark.curve_probe)
        if 0 in found and (row.labelled or row.name in benchmark.baselines.values()) and row.embedder == 'decoder':
            color = 'C3' if row.labelled else 'grey'
            axes.axhline(found[0]['mIoU'], linestyle='--', color=color, label=row.title)
    axes.update_datalim([(0, 0)])
    axes.autoscale_view()
    axes.set(xlabel='step of pretraining', ylabel=f'mIoU, {benchmark.curve_probe}', ylim=(0, None), xlim=(0, None))
    axes.set_title('seed 0', fontsize='small')
    axes.grid(alpha=0.3)
    axes.legend(fontsize='small')
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=150)
    return True


def compared_models(benchmark: Benchmark, work_dir: Path, size: str, rows: list[str]) -> list[tuple[str, Path, Path]]:
    """Name, config and work folder of the probe of seed 0 of each row, for ``tools/visualization/compare.py``.

    Raises:
        FileNotFoundError: If a probe's weights are not there.
    """
    models = []
    for name in rows:
        plan = make_plan(benchmark, work_dir, size, 'table', [name], [benchmark.curve_probe], [0])
        probe = plan[-1]
        config = probe.folder / probe.config.name
        if not config.is_file() or not any(probe.folder.glob('*.pth')):
            raise FileNotFoundError(
                f'{probe.folder} has no finished probe with its weights: run {probe.name}, or, if its result was kept '
                f'from elsewhere, remove {probe.result_file} and run it again'
            )
        models.append((benchmark.rows[name].title, config, probe.folder))
    return models
