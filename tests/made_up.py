"""A made-up search that takes no time: networks of a real space, an evaluation that only looks at them."""

import json
from contextlib import contextmanager
from functools import cache

from search_spaces import cost
from search_spaces.space_file import load_space
from studies import samplers
from studies.engine import run_inline
from studies.ledger import LEDGER, Ledger, Outcome, read
from studies.proposer import Proposer
from studies.recorder import Limits, Recorder

SEED = 100
OBJECTIVES = ("top1", "macs")
# Of a real search in which latencies are not what is looked at.
QUICK_LATENCY = ["--set", "latency.warmup_s=0", "--set", "latency.max_s=0.02", "--set", "latency.retries=0"]


@cache
def space():
    return load_space("v2", width=0.25)


def score(arch):
    macs = cost.count(arch, 10).macs
    return Outcome("ok", top1=100 * macs / (macs + 4e6), macs=macs, params=1)


def evaluate(arch, seed, payload, session):
    """Two epochs, of which the first tells less."""
    found = score(arch)
    session.measured(Outcome("stopped", macs=found.macs, params=found.params))
    for epoch in (1, 2):
        session.epoch({"epoch": epoch, "top1": found.top1 - 5 * (2 - epoch)})
    return found


def proposer(lag=2, sampler="nsga2", seed=SEED, repeats=1):
    return Proposer(space(), samplers.make(sampler, space(), OBJECTIVES, 4), seed, lag, repeats=repeats)


def ignore(event):
    pass


@contextmanager
def recording(run_dir, trials=None, on_event=ignore, proposes=None, **options):
    """A recorder on the ledger in ``run_dir``, which goes on with what that holds."""
    limits = options.pop("limits", Limits(trials))
    with Ledger(run_dir) as ledger:
        records = read(run_dir)
        yield Recorder(proposes or proposer(), ledger, limits, on_event, records, **options)


def search(run_dir, trials, evaluation=evaluate, payload=None, **options):
    """Runs it here, one trial after another; the records."""
    run_dir.mkdir(exist_ok=True)
    with recording(run_dir, trials, **options) as recorder:
        run_inline(recorder, evaluation, payload)
    return read(run_dir)


def essence(records):
    """What must not depend on interruptions."""
    return [(r.number, r.arch, r.seed, r.epochs, r.measured, r.outcome) for r in records]


def lines_of(run_dir, trial=None):
    events = [json.loads(line) for line in (run_dir / LEDGER).read_text().splitlines()]
    return [event["event"] for event in events if trial in (None, event["trial"])]
