"""Limits that no network of a space can keep are refused before a search begins."""

import pytest

from search_spaces import UserError
from search_spaces.constraint import parse
from search_spaces.cost import Cost, count
from search_spaces.extremes import extreme
from search_spaces.feasible import check_feasible
from search_spaces.space_file import load_space

SPACE = load_space("v2", width=0.25, resolution=32)
METRICS = (*Cost._fields, "latency_ms", "top1")


def bound(metric, largest):
    return getattr(count(extreme(SPACE, metric, 10, largest), 10), metric)


@pytest.mark.parametrize("metric", Cost._fields)
def test_the_extremes_themselves_can_be_kept(metric):
    check_feasible(SPACE, [parse(f"{metric}<={bound(metric, False)}", METRICS)], 10)
    check_feasible(SPACE, [parse(f"{metric}>={bound(metric, True)}", METRICS)], 10)


@pytest.mark.parametrize("metric", Cost._fields)
def test_one_less_than_the_least_is_refused_and_the_least_named(metric):
    least, most = bound(metric, False), bound(metric, True)
    fine = parse("latency_ms<=0.001", METRICS)
    with pytest.raises(UserError, match=f"{metric}<={least - 1} .* space v2: .* has at least {least:,} {metric}$"):
        check_feasible(SPACE, [fine, parse(f"{metric}<={least - 1}", METRICS)], 10)
    with pytest.raises(UserError, match=f"{metric}>={most + 1} .* space v2: .* has at most {most:,} {metric}$"):
        check_feasible(SPACE, [parse(f"{metric}>={most + 1}", METRICS)], 10)


def test_classes_count():
    limit = parse(f"params<={bound('params', False)}", METRICS)
    with pytest.raises(UserError, match="with 1000 classes"):
        check_feasible(SPACE, [limit], 1000)
