"""The evaluation of one network: what a trial's numbers rest on."""

import functools
import random

import pytest
import torch

from nas import data
from nas.evaluate import count_fvcore, evaluate
from nas.latency.trial import Meter
from nas.lease import NO_LEASE
from search_spaces import cost
from search_spaces.build import build_model
from studies import samplers
from studies.engine import run_inline
from studies.ledger import Latency, Ledger, read
from studies.proposer import Proposer
from studies.recorder import Limits, Recorder
from studies.session import NoRun
from studies.spec import LatencySpec, parse

CPU = torch.device("cpu")
QUICK = {"epochs": 1, "batch_size": 32}
LATENCY = {"warmup_s": 0.0, "max_s": 0.02, "block_ms": 1.0, "retries": 0}


@pytest.fixture(scope="module")
def digits():
    """Ten scans of each."""
    return data.load("digits", 16, seed=0, max_per_class=10)


class Listener(NoRun):
    """Keeps what an evaluation tells."""

    def __init__(self):
        self.known, self.epochs = [], []

    def measured(self, known):
        self.known.append(known)

    def epoch(self, metrics):
        self.epochs.append(metrics)


def test_diverged_trial_is_a_failed_record_with_its_costs(space, digits):
    spec = parse({"train": {"optimizer": "sgd", "learning_rate": 1e30, "epochs": 2}, "latency": LATENCY})
    outcome = evaluate(space.base, 0, digits, NoRun(), spec=spec)
    assert outcome.status == "failed"
    assert "diverged" in outcome.error
    assert "step" in outcome.error
    assert outcome.macs == cost.count(space.base, 10).macs
    assert outcome.top1 is None


@pytest.fixture
def two_threads():
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def test_ok_trial_is_complete(space, digits, two_threads):
    """It runs in one thread, as a trial of one core."""
    heard = Listener()
    spec = parse({"train": QUICK, "latency": LATENCY, "resources": {"cpus_per_trial": 1}})
    outcome = evaluate(space.base, 3, digits, heard, spec=spec)
    assert outcome.status == "ok"
    assert outcome.macs == outcome.macs_fvcore == cost.count(space.base, 10).macs
    assert outcome.params == sum(p.numel() for p in build_model(space.base, 10).parameters())
    assert outcome.top1 == heard.epochs[-1]["top1"]
    assert [(known.macs, known.latency) for known in heard.known] == [(outcome.macs, outcome.latency)]
    assert outcome.step_time_s > 0
    assert set(outcome.timings) == {"fvcore_s", "latency_s", "train_s"}
    assert outcome.latency.key["threads"] == outcome.environment["threads"] == torch.get_num_threads() == 1


@pytest.mark.parametrize(
    ("limit", "built"), [("macs<=1e5", False), ("params<=1000", False), ("latency_ms<=1e-6", True)]
)
def test_constraints_reject_before_anything_dearer(space, digits, limit, built):
    heard = Listener()
    spec = parse({"search": {"constraints": [limit]}, "latency": LATENCY})
    outcome = evaluate(space.base, 0, digits, heard, spec=spec)
    assert outcome.status == "rejected"
    assert next(iter(outcome.violations.values())) > 0
    assert (heard.known, heard.epochs) == ([], [])
    assert (outcome.latency is not None) == built


@pytest.mark.parametrize(("limits", "status"), [([], "ok"), (["latency_ms<=8"], "failed")])
def test_a_latency_that_cannot_be_had_rejects_nothing_and_passes_no_limit(space, digits, monkeypatch, limits, status):
    """It is asked for again after training; the host is never free for long enough here."""
    monkeypatch.setattr("nas.latency.measure.HOLD_S", -1.0)
    spec = parse({"train": QUICK, "latency": LATENCY, "search": {"constraints": limits}})
    outcome = evaluate(space.base, 0, digits, NoRun(), spec=spec)
    assert (outcome.status, outcome.latency.status, outcome.latency_ms) == (status, "deferred", None)
    assert outcome.top1 is not None
    assert "latency_again_s" in outcome.timings
    assert (outcome.error or "").startswith("latency_ms<=8 not checked: the measurement took" if limits else "")


def test_fvcore_counts_the_built_model(space):
    arch = space.sample(random.Random(5)).at(23)
    assert count_fvcore(build_model(arch, 7), 23) == cost.count(arch, 7).macs


