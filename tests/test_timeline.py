"""When trials ran: lanes, pauses and idle time, worked by hand and against counting."""

import itertools
import random
import time

import numpy as np
import pytest
from made_up import search
from test_report import arch, ok

from reports.drawing import timeline as module
from reports.drawing.timeline import caption, draw, timeline
from studies.ledger import Ledger, Outcome, TrialRecord, read

NAN = float("nan")
NETWORK = arch(16)


def trial(number, start, end, status="ok", epochs=()):
    """end: None while it runs."""
    outcome = None if end is None else Outcome(status)
    return TrialRecord(number, NETWORK, 0, start, None, ({},) * len(epochs), tuple(epochs), end, outcome)


def rows(data):
    return [(bar.number, bar.start_s, bar.end_s, bar.lane) for bar in data.bars]


def test_lanes_worked_by_hand():
    data = timeline(
        [
            trial(0, 1000.0, 1010.0),
            trial(1, 1001.0, 1004.0, "rejected"),
            trial(2, 1002.0, 1020.0, "failed"),
            trial(3, 1004.0, 1008.0),  # begins as 1 ends
            trial(4, 1009.0, 1012.0, "stopped"),
            trial(5, 1010.0, 1020.0),  # two lanes are free: the first
        ]
    )
    assert rows(data) == [
        (0, 0, 10, 0),
        (1, 1, 4, 1),
        (2, 2, 20, 2),
        (3, 4, 8, 1),
        (4, 9, 12, 1),
        (5, 10, 20, 0),
    ]
    assert [bar.status for bar in data.bars] == ["ok", "rejected", "failed", "ok", "stopped", "ok"]
    assert (data.lanes, data.pauses, data.span_s) == (3, (), 20)
    assert data.busy == pytest.approx((10 + 3 + 18 + 4 + 3 + 10) / (3 * 20))
    assert "At most 3 ran at once" in caption(data)
    assert "On average 80.0% of the rows were busy." in caption(data)


def test_lanes_are_as_many_as_run_at_once_and_trials_in_one_do_not_overlap():
    rng = random.Random(0)
    for _ in range(100):
        trials = [trial(n, start := rng.randint(0, 30), start + rng.randint(0, 10)) for n in range(rng.randint(1, 40))]
        data = timeline(trials)
        low = min(one.started for one in trials)
        at_once = [sum(b.start_s <= at < b.end_s for b in data.bars) for at in np.arange(0, 45, 0.5)]
        assert data.lanes >= max(at_once)
        assert data.lanes <= max(1, max(sum(b.start_s <= c.start_s <= b.end_s for b in data.bars) for c in data.bars))
        for lane in range(data.lanes):
            mine = sorted((b.start_s, b.end_s) for b in data.bars if b.lane == lane)
            assert mine
            assert all(end <= start for (_, end), (start, _) in itertools.pairwise(mine))
        assert {(b.number, b.start_s + low) for b in data.bars} == {(one.number, one.started) for one in trials}


def test_a_pause_of_the_run_is_not_idle_time():
    trials = [trial(0, 0.0, 100.0), trial(1, 0.0, 80.0), trial(2, 90.0, 100.0), trial(3, 1100.0, 1200.0)]
    data = timeline(trials)
    assert data.pauses == ((100.0, 1100.0),)
    assert data.busy == pytest.approx((100 + 80 + 10 + 100) / (2 * 200))
    assert "1 pause of 0.28 h together in which nothing ran" in caption(data)
    assert [(shape.x0, shape.x1) for shape in draw(data).layout.shapes] == [(100 / 60, 1100 / 60)]
    # As long as a usual trial: that may be a sampler that thinks.
    assert timeline([trial(0, 0.0, 500.0), trial(1, 1000.0, 1500.0)]).pauses == ()
    assert timeline([trial(0, 0.0, 1.0), trial(1, 61.0, 62.0)]).pauses == ()
    assert timeline([trial(0, 0.0, 1.0), trial(1, 61.1, 62.0)]).pauses == ((1.0, 61.1),)


def test_running_trials_last_until_the_last_event_or_the_pause_that_ended_them():
    data = timeline(
        [
            trial(0, 0.0, 100.0),
            trial(1, 0.0, None, epochs=[10.0, 50.0]),  # the run was stopped at 100, and it was not begun again
            trial(2, 1000.0, 1050.0),
            trial(3, 1010.0, None),
            trial(4, 1020.0, None, epochs=[1060.0]),
        ]
    )
    assert [bar.end_s for bar in data.bars] == [100, 100, 1050, 1060, 1060]
    assert [bar.status for bar in data.bars] == ["ok", "running", "ok", "running", "running"]
    assert "Running ones are drawn up to the last event" in caption(data)


