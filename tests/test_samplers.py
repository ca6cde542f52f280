"""What every sampler owes: it keeps to the space, repeats nothing, resumes, and (random apart) learns."""

import math
import random
from functools import cache

import moocore
import pytest

from search_spaces import Arch, Stage, UserError
from search_spaces.cost import count
from search_spaces.space import SearchSpace
from studies.ledger import Latency, Outcome, TrialRecord
from studies.proposer import Proposer
from studies.samplers import SAMPLERS, make, population_for

OBJECTIVES = ("top1", "macs")
SWITCHES = {"kernel": (3, 5), "expansion": (1, 2), "se_ratio": (0.0, 0.25), "layers": (1, 2), "channels": (8, 16)}


def space_of(stages, switches):
    """Each stage may turn each of ``switches`` on or off."""
    off = {gene: values[:1] for gene, values in SWITCHES.items()}
    on = {gene: SWITCHES[gene] for gene in switches}
    base = Arch((Stage("mbconv", 3, 1, 1, 8, 1),) * stages, stem_channels=8, head_channels=0, resolution=32)
    return SearchSpace("switches", "", base, ({"block": ("mbconv",)} | off | on,) * stages, (32,))


SPACE = space_of(4, SWITCHES)  # 2^20 networks


def switched_on(arch):
    return [gene for stage in arch.stages for gene, values in SWITCHES.items() if getattr(stage, gene) == values[1]]


def evaluate(arch):
    """Every switch costs MACs; wide stages and large kernels raise top1, the others do nothing."""
    on = switched_on(arch)
    return Outcome("ok", **count(arch)._asdict(), top1=10.0 * on.count("channels") + 5.0 * on.count("kernel"))


def limited(arch):
    """``evaluate`` with a limit on a latency that is measured: a tenth of a random network's switches may be on."""
    latency = Latency({}, p50_ms=1.0 + len(switched_on(arch)), iqr_ms=0.1, min_ms=1.0, n=50)
    if (over := latency.p50_ms / 8 - 1) > 0:
        return Outcome("rejected", **count(arch)._asdict(), latency=latency, violations={"latency_ms<=8": over})
    return Outcome(**vars(evaluate(arch)) | {"latency": latency})


def proposer(sampler, seed=0, lag=0, objectives=OBJECTIVES, population=8, space=SPACE, **options):
    return Proposer(space, make(sampler, space, objectives, population), seed, lag, **options)


def propose(sampler, seed=0, lag=0, trials=40, shuffled=None, outcome=evaluate, **options):
    """The networks of a search; trials end in order, or ``shuffled`` chooses among those under way."""
    source = proposer(sampler, seed, lag, **options)
    archs, running = [], []
    while len(archs) < trials:
        proposal = source.ask()
        if proposal is not None:
            archs.append(proposal.arch)
            running.append(proposal.number)
        if proposal is None or shuffled is None:
            number = running.pop(shuffled.randrange(len(running)) if shuffled else 0)
            source.tell(number, outcome(archs[number]))
    return archs


@cache
def searched(sampler):
    """A search that several tests look at."""
    return propose(sampler)


every_sampler = pytest.mark.parametrize("sampler", SAMPLERS)


@every_sampler
def test_proposals_are_in_the_space_and_new(sampler):
    archs = searched(sampler)
    assert all(map(SPACE.contains, archs))
    assert len({arch.fingerprint for arch in archs}) == len(archs)


@every_sampler
def test_equal_seeds_propose_equally(sampler):
    assert propose(sampler) == searched(sampler)
    other = propose(sampler, seed=1)
    assert len(set(other) & set(searched(sampler))) < 10


@every_sampler
def test_the_order_in_which_trials_end_does_not_matter(sampler):
    in_order = propose(sampler, lag=6)
    assert propose(sampler, lag=6, shuffled=random.Random(0)) == in_order
    assert propose(sampler, lag=6, shuffled=random.Random(1)) == in_order


@pytest.mark.parametrize("sampler", SAMPLERS[1:])
def test_outcomes_decide_what_is_proposed(sampler):
    assert propose(sampler, outcome=limited) != searched(sampler)


@every_sampler
def test_proposing_leaves_no_trace(sampler):
    one = make(sampler, SPACE, OBJECTIVES, 8)
    for arch in searched(sampler)[:20]:
        one.learn(arch, evaluate(arch))
    first = one.propose(random.Random(1), lambda arch: True)
    one.propose(random.Random(2), lambda arch: False)
    assert one.propose(random.Random(1), lambda arch: True) == first


@every_sampler
@pytest.mark.parametrize(("ended", "still_open"), [(0, 2), (9, 3), (25, 1), (30, 0)])
def test_a_resumed_run_goes_on_as_an_uninterrupted_one(sampler, ended, still_open):
    lag = 3
    whole = propose(sampler, lag=lag, trials=36, outcome=mixed)
    resumed = proposer(sampler, lag=lag)
    records = [
        TrialRecord(number, arch, number, 0.0, outcome=mixed(arch) if number < ended else None)
        for number, arch in enumerate(whole[: ended + still_open])
    ]
    resumed.restore(records)
    archs = [record.arch for record in records]
    for number in range(ended, 36 - lag):
        while len(archs) < 36 and (proposal := resumed.ask()):
            assert proposal.number == len(archs)
            archs.append(proposal.arch)
        resumed.tell(number, mixed(archs[number]))
    assert archs == whole


