"""Proposals: when they may be made, from what, and what is done where a sampler's answer will not do."""

import math
import random
from dataclasses import replace

import pytest

from search_spaces import Arch, Stage, UserError
from search_spaces.space import SearchSpace
from studies.ledger import Latency, Outcome, TrialRecord
from studies.proposer import Proposer, lag_for, trial_seed
from studies.repeats import merged
from studies.samplers import make


def depths(*layers):
    """A space of one stage per given range of depths."""
    base = Arch((Stage("mbconv", 3, 1, 1, 8, 1),) * len(layers), stem_channels=8, head_channels=0, resolution=32)
    fixed = {"block": ("mbconv",), "kernel": (3,), "expansion": (1,), "se_ratio": (0,), "channels": (8,)}
    return SearchSpace("depths", "", base, tuple(fixed | {"layers": tuple(depth)} for depth in layers), (32,))


SPACE = depths(range(1, 11), range(1, 11), range(1, 11), range(1, 11))  # 10,000 networks
SMALL = depths(range(1, 7))


def total(arch):
    return sum(stage.layers for stage in arch.stages)


class Spy:
    """Answers as it is told, and keeps what it learns."""

    def __init__(self, answer=None):
        self.answer, self.learned = answer, []

    def propose(self, rng, allowed):
        return self.answer(rng) if self.answer else SPACE.sample(rng)

    def learn(self, arch, outcome, curve=()):
        self.learned.append((arch, outcome))


def ok(top1):
    return Outcome("ok", top1=top1, macs=1)


def test_ask_waits_for_the_trial_that_the_lag_names():
    spy = Spy()
    proposer = Proposer(SPACE, spy, seed=0, lag=2)
    archs = [proposer.ask().arch for _ in range(3)]
    proposer.tell(1, ok(1))
    assert proposer.ask() is None
    assert not spy.learned
    proposer.tell(0, ok(0))
    assert proposer.ask().number == 3
    assert spy.learned == [(archs[0], ok(0))]  # trial 3 is proposed from trial 0 alone, though 1 has ended too
    assert proposer.ask().number == 4
    assert spy.learned == [(archs[0], ok(0)), (archs[1], ok(1))]
    assert proposer.ask() is None
    assert proposer.asked == 5
    assert not proposer.exhausted


def test_proposals_hang_on_the_seed_and_their_number_alone():
    drawn = SPACE.sample(random.Random("7/0"))
    proposal = Proposer(SPACE, Spy(), seed=7).ask()
    assert (proposal.number, proposal.arch, proposal.seed) == (0, drawn, 7)
    assert trial_seed(7, 3) == 10


def record(number, arch, outcome=None):
    return TrialRecord(number, arch, seed=number, started=0.0, outcome=outcome)


def test_a_resumed_run_learns_as_the_first_one_did():
    spy = Spy()
    archs = [SPACE.sample(random.Random(seed)) for seed in range(4)]
    proposer = Proposer(SPACE, spy, seed=0, lag=1)
    proposer.restore([record(0, archs[0], ok(0)), record(1, archs[1]), record(2, archs[2], ok(2)), record(3, archs[3])])
    assert proposer.asked == 4
    assert proposer.ask() is None  # trial 1 is still open
    proposer.tell(1, ok(1))
    assert proposer.ask().number == 4
    assert spy.learned == [(archs[number], ok(number)) for number in range(3)]


@pytest.mark.parametrize(
    ("numbers", "arch", "repeats", "message"),
    [
        ([0, 2], SPACE.base, 1, "trial 1: missing, the next one is trial 2"),
        ([1], SPACE.base, 1, "trial 0: missing"),
        ([0], SMALL.base, 1, "trial 0: network .* is not in space depths"),
        ([0, 1], None, 2, "trial 1: another network than before, but repeats is 2"),
    ],
)
def test_records_of_another_run_are_refused(numbers, arch, repeats, message):
    records = [record(n, arch or SPACE.sample(random.Random(n))) for n in numbers]
    with pytest.raises(UserError, match=message):
        Proposer(SPACE, Spy(), seed=0, repeats=repeats).restore(records)


def test_a_network_is_new_even_if_the_sampler_repeats_itself():
    proposer = Proposer(SMALL, Spy(lambda rng: SMALL.base), seed=0, lag=10)
    archs = [proposer.ask().arch for _ in range(6)]
    assert set(archs) == set(SMALL)
    assert proposer.ask() is None
    assert proposer.exhausted
    assert proposer.asked == 6


def test_networks_of_the_same_function_are_the_same():
    stage = {"block": ("mbconv",), "kernel": (3,), "expansion": (1,), "layers": (1,), "channels": (8,)}
    space = SearchSpace("squeezes", "", SMALL.base, (stage | {"se_ratio": (0, 0.25, 0.26, 0.5)},), (32,))
    proposer = Proposer(space, make("random", space, ("top1",), 8), seed=0, lag=10)
    squeezes = [proposer.ask().arch.stages[0].squeeze(8) for _ in range(3)]  # 0.25 and 0.26 of 8 are both 2
    assert sorted(squeezes) == [0, 2, 4]
    assert proposer.ask() is None


def test_a_resumed_run_repeats_nothing():
    proposer = Proposer(SMALL, Spy(lambda rng: SMALL.base), seed=0, lag=10)
    proposer.restore([record(number, arch) for number, arch in enumerate(list(SMALL)[:4])])
    assert {proposer.ask().arch, proposer.ask().arch} == set(list(SMALL)[4:])
    assert proposer.ask() is None
    assert proposer.exhausted