def test_one_after_another():
    data = timeline([trial(0, 0.0, 10.0), trial(1, 15.0, 20.0)])
    assert data.lanes == 1
    assert "One ran at a time." in caption(data)
    assert "75.0% of the time it was busy" in caption(data)


@pytest.mark.parametrize(
    ("trials", "bars"),
    [
        ([], 0),
        ([trial(0, NAN, NAN)], 0),
        ([trial(0, 5.0, None)], 1),
        ([trial(0, 5.0, 5.0, "failed")], 1),
        ([trial(0, 5.0, 4.0)], 1),  # a clock was put back
        ([trial(0, 5.0, NAN), trial(1, NAN, 7.0)], 1),
    ],
)
def test_any_times_are_drawn(trials, bars):
    data = timeline(trials)
    assert len(data.bars) == bars
    assert all(bar.end_s == bar.start_s for bar in data.bars)
    assert data.busy is None
    assert len(draw(data).data) == bars
    assert caption(data).startswith("Each bar" if bars else "There is nothing to plot")
    assert ("without a time" in caption(data)) == any(np.isnan(one.started) for one in trials)


def test_drawing_has_units_and_marks_a_status_twice():
    data = timeline([trial(0, 0.0, 600.0), trial(1, 0.0, 0.01, "rejected"), trial(2, 1.0, 300.0, "stopped")])
    drawing = draw(data)
    assert [bar.name for bar in drawing.data] == ["ok (1)", "rejected (1)", "stopped (1)"]
    assert drawing.layout.xaxis.title.text == "minutes since the first trial began"
    ok_bar, rejected, stopped = drawing.data
    assert (list(ok_bar.base), list(ok_bar.x), list(ok_bar.y)) == ([0], [10], [1])
    assert stopped.base[0] == pytest.approx(1 / 60)
    assert list(rejected.x) == [pytest.approx(10 * module.SHORTEST)]  # or it would not be seen
    assert rejected.customdata[0].tolist() == [1, 0.01]
    assert "The shortest are drawn longer than they were" in caption(data)
    patterns = [bar.marker.pattern.shape for bar in drawing.data]
    assert len(set(patterns)) == 3
    assert len(set(module.PATTERNS.values())) == len(set(module.HEIGHTS.values())) == len(module.COLOURS)
    hours = draw(timeline([trial(0, 0.0, 7200.0)]))
    assert hours.layout.xaxis.title.text == "hours since the first trial began"
    assert list(hours.data[0].x) == [2]


def test_ledgers_on_disk(tmp_path):
    data = timeline(search(tmp_path, 12))
    assert (len(data.bars), data.lanes) == (12, 1)
    (tmp_path / "again").mkdir()
    with Ledger(tmp_path / "again") as writer:
        writer.started(0, NETWORK, 0)
        writer.started(1, NETWORK, 0)
        writer.epoch(0, {"epoch": 1, "top1": 1.0})
        writer.finished(0, ok(50.0, 1.0, 10))
        writer.started(1, NETWORK, 0)  # lost, and begun again
    found = read(tmp_path / "again")
    begun_again = timeline(found)
    assert [bar.status for bar in begun_again.bars] == ["ok", "running"]
    assert begun_again.lanes == 1
    assert begun_again.bars[1].start_s == found[1].started - found[0].started


def test_ten_thousand_trials_are_drawn_small_and_quickly():
    rng, free, trials = random.Random(0), [0.0] * 8, []
    for number in range(10_000):
        worker = free.index(min(free))
        end = free[worker] + rng.uniform(1, 100)
        trials.append(trial(number, free[worker], end, rng.choice(["ok", "ok", "rejected", "failed"])))
        free[worker] = end
    begun = time.process_time()
    data = timeline(trials)
    drawing = draw(data)
    assert time.process_time() - begun < 2
    assert data.lanes == 8
    assert data.busy == pytest.approx(1, abs=0.01)
    assert [trace.type for trace in drawing.data] == ["scattergl"] * 3
    assert len(drawing.to_json()) < 600_000
    first = drawing.data[0]
    drawn = sum(np.nansum(trace.x[1::3] - trace.x[0::3]) for trace in drawing.data) * 3600
    assert drawn == pytest.approx(sum(bar.end_s - bar.start_s for bar in data.bars), rel=0.1)  # nothing covers the rest
    assert np.isnan(first.x[2::3]).all()
    assert not np.isnan(first.x[0::3]).any()
