"""What becomes of trials, without Ray: recorded in order, stopped, paused, and the same however often it breaks off."""

from dataclasses import replace

import pytest
from made_up import OBJECTIVES, SEED, essence, evaluate, lines_of, proposer, recording, score, search

from search_spaces import UserError
from studies.asha import Asha
from studies.engine import Stop, run_inline
from studies.ledger import LEDGER, Latency, Outcome, read
from studies.listed import Listed
from studies.recorder import Draining, EpochEnded, Finished, Limits, Paused, Started, WorkerLost, checkpoint_of


def test_events_come_in_order_on_disk_and_on_display(tmp_path):
    shown = []
    records = search(tmp_path, 5, on_event=shown.append)
    assert [record.number for record in records] == list(range(5))
    assert [record.seed for record in records] == [SEED + number for number in range(5)]
    assert len({record.arch.fingerprint for record in records}) == 5
    for number in range(5):
        assert lines_of(tmp_path, number) == ["started", "measured", "epoch", "epoch", "finished"]
        assert [type(event) for event in shown if event.number == number] == [Started, EpochEnded, EpochEnded, Finished]


def test_evaluation_that_raises_is_a_failed_trial_that_keeps_what_was_known(tmp_path):
    def raises(arch, seed, payload, session):
        if seed == SEED + 1:
            evaluate(arch, seed, payload, session)
            raise ValueError("a long story\nthe last line")
        return evaluate(arch, seed, payload, session)

    records = search(tmp_path, 3, raises)
    assert [record.status for record in records] == ["ok", "failed", "ok"]
    assert records[1].outcome.error == "ValueError: the last line"
    assert records[1].metric("macs") == score(records[1].arch).macs


def test_outcome_that_the_ledger_cannot_hold_is_a_failed_trial(tmp_path):
    outcomes = iter([Outcome("ok", environment={"what": object()}), Outcome("ok", top1=float("nan"))])
    records = search(tmp_path, 2, lambda *_: next(outcomes))
    assert records[0].outcome.error == "TypeError: Object of type object is not JSON serializable"
    assert records[1].outcome.error.startswith("ValueError: Out of range float")


def test_what_goes_wrong_while_recording_is_no_failed_trial(tmp_path):
    def display(event):
        if isinstance(event, EpochEnded) and event.number == 1:
            raise UserError("the disk is full")

    with pytest.raises(UserError, match="the disk is full"):
        search(tmp_path, 3, on_event=display)
    assert [record.status for record in read(tmp_path)] == ["ok", "running"]


@pytest.mark.parametrize("sampler", ["nsga2", "evolution"])
def test_a_run_broken_off_after_any_event_ends_as_the_whole_one(tmp_path, sampler):
    def stopper():
        return Asha(OBJECTIVES, max_epochs=2, reduction=2)

    whole = search(tmp_path / "whole", 8, proposes=proposer(sampler=sampler), stopper=stopper())
    assert {record.status for record in whole} == {"ok", "stopped"}
    lines = (tmp_path / "whole" / LEDGER).read_bytes().splitlines(keepends=True)
    for count in range(len(lines)):
        broken = tmp_path / str(count)
        broken.mkdir()
        (broken / LEDGER).write_bytes(b"".join(lines[:count]))
        records = search(broken, 8, proposes=proposer(sampler=sampler), stopper=stopper())
        assert essence(records) == essence(whole)
        assert lines_of(broken).count("finished") == 8


def test_raised_trials_go_on_where_the_run_ended(tmp_path):
    search(tmp_path / "grown", 4)
    assert essence(search(tmp_path / "grown", 9)) == essence(search(tmp_path / "whole", 9))
    before = (tmp_path / "grown" / LEDGER).read_bytes()
    search(tmp_path / "grown", 9)
    assert (tmp_path / "grown" / LEDGER).read_bytes() == before


def test_ledger_of_another_space_is_refused(tmp_path):
    search(tmp_path, 2)
    other = proposer()
    other.space = type("Other", (), {"name": "other", "contains": lambda self, arch: False})()
    with (
        pytest.raises(UserError, match=r"trial 0: network .* is not in space other"),
        recording(tmp_path, 3, proposes=other),
    ):
        pass


def test_stopped_trial_keeps_costs_and_the_last_accuracy(tmp_path):
    records = search(tmp_path, 9, stopper=Asha(OBJECTIVES[:1], max_epochs=2))
    stopped = [record for record in records if record.status == "stopped"]
    assert stopped
    for record in stopped:
        assert len(record.epochs) == 1
        assert record.metric("macs") == score(record.arch).macs
        assert record.metric("top1") == record.epochs[-1]["top1"]


def test_lost_trial_begins_again_and_readers_forget_its_first_attempt(tmp_path):
    shown = []
    with recording(tmp_path, 1, shown.append) as recorder:
        task = recorder.next()
        assert recorder.epoch(task.number, {"epoch": 1, "top1": 1.0}, saved=False)
        recorder.lost(task.number, "killed")
        assert recorder.epoch(task.number, {"epoch": 1, "top1": 2.0}, saved=False)
        recorder.finish(task.number, score(task.arch))
    (record,) = read(tmp_path)
    assert record.epochs == ({"epoch": 1, "top1": 2.0},)
    assert WorkerLost(0, "killed") in shown
    assert lines_of(tmp_path) == ["started", "epoch", "started", "epoch", "finished"]