def test_equal_seeds_give_equal_searches(space, digits, tmp_path):
    """Proposals and, on CPU with one thread, accuracies; NSGA-II proposes from the accuracies before."""
    spec = parse({"train": QUICK, "latency": LATENCY})

    def search(name, seed):
        (tmp_path / name).mkdir()
        proposer = Proposer(space, samplers.make("nsga2", space, ("top1", "macs"), 2), seed)
        with Ledger(tmp_path / name) as ledger:
            recorder = Recorder(proposer, ledger, Limits(trials=3), lambda event: None)
            run_inline(recorder, functools.partial(evaluate, spec=spec), digits)
        return [(trial.arch.id, trial.outcome.top1, trial.outcome.val_loss) for trial in read(tmp_path / name)]

    first, again, other = search("first", 1), search("again", 1), search("other", 2)
    assert first == again
    assert [trial[0] for trial in first] != [trial[0] for trial in other]


def test_no_memory_is_a_failed_record_that_keeps_what_is_known(space, digits, monkeypatch):
    def starve(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr("nas.evaluate.train", starve)
    outcome = evaluate(space.base, 0, digits, NoRun(), spec=parse({"latency": LATENCY}))
    assert outcome.status == "failed"
    assert outcome.error.startswith("out of memory: CUDA")
    assert outcome.latency is not None


def test_run_on_gpus_never_falls_back_to_cpu(space, digits):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(RuntimeError, match="sees no GPU"):
        evaluate(space.base, 0, digits, NoRun(), spec=parse({"resources": {"gpus": 1}}))


@pytest.mark.parametrize(
    ("fastest_ms", "again_ms", "status"), [(9.0, 9.0, "rejected"), (4.0, 4.0, "ok"), (4.0, 9.1, "rejected")]
)
def test_a_flagged_latency_rejects_by_what_is_sure(space, digits, monkeypatch, fastest_ms, again_ms, status):
    """A limit of 8 ms; the first measurement says 9.1 ms and is flagged."""
    flagged = Latency({}, 9.1, 1.0, fastest_ms, 64, "flagged", ("disturbed",))
    answers = [flagged, Latency({}, again_ms, 0.1, 3.9, 64)]
    monkeypatch.setattr("nas.latency.trial.measure", lambda *_: answers.pop(0))
    heard = Listener()
    spec = parse({"train": QUICK, "search": {"constraints": ["latency_ms<=8"]}})
    assert evaluate(space.base, 0, digits, heard, spec=spec).status == status
    assert bool(heard.epochs) == (fastest_ms < 8)
    assert len(answers) == (fastest_ms > 8)


SPEED, BROAD = "reference took 8.2 ms, 5.5 in earlier measurements", "IQR is 20% of the median"
OTHERS = "other processes used 1 of 2 cores (limit 0.2)"


@pytest.mark.parametrize(
    ("reasons", "worth"),
    [((SPEED,), False), (("not checked here: steal", SPEED, BROAD), False), ((SPEED, OTHERS), True)],
)
def test_a_machine_in_another_state_is_not_measured_again(reasons, worth):
    flagged = Latency({}, 9.1, 1.0, 9.0, 64, "flagged", reasons)
    assert Meter(LatencySpec(), CPU, NO_LEASE).is_worth_another(flagged, took_s=1.0, train_s=20.0) == worth
    assert not Meter(LatencySpec(), CPU, NO_LEASE).is_worth_another(flagged, took_s=1.0, train_s=19.9)
    assert not Meter(LatencySpec(retries=0), CPU, NO_LEASE).is_worth_another(flagged, took_s=1.0, train_s=20.0)


def test_the_test_images_are_for_what_is_final(space):
    images = data.load("digits", 16, seed=0, max_per_class=10)
    spec = parse({"train": QUICK, "latency": LATENCY})
    searched = evaluate(space.base, 0, images, NoRun(), spec=spec, measure=False)
    assert (searched.status, searched.test_top1, searched.latency) == ("ok", None, None)
    final = evaluate(space.base, 0, images, NoRun(), spec=spec, measure=False, final=True)
    assert final.top1 == searched.top1
    assert final.test_top1 is not None
    assert 0 < len(images.test) < len(images.val)


def test_weights_of_a_file_are_where_training_begins(space, digits, tmp_path):
    model = build_model(space.base, 1000)
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    train = {**QUICK, "recipe": "finetune", "weights": str(tmp_path / "weights.pt")}
    outcome = evaluate(space.base, 0, digits, NoRun(), spec=parse({"train": train, "latency": LATENCY}))
    assert outcome.status == "ok"
    assert 0.5 < outcome.environment["weights_taken"] < 1


def test_group_norm_is_what_is_measured_and_trained(space, digits):
    spec = parse({"train": {**QUICK, "norm": "group"}, "latency": LATENCY})
    assert evaluate(space.base, 0, digits, NoRun(), spec=spec).status == "ok"
