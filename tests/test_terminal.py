"""Bars beside the figures of the front, where the terminal has room for them."""

import pytest
from test_report import GOALS, ok, printed, run

from reports.terminal import BAR, ROOM, bar, front_table

HEADS = ["top-1\nbar", "latency\nbar"]


def drawn(trials, **options):
    """The bars of each heading, row by row."""
    columns = front_table(trials, GOALS, **options).columns
    return {column.header: [str(cell) for cell in column.cells] for column in columns if column.header in HEADS}


def test_bars_reach_from_the_least_of_the_front_to_the_most(tmp_path):
    trials = run(tmp_path, [ok(80.0, 1.0, 10), ok(90.0, 2.0, 10), ok(84.0, 1.5, 10)])
    assert drawn(trials, width=ROOM) == {
        HEADS[0]: ["▏", "███▎", "████████"],
        HEADS[1]: ["▏", "████", "████████"],
    }
    assert drawn(trials, width=ROOM, ascii_only=True)[HEADS[1]] == ["#", "####", "########"]
    assert drawn(trials, width=ROOM - 1) == drawn(trials) == {}


@pytest.mark.parametrize("outcomes", [[], [ok(80.0, 1.0, 10)], [ok(80.0, 1.0, 10)] * 2], ids=["none", "one", "equal"])
def test_without_a_difference_there_is_no_bar(tmp_path, outcomes):
    assert drawn(run(tmp_path, outcomes), width=200) == {}


def test_a_wide_table_fits(tmp_path):
    text = printed(front_table(run(tmp_path), GOALS, width=ROOM), ROOM)
    assert max(map(len, text.splitlines())) <= ROOM
    assert "ir_r2_k3_s2_e4_c16_se0.25" in text


def test_a_bar_is_never_empty_nor_longer_than_its_column():
    for ascii_only in (False, True):
        lengths = [len(bar(share / 100, ascii_only)) for share in range(101)]
        assert (min(lengths), max(lengths)) == (1, BAR)
        assert lengths == sorted(lengths)
