"""Lists of networks to train, and several trainings of one network as one."""

import pytest

from nas.given import pairs_of
from search_spaces import UserError, load
from studies.ledger import Latency, Outcome, TrialRecord
from studies.listed import Listed
from studies.repeats import merged, networks

B0, B1 = load("efficientnet_b0"), load("efficientnet_b1")


def record(number, arch, seed, **figures):
    return TrialRecord(number, arch, seed, 0.0, outcome=Outcome("ok", **figures) if figures else None)


def test_pairs_come_in_order_and_end():
    listed = Listed([(B0, 1), (B1, 1)])
    asked = [listed.ask(), listed.ask(), listed.ask()]
    assert [(p.number, p.arch, p.seed) for p in asked[:2]] == [(0, B0, 1), (1, B1, 1)]
    assert asked[2] is None
    assert listed.exhausted


def test_a_list_goes_on_after_what_is_done_and_refuses_another():
    listed = Listed([(B0, 1), (B1, 1)])
    listed.restore([record(0, B0, 1)])
    assert listed.ask().arch == B1
    with pytest.raises(UserError, match="trial 0: not what is listed"):
        Listed([(B0, 1)]).restore([record(0, B1, 1)])


def test_what_is_confirmed_already_keeps_its_place():
    done = [record(0, B1, 7)]
    assert pairs_of([B0, B1], [7, 8], done) == [(B1, 7), (B0, 7), (B0, 8), (B1, 8)]


def test_repeats_are_one_network_with_the_mean_of_its_seeds():
    trials = [record(0, B0, 0, top1=80.0, macs=5), record(1, B1, 1, top1=60.0), record(2, B0, 2, top1=90.0, macs=5)]
    first, second = networks([*trials, record(3, B0, 3)])
    assert (first.arch, first.number, first.metric("top1"), first.metric("macs")) == (B0, 0, 85.0, 5)
    assert second == trials[1]


def test_failures_do_not_enter_the_mean_and_flagged_latencies_only_for_want_of_better():
    good, bad = Latency({}, 2.0, 0.1, 1.9, 50), Latency({}, 9.0, 4.0, 1.9, 50, "flagged", ("noise",))
    both = merged([Outcome("failed", error="x"), Outcome("ok", top1=1.0, latency=good), Outcome("ok", latency=bad)])
    assert (both.status, both.top1, both.latency_ms, both.latency.status) == ("ok", 1.0, 2.0, "ok")
    assert merged([Outcome("ok", latency=bad)]).latency.status == "flagged"
    assert merged([Outcome("failed", error="x"), Outcome("rejected", violations={"a": 1.0})]).status == "rejected"
