"""What follows a search: its best networks trained longer with several seeds, and another search that begins there."""

from dataclasses import replace

import pytest
from made_up import QUICK_LATENCY

from nas import run as nas_run
from nas import search
from reports.confirmed import agreement, confirmed, table
from reports.pages.listing import confirmed_section
from reports.run import read_spec
from search_spaces import UserError, load
from studies.ledger import LEDGER, Outcome, TrialRecord, read
from studies.pareto import front, select
from studies.repeats import networks

GOALS = ("top1", "macs")
FLAGS = ["--data", "digits", "--epochs", "1", "--cpus", "1", "--objective", "top1", "--objective", "macs"]
FLAGS += ["--sampler", "random", "--set", "data.max_per_class=10"]


@pytest.fixture(scope="module")
def run(here_instead_of_ray):
    """Runs the command line with real trainings, one after another; what it printed."""

    def command(*arguments):
        with here_instead_of_ray(), nas_run.console.capture() as printed:
            search.main([str(argument) for argument in arguments])
        return printed.get()

    return command


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("runs") / "first"


@pytest.fixture(scope="module")
def searched(run, run_dir, small_space_file):
    """What the search of ``run_dir`` printed."""
    more = ["--trials", 4, "--repeats", 2, "--confirm", 1, "--confirm-epochs", 2, "--seeds", 2]
    return run("--space", small_space_file, *FLAGS, *QUICK_LATENCY, *more, "--out", run_dir)


def test_repeats_and_confirmation_are_recorded_and_shown(searched, run_dir):
    trials, again = read(run_dir), read(run_dir / "confirm")
    assert [trial.arch == trials[0].arch for trial in trials] == [True, True, False, False]
    assert len({trial.seed for trial in trials}) == 4
    assert [len(trial.epochs) for trial in again] == [2, 2]
    assert {trial.arch.id for trial in again} <= {trial.arch.id for trial in front(networks(trials), GOALS)}
    assert not {trial.seed for trial in again} & {trial.seed for trial in trials}
    assert "Confirmed over 2 epochs" in searched
    page = (run_dir / "report.html").read_text()
    assert "Confirmation" in page
    assert not (run_dir / "checkpoints").exists()


def test_another_search_begins_with_the_front(searched, run, run_dir, small_space_file, tmp_path):
    more = ["--trials", 1, "--warm-start", run_dir]
    run("--space", small_space_file, *FLAGS, *QUICK_LATENCY, *more, "--out", tmp_path / "second")
    assert read(tmp_path / "second")[0].arch == front(read(run_dir), GOALS)[0].arch
    kept = tmp_path / "second" / "warm_start" / LEDGER
    assert kept.read_bytes() == (run_dir / LEDGER).read_bytes()


def record(number, name, top1, seed=0):
    arch = load(name)
    return TrialRecord(number, arch, seed, 0.0, outcome=Outcome("ok", top1=top1, macs=number + 1))


def test_confirmed_networks_come_with_the_spread_of_their_seeds():
    names = ["efficientnet_b0", "efficientnet_b1", "efficientnet_b2"]
    trials = [record(n, name, 50.0 + n) for n, name in enumerate(names)]
    again = [record(n, name, 80.0 - n + seed, seed) for n, name in enumerate(names) for seed in (0, 1)]
    found = confirmed(trials, again)
    assert [(one.searched, one.mean, one.text) for one in found[:1]] == [(50.0, 80.5, "80.50 ± 0.71 (2)")]
    assert "-1.00, over 3 networks" in agreement(found)
    assert "Too few" in agreement(found[:2])


def test_the_test_split_is_shown_where_it_was_looked_at_and_orders_nothing():
    names = ["efficientnet_b0", "efficientnet_b1", "resnet18"]
    again = [
        replace(one, outcome=replace(one.outcome, test_top1=test))
        for one, test in zip(
            [record(n, name, 80.0 - n, seed) for n, name in enumerate(names) for seed in (0, 1)],
            (70.0, 71.0, 75.0, 77.0, None, None),
            strict=True,
        )
    ]
    beside = {"resnet18": [record(0, "resnet18", 40.0)]}
    found = confirmed([record(0, "efficientnet_b0", 50.0)], again, beside)
    assert [(one.name, one.searched, one.test_top1) for one in found] == [
        ("", 50.0, (70.0, 71.0)),
        ("", None, (75.0, 77.0)),
        ("resnet18", 40.0, ()),
    ]
    assert networks(again)[1].outcome.test_top1 == 76.0
    assert Outcome.from_dict(again[0].outcome.to_dict()) == again[0].outcome
    text = confirmed_section(found, 8)
    assert "test top-1, %" in text
    assert "76.00 ± 1.41 (2)" in text
    assert "The best of the front and the published networks, trained again for 8 epochs" in text
    headings = [column.header for column in table(found, 8).columns]
    assert headings[1:3] == ["test top-1, %", "top-1, %"]
    untested = [replace(one, test_top1=(), name="") for one in found]
    assert "test top-1" not in confirmed_section(untested, 8).lower()
    assert "test" not in str([column.header for column in table(untested, 8).columns])


def test_of_a_front_those_stay_that_span_most_of_it():
    """Four on a line but for one, which lies close to the second and adds nearly nothing."""
    trials = [record(n, "efficientnet_b0", top1) for n, top1 in enumerate([10.0, 20.0, 20.1, 40.0])]
    assert [trial.number for trial in select(trials, GOALS, 3)] == [0, 1, 3]
    assert [trial.number for trial in select(trials, GOALS, 9)] == [0, 1, 2, 3]
    assert [trial.number for trial in select(trials, GOALS, 1)] == [3]  # the most accurate, not the knee
    assert select([], GOALS, 3) == []
    assert [trial.number for trial in select(trials, ["top1"], 2)] == [3, 2]


def test_a_resumed_run_confirms_with_the_same_epochs_or_says_so(searched, run, run_dir):
    with pytest.raises(UserError, match=r"^--confirm-epochs: 9, but"):
        run("--resume", run_dir, "--confirm-epochs", 9)
    assert read_spec(run_dir)["confirm"]["epochs"] == 2


def test_a_run_that_was_being_confirmed_searches_no_further(searched, run, run_dir):
    before = read(run_dir)
    assert "4 trials are done, the search is over" in run("--resume", run_dir, "--seeds", 3)
    assert read(run_dir) == before
    assert [record.status for record in read(run_dir / "confirm")] == ["ok"] * 3
