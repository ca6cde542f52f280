"""Proposals depend on the seed and on outcomes, never on the order in which trials end; NSGA-II learns from them."""

import random

import moocore
import pytest

from search_spaces import Arch, Stage, UserError
from studies.ledger import Outcome
from studies.samplers import SAMPLERS, Proposer, lag_for, population_for

OBJECTIVES = ("top1", "macs")
GENES = 10


class Bits:
    """2^20 networks: ten genes say how deep stages are (cheap or dear), ten how wide (which here is all that helps)."""

    def suggest(self, trial):
        layers = [trial.suggest_categorical(f"layers{i}", [1, 2]) for i in range(GENES)]
        channels = [trial.suggest_categorical(f"channels{i}", [8, 16]) for i in range(GENES)]
        stages = tuple(Stage("mbconv", 3, 1, 1, c, n) for c, n in zip(channels, layers, strict=True))
        return Arch(stages, stem_channels=8, head_channels=0, resolution=32)


class Three:
    """Three networks only."""

    def suggest(self, trial):
        layers = trial.suggest_categorical("layers", [1, 2, 3])
        return Arch((Stage("mbconv", 3, 1, 1, 8, layers),), 8, 0, 32)


def evaluate(arch):
    """Wide stages raise top1, any stage that is deep or wide raises macs: the front has shallow stages only."""
    wide = sum(stage.channels == 16 for stage in arch.stages)
    deep = sum(stage.layers == 2 for stage in arch.stages)
    return Outcome("ok", top1=float(10 * wide), macs=wide + deep)


def within_budget(arch):
    macs = evaluate(arch).macs
    return evaluate(arch) if macs <= 6 else Outcome("rejected", macs=macs, violations={"macs<=6": (macs - 6) / 6})


def propose(sampler, seed, lag, trials, shuffled=None, outcome=evaluate, space=None):
    """The networks of a search; trials end in order, or ``shuffled`` chooses among those under way."""
    proposer = Proposer(space or Bits(), sampler, OBJECTIVES, seed, lag, population_for(trials))
    archs, running = [], []
    while len(archs) < trials:
        asked = proposer.ask()
        if asked is not None:
            archs.append(asked[1])
            running.append(asked[0])
        if asked is None or shuffled is None:
            number = running.pop(shuffled.randrange(len(running)) if shuffled else 0)
            proposer.tell(number, outcome(archs[number]))
    return archs


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_order_in_which_trials_end_does_not_matter(sampler):
    in_order = propose(sampler, seed=1, lag=6, trials=80)
    for shuffle in (1, 2):
        assert propose(sampler, seed=1, lag=6, trials=80, shuffled=random.Random(shuffle)) == in_order
    assert propose(sampler, seed=2, lag=6, trials=80) != in_order


def test_outcomes_decide_what_nsga2_proposes():
    assert propose("nsga2", 1, 0, 60) != propose("nsga2", 1, 0, 60, outcome=within_budget)


def test_ask_waits_for_the_trial_that_the_lag_names():
    proposer = Proposer(Bits(), "random", OBJECTIVES, seed=0, lag=2)
    archs = [proposer.ask()[1] for _ in range(3)]
    proposer.tell(1, evaluate(archs[1]))
    assert proposer.ask() is None
    proposer.tell(0, evaluate(archs[0]))
    assert proposer.ask()[0] == 3
    assert proposer.ask()[0] == 4
    assert proposer.ask() is None


def hypervolume(archs):
    points = [[-outcome.top1, outcome.macs] for outcome in map(evaluate, archs)]
    return moocore.hypervolume(points, ref=[0, 2 * GENES])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_nsga2_beats_random_on_a_front_that_has_structure(seed):
    nsga2 = hypervolume(propose("nsga2", seed, lag=2, trials=200))
    assert nsga2 > 1.05 * hypervolume(propose("random", seed, lag=2, trials=200))


def test_infeasible_networks_become_rarer():
    archs = propose("nsga2", 0, lag=2, trials=200, outcome=within_budget)
    rejected = [within_budget(arch).status == "rejected" for arch in archs]
    assert sum(rejected[:40]) > 30  # a random network has 10 genes on, 6 are allowed
    assert sum(rejected[-40:]) < 20


def test_stopped_and_failed_trials_do_not_enter_the_population():
    statuses = iter(["stopped", "failed"] * 100)
    archs = propose("nsga2", 0, 0, 40, outcome=lambda arch: Outcome(next(statuses), top1=99.0, macs=1))
    assert archs == propose("nsga2", 0, 0, 40, outcome=lambda arch: Outcome("ok", top1=None, macs=1))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_network_is_not_repeated_while_the_space_has_others(sampler):
    archs = propose(sampler, 0, 0, 5, outcome=lambda arch: Outcome("ok", top1=1.0, macs=1), space=Three())
    assert archs[0] != archs[1]
    assert len(archs) == 5  # of a space of 3: repeating is better than never to end


def test_what_is_out_of_range_is_a_user_error():
    for arguments in (("grid", OBJECTIVES, 0, 0), ("random", ("beauty",), 0, 0), ("random", OBJECTIVES, 0, -1)):
        with pytest.raises(UserError):
            Proposer(Bits(), *arguments)


def test_rules_for_lag_and_population():
    assert [lag_for(n) for n in (1, 2, 8)] == [0, 2, 14]
    assert [population_for(n) for n in (10, 100, 2000)] == [8, 20, 50]
