import math
import re

import numpy as np
import pytest

from mmvice.visualization.charts import line_chart
from mmvice.visualization.report import ReportContent, Scene, _numbers_section, judge, report_page

CLASSES = ('sky', 'a <b> & c')


def scores(mean: float, accuracy: float = 60.0) -> dict:
    per_class = {name: dict(IoU=mean, Acc=mean) for name in CLASSES}
    return dict(mIoU=mean, aAcc=accuracy, mAcc=mean, per_class=per_class)


def numbers(linear: tuple[float, float], cluster: tuple[float, float]) -> dict:
    """of the trained and the untrained network with each probe."""
    networks = ('vice', 'random_init')
    return {net: dict(linear=scores(linear[i]), cluster=scores(cluster[i])) for i, net in enumerate(networks)}


@pytest.mark.parametrize(
    'linear, cluster, kind, words',
    [
        ((25, 14), (24, 12.5), 'better', 'at least 11.0 points'),
        ((14, 25), (12.5, 24), 'worse', 'did not help'),
        ((20, 20), (20, 20), 'worse', 'did not help'),
        ((25, 14), (12, 24), 'mixed', 'with the linear probe, but not with the cluster probe'),
        ((14, 25), (24, 12), 'mixed', 'with the cluster probe, but not with the linear probe'),
        ((25, 14), (20.5, 20), 'mixed', 'Not clear'),
        ((25, 14), (math.nan, 20), 'worse', 'No verdict'),
    ],
)
def test_the_verdict_follows_the_numbers(linear, cluster, kind, words):
    verdict = judge(numbers(linear, cluster))
    assert verdict.kind == kind
    assert words in verdict.headline
    assert f'mIoU {linear[0]:.1f} % (untrained {linear[1]:.1f} %)' in verdict.details


def content(**changes) -> ReportContent:
    picture = np.zeros((4, 6, 3), np.uint8)
    of_network = dict(components=picture, linear=picture)
    values = dict(
        curves=dict(loss=([10, 20], [4.1, 3.0])),
        num_concepts=64,
        views=[picture],
        scenes=[Scene('<scene>', picture, picture, dict(trained=of_network, untrained=of_network))],
        classes=CLASSES,
        palette=[(0, 0, 0), (255, 0, 0)],
        facts=dict(seed='<0>'),
        commands=[('Next', 'echo "<tag>"')],
    )
    return ReportContent(**{**values, **changes})


def test_the_page_shows_the_verdict_and_escapes_what_it_is_given():
    page = report_page(numbers((25, 14), (24, 12)), content())
    assert '<div class="verdict better">' in page
    assert '<div class="verdict worse">' in report_page(numbers((14, 25), (12, 24)), content())
    for text in ('<b> & c', '<scene>', '<0>', '<tag>'):
        assert text not in page
    assert page.count('data:image/') == 1 + 2 + 2 * 2


def test_the_better_network_is_bold_in_each_class():
    page = report_page(numbers((25, 14), (12, 24)), content())
    [row] = re.findall(r'<tr><th scope="row">[^/]*/i>sky</th>(.*?)</tr>', page)
    assert re.findall(r'class="number( best)?">([\d.]+)<', row) == [
        (' best', '25.0'),
        ('', '14.0'),
        ('', '12.0'),
        (' best', '24.0'),
    ]


def test_a_run_without_curves_still_has_a_report():
    assert 'logged no curves' in report_page(numbers((25, 14), (24, 12)), content(curves={}))


def test_a_chart_keeps_its_curve_inside_and_breaks_it_at_missing_values():
    chart = line_chart([0, 1, 2, 3, 4], [1.0, 2.0, math.nan, 0.5, 3.0], 'loss', reference=(5.0, 'ln K'))
    curves = re.findall(r'<polyline class="curve" points="([^"]*)"', chart)
    assert [len(points.split()) for points in curves] == [2, 2]
    width, height = map(float, re.search(r'viewBox="0 0 (\d+) (\d+)"', chart).groups())
    places = [tuple(map(float, point.split(','))) for points in curves for point in points.split()]
    assert all(0 <= x <= width and 0 <= y <= height for x, y in places)
    heights = [y for _, y in places]
    assert heights.index(min(heights)) == 3  # the largest value is the highest point
    assert 'ln K = 5' in chart


def test_a_chart_needs_values():
    with pytest.raises(ValueError, match='no finite value'):
        line_chart([0, 1], [math.nan, math.inf], 'loss')
    with pytest.raises(ValueError, match='as many values'):
        line_chart([0, 1], [1.0], 'loss')


def test_a_mean_that_leaves_classes_out_says_over_how_many_it_is():
    found = numbers((10.0, 8.0), (10.0, 8.0))
    assert 'mIoU over' not in _numbers_section(found)
    found['vice']['linear']['per_class'][CLASSES[0]]['IoU'] = float('nan')
    assert _numbers_section(found).count(f'mIoU over {len(CLASSES) - 1} of {len(CLASSES)} classes') == 1