def mixed(arch):
    """Any outcome that there is, by the network."""
    kind, whole = int(arch.id, 16) % 8, evaluate(arch)
    figures = vars(whole)
    return {
        0: Outcome("failed", error="out of memory"),
        1: Outcome("stopped", macs=whole.macs, top1=99.0),
        2: Outcome("rejected", macs=whole.macs, violations={"macs<=1e6": 0.5}),
        3: Outcome("rejected"),
        4: Outcome(**figures | {"top1": None}),
        5: Outcome(**figures | {"top1": math.nan}),
        6: limited(arch),
    }.get(kind, whole)


@every_sampler
@pytest.mark.parametrize("objectives", [("top1",), ("top1", "latency_ms", "params"), ("mnasnet:5", "val_loss")])
def test_any_outcomes_and_objectives_are_survived(sampler, objectives):
    archs = propose(sampler, trials=30, objectives=objectives, outcome=mixed)
    assert len(set(archs)) == 30


@pytest.mark.parametrize("sampler", SAMPLERS[1:])
def test_stopped_and_failed_trials_teach_nothing_of_their_top1(sampler):
    statuses = {"stopped": 99.0, "failed": 1.0}
    taught = [propose(sampler, outcome=lambda a, s=s, t=t: Outcome(s, top1=t)) for s, t in statuses.items()]
    assert taught[0] == taught[1]


@every_sampler
def test_every_network_of_a_small_space_is_proposed_once(sampler):
    space = space_of(2, ["kernel", "channels"])
    source = proposer(sampler, space=space)
    archs = []
    while proposal := source.ask():
        archs.append(proposal.arch)
        source.tell(proposal.number, evaluate(proposal.arch))
    assert source.exhausted
    assert len(archs) == space.size == 16
    assert set(archs) == set(space)
    assert source.ask() is None


@every_sampler
def test_a_space_of_one_network(sampler):
    source = proposer(sampler, space=space_of(1, []))
    assert source.ask().arch == space_of(1, []).base
    source.tell(0, Outcome("failed"))
    assert source.ask() is None


def at_most_three(arch):
    """1 in 776 networks keeps it."""
    over = len(switched_on(arch)) - 3
    return {"switches<=3": over / 3} if over > 0 else {}


@every_sampler
def test_no_trial_is_spent_on_what_breaks_a_counted_limit(sampler):
    archs = propose(sampler, trials=50, violations=at_most_three)
    assert not any(map(at_most_three, archs))
    assert len({arch.fingerprint for arch in archs}) == 50


@every_sampler
def test_repeats(sampler):
    source = proposer(sampler, repeats=3)
    proposals = []
    for _ in range(30):
        proposals.append(source.ask())
        source.tell(proposals[-1].number, evaluate(proposals[-1].arch))
    assert [p.seed for p in proposals] == list(range(30))
    assert [p.arch for p in proposals[::3]] == [p.arch for p in proposals[2::3]]
    assert len({p.arch for p in proposals}) == 10


def hypervolume(archs):
    points = [[-outcome.top1, math.log(outcome.macs)] for outcome in map(evaluate, archs)]
    dearest = SPACE.from_genes({name: values[1] for name, values in SPACE.parameters.items()})
    return moocore.hypervolume(points, ref=[0, math.log(count(dearest).macs)])


@pytest.mark.parametrize(("sampler", "trials"), [("evolution", 200), ("nsga2", 200), ("tpe", 100), ("predictor", 30)])
def test_a_front_that_has_structure_is_found_faster_than_at_random(sampler, trials):
    found = sum(hypervolume(propose(sampler, seed, lag=2, trials=trials, population=20)) for seed in (0, 1))
    assert found > 1.1 * sum(hypervolume(propose("random", seed, trials=max(100, trials))) for seed in (0, 1))


@pytest.mark.parametrize("sampler", SAMPLERS[1:])
def test_networks_that_break_a_measured_limit_become_rarer(sampler):
    archs = propose(sampler, trials=80, outcome=limited)
    rejected = [limited(arch).status == "rejected" for arch in archs]
    at_random = sum(limited(SPACE.sample(random.Random(seed))).status == "rejected" for seed in range(100)) / 100
    assert at_random > 0.8
    assert sum(rejected[-20:]) / 20 < 0.7


def test_importing_the_samplers_loads_none_of_what_they_use(run_python):
    done = run_python("-c", "import studies.proposer, studies.samplers, sys; print(*sys.modules)")
    assert not {"optuna", "sklearn", "scipy", "numpy", "moocore"} & set(done.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("grid", SPACE, OBJECTIVES, 8), "sampler: 'grid' is not one of random, evolution"),
        (("random", SPACE, ("beauty",), 8), "objectives: 'beauty'"),
        (("evolution", SPACE, OBJECTIVES, 1), "population: 1 is not an integer >= 2"),
    ],
)
def test_what_is_out_of_range_is_a_user_error(arguments, message):
    with pytest.raises(UserError, match=message):
        make(*arguments)


def test_population_for_a_budget():
    assert [population_for(trials) for trials in (10, 100, 2000, None)] == [8, 20, 50, 32]