def test_draining_starts_nothing_and_pauses_what_is_saved(tmp_path):
    shown = []
    with recording(tmp_path, 9, shown.append) as recorder:
        saved, unsaved = recorder.next(), recorder.next()
        recorder.drain("enough")
        recorder.drain("enough, I said")
        assert recorder.over
        assert recorder.next() is None
        assert not recorder.epoch(saved.number, {"epoch": 1, "top1": 1.0}, saved=True)
        assert recorder.epoch(unsaved.number, {"epoch": 1, "top1": 1.0}, saved=False)
        recorder.finish(unsaved.number, score(unsaved.arch))
        assert recorder.unfinished == 1
    assert [event for event in shown if isinstance(event, (Draining, Paused))] == [Draining("enough"), Paused(0)]
    assert [record.status for record in read(tmp_path)] == ["running", "ok"]
    with recording(tmp_path, 9) as recorder:
        assert recorder.next().number == saved.number


def test_paused_trial_is_left_by_the_inline_executor(tmp_path):
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()

    def saves(arch, seed, payload, session):
        session.checkpoint.touch()
        recorder.drain("enough")
        with pytest.raises(Stop):
            session.epoch({"epoch": 1, "top1": 1.0})
        raise Stop

    with recording(tmp_path, 9, checkpoints=checkpoints) as recorder:
        run_inline(recorder, saves, None)
    assert [record.status for record in read(tmp_path)] == ["running"]
    assert checkpoint_of(checkpoints, 0).exists()
    search(tmp_path, 1, checkpoints=checkpoints)
    assert not checkpoint_of(checkpoints, 0).exists()


def test_budget_starts_no_trial_that_would_end_too_late(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("studies.recorder.time.monotonic", lambda: clock[0])
    shown = []
    with recording(tmp_path, limits=Limits(deadline=25.0), on_event=shown.append) as recorder:
        for _ in range(2):
            task = recorder.next()
            clock[0] += 10
            assert recorder.epoch(task.number, {"epoch": 1, "top1": 1.0}, saved=True)
            recorder.finish(task.number, score(task.arch))
        assert recorder.over  # ten seconds more would be too many
    assert [record.status for record in read(tmp_path)] == ["ok", "ok"]

    with recording(tmp_path, limits=Limits(deadline=35.0), on_event=shown.append) as recorder:
        task = recorder.next()
        clock[0] = 36.0
        assert not recorder.epoch(task.number, {"epoch": 1, "top1": 1.0}, saved=True)
    assert shown[-2:] == [Draining("the budget is spent"), Paused(2)]


def test_the_stopper_learns_epochs_in_the_order_in_which_they_were_recorded(tmp_path):
    """Trial 1 came first to the rung, where the first goes on; told after trial 0, which is better, it would stop."""
    with recording(tmp_path, 2, proposes=proposer(lag=1)) as first:
        assert first.next()
        assert first.next()
        for number, top1 in ((1, 20.0), (0, 30.0)):
            assert first.epoch(number, {"epoch": 1, "top1": top1, "val_loss": 1.0}, saved=False)
    judge = Asha(("top1",), max_epochs=9)
    with recording(tmp_path, 2, proposes=proposer(lag=1), stopper=judge):
        assert judge.report(1, 1, [20.0])


LATENCY = Latency({"device": "made up"}, 2.0, 0.1, 1.9, 64)


def measure(arch, seed, payload, session):
    """Trial 2 of a network is flagged where it has to measure; payload hears what each trial knew."""
    payload.append(session.latency)
    found = replace(score(arch), latency=session.latency or LATENCY)
    session.measured(found)
    return found


def test_a_network_is_measured_once(tmp_path):
    heard = []
    search(tmp_path, 4, measure, heard, proposes=proposer(repeats=2))
    assert heard == [None, LATENCY, None, LATENCY]
    search(tmp_path, 5, measure, heard, proposes=proposer(repeats=2))
    search(tmp_path, 6, measure, heard, proposes=proposer(repeats=2))  # after a resume too
    assert heard[4:] == [None, LATENCY]


def test_a_doubtful_latency_is_not_used_again(tmp_path):
    def flagged(arch, seed, payload, session):
        payload.append(session.latency)
        return replace(score(arch), latency=replace(LATENCY, status="flagged"))

    heard = []
    search(tmp_path, 2, flagged, heard, proposes=proposer(repeats=2))
    assert heard == [None, None]


def test_what_another_run_measured_is_known(tmp_path):
    heard = []
    found = search(tmp_path / "search", 2, measure, heard)
    pairs = [(found[1].arch, 7), (found[0].arch, 7)]
    search(tmp_path / "confirm", 2, measure, heard, proposes=Listed(pairs), measured=found)
    assert heard == [None, None, LATENCY, LATENCY]


def test_no_trial_of_a_network_starts_while_another_measures_it(tmp_path):
    with recording(tmp_path, 4, proposes=proposer(lag=3, repeats=2)) as recorder:
        first = recorder.next()
        assert recorder.next() is None
        assert not recorder.over
        recorder.measured(first.number, Outcome("stopped", latency=LATENCY))
        second = recorder.next()
        assert (second.number, second.arch, second.latency) == (1, first.arch, LATENCY)
        third = recorder.next()
        assert third.latency is None
        recorder.finish(third.number, Outcome("failed", error="before it was measured"))
        assert recorder.next().latency is None
