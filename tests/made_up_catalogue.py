"""A catalogue of made-up networks, with what was measured of them."""

from dataclasses import replace

from reports import catalogue
from search_spaces import Arch, Stage
from search_spaces.constraint import parse
from search_spaces.published import Published
from studies.ledger import Latency, Outcome, TrialRecord

KEY = {"device": "a <b>chip</b>", "runtime": "torch eager", "dtype": "float32", "batch": 1, "resolution": 16}
ABOUT = {"command": "python -m nas.latency --catalogue", "created": "then", "constraints": [], "latency": {}}
ABOUT |= {"environment": {"torch": "2.9"}}


def network(name, top1, channels):
    stage = Stage("mbconv", 3, 2, 2, channels, 1, 0.25)
    return Published(name, Arch((stage,), stem_channels=8, head_channels=16, resolution=16), top1, f"paper of {name}")


NETWORKS = tuple(
    network(name, top1, 8 * (number + 1))
    for number, (name, top1) in enumerate(
        [("tiny", 60.0), ("small", 70.0), ("slow", 65.0), ("secret", None), ("large", 80.0), ("huge", 90.0)]
    )
)
TINY, SMALL, SLOW, SECRET, LARGE, HUGE = (each.name for each in NETWORKS)


def measured(p50_ms, memory_mb, status="ok", min_ms=None):
    reasons = () if status == "ok" else ("drift of <i>4%</i>", "not checked here: run delay")
    latency = Latency(KEY, p50_ms, 0.1, min_ms or p50_ms, 64, status, reasons, (0.98 * p50_ms, 1.01 * p50_ms))
    return Outcome("ok", latency=latency, peak_memory_mb=memory_mb)


OUTCOMES = {
    TINY: measured(2.0, 10.0),
    SMALL: measured(4.0, 20.0, "not_converged"),
    SLOW: measured(5.0, 20.0),
    SECRET: measured(6.0, 30.0),
    LARGE: measured(9.0, 90.0, "flagged", min_ms=7.0),
    HUGE: Outcome("failed", error="MemoryError: too <large>"),
}


def entries(*limits, outcomes=OUTCOMES):
    records = {
        each.arch.id: TrialRecord(number, each.arch, 0, 0.0, outcome=replace(outcomes[each.name], top1=each.top1))
        for number, each in enumerate(NETWORKS)
        if each.name in outcomes
    }
    constraints = [parse(text, catalogue.METRICS) for text in limits]
    return catalogue.judge(NETWORKS, records, constraints), constraints
