"""The curves of a report, drawn from histories that anybody may have changed."""

import re
import warnings

import pytest

from finegrain.report.charts import draw_curves


def epochs(*losses):
    return [{"loss": loss, "val_loss": loss, "learning_rate": 1e-3} for loss in losses]


def numbers_in(curves):
    (_, picture), *_ = curves
    return [float(number) for number in re.findall(r'(?:x|y|cx|cy|x1|y1)="(-?[\d.]+)"', picture)]


@pytest.mark.parametrize("damaged", [1e308, float("inf"), float("nan"), 1e-308])
def test_a_number_that_cannot_be_drawn_warns_of_nothing(damaged):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        curves = draw_curves([("1-frozen", epochs(0.7, damaged, 0.5))])
    inside = numbers_in(curves)
    assert inside
    assert all(-1 <= number <= 500 for number in inside)