def at_most(limit):
    return lambda arch: {f"layers<={limit}": total(arch) / limit - 1} if total(arch) > limit else {}


def test_an_infeasible_answer_is_walked_into_the_limits():
    deepest = SPACE.from_genes({name: values[-1] for name, values in SPACE.parameters.items()})
    proposer = Proposer(SPACE, Spy(lambda rng: deepest), seed=0, lag=100, violations=at_most(6))  # 15 of 10,000
    archs = [proposer.ask().arch for _ in range(15)]
    assert max(map(total, archs)) <= 6
    assert len(set(archs)) == 15
    assert proposer.ask() is None
    assert proposer.exhausted


def test_a_needle_in_a_haystack_is_found_by_looking_everywhere():
    needle = SPACE.sample(random.Random(1))
    proposer = Proposer(SPACE, Spy(), 0, violations=lambda arch: {} if arch == needle else {"needle": 1.0})
    assert proposer.ask().arch == needle


def test_limits_that_nothing_keeps_are_a_user_error():
    proposer = Proposer(SPACE, Spy(), 0, violations=lambda arch: {"layers<=3": total(arch) - 3.0, "macs<=1": 9.0})
    with pytest.raises(UserError, match=r"constraints: none of all 10000 networks .* layers<=3, macs<=1"):
        proposer.ask()


def test_what_is_given_comes_first_as_far_as_it_may():
    wanted = [SPACE.base, SPACE.from_genes({"s1.layers": 2})]
    too_deep = SPACE.from_genes(dict.fromkeys(SPACE.parameters, 10))
    first = [too_deep, wanted[0], SMALL.base, wanted[0], wanted[1]]
    proposer = Proposer(SPACE, Spy(), 0, lag=9, violations=at_most(30), first=first)
    assert [proposer.ask().arch, proposer.ask().arch] == wanted
    assert proposer.ask().arch not in wanted
    resumed = Proposer(SPACE, Spy(), 0, lag=9, violations=at_most(30), first=first)
    resumed.restore([record(0, wanted[0])])
    assert resumed.ask().arch == wanted[1]


def test_a_repeated_network_is_learned_once():
    spy = Spy()
    proposer = Proposer(SPACE, spy, seed=5, repeats=3)
    for number, outcome in enumerate([ok(80), Outcome("failed", error="x"), ok(90)]):
        assert not spy.learned
        proposal = proposer.ask()
        assert (proposal.number, proposal.seed) == (number, 5 + number)
        proposer.tell(number, outcome)
    assert proposer.ask().arch != proposal.arch
    assert spy.learned == [(proposal.arch, ok(85))]


def test_a_run_is_resumed_in_the_middle_of_repeats():
    arch = SPACE.sample(random.Random(3))
    proposer = Proposer(SPACE, Spy(), seed=0, repeats=3)
    proposer.restore([record(0, arch, ok(1)), record(1, arch, ok(2))])
    assert proposer.ask().arch == arch
    proposer.tell(2, ok(3))
    assert proposer.ask().arch != arch


@pytest.mark.parametrize("options", [{"lag": -1}, {"repeats": 0}])
def test_what_is_out_of_range_is_a_user_error(options):
    with pytest.raises(UserError, match=f"{next(iter(options))}: "):
        Proposer(SPACE, Spy(), 0, **options)


def test_lag_for_a_concurrency():
    assert [lag_for(n) for n in (1, 2, 8)] == [0, 2, 14]


def latency(p50_ms, status="ok"):
    return Latency({"device": "cpu"}, p50_ms, iqr_ms=0.1 * p50_ms, min_ms=p50_ms - 1, n=50, status=status)


def test_merged_outcomes_are_the_means_of_those_that_are_ok():
    one = Outcome("ok", macs=7, top1=80.0, val_loss=1.0, latency=latency(10.0))
    two = Outcome("ok", macs=7, top1=90.0, latency=latency(12.0))
    mean = merged([one, Outcome("stopped", top1=10.0), two])
    assert (mean.status, mean.macs, mean.top1, mean.val_loss) == ("ok", 7, 85.0, 1.0)
    assert mean.latency.p50_ms == 11.0
    assert math.isclose(mean.latency.iqr_ms, 1.1)
    assert (mean.latency.min_ms, mean.latency.n) == (9.0, 100)
    assert merged([one, replace(one, top1=70.0)]).latency == one.latency  # one measurement that both trials share
    flagged = merged([one, Outcome("ok", latency=latency(99.0, "flagged"))])
    assert flagged.latency.p50_ms == 10.0  # a flagged measurement counts only where there is no other
    deferred = Outcome("ok", latency=Latency({}, None, status="deferred"))
    assert merged([deferred, Outcome("ok", latency=latency(9.0, "flagged"))]).latency.p50_ms == 9.0
    assert merged([deferred, deferred]).latency.status == "deferred"


def test_merged_outcomes_without_one_that_is_ok():
    rejected = Outcome("rejected", violations={"latency_ms<=8": 0.1})
    assert merged([Outcome("failed"), rejected, Outcome("stopped")]) == rejected
    assert merged([Outcome("failed"), Outcome("stopped", top1=1.0)]).status == "stopped"
    assert merged([ok(3)]) == ok(3)
