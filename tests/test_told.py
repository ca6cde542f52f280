"""What a search says of each trial as it ends."""

import pytest

from nas.progress import describe
from nas.search import parser
from studies.ledger import Latency, Outcome


@pytest.mark.parametrize(("status", "mark"), [("ok", ""), ("not_converged", "*"), ("flagged", "*")])
def test_a_latency_in_doubt_is_marked_when_a_trial_ends(status, mark):
    latency = Latency({}, 0.587, status=status)
    assert describe(Outcome("ok", macs=5_063_000, latency=latency, top1=16.39)) == (
        f"16.39 %, 0.587 ms{mark}, 5.063 M MACs"
    )
    broken = {"latency_ms<=0.5": 0.174, "macs<=1e6": 4.063}
    assert describe(Outcome("rejected", latency=latency, violations=broken)) == (
        f"breaks latency_ms<=0.5 by 17%{mark}, macs<=1e6 by 406%"
    )


def test_the_runtime_of_a_limit_on_latency_is_a_flag():
    assert vars(parser().parse_args(["--latency-mode", "onnxruntime"])) == {"latency.mode": "onnxruntime"}
