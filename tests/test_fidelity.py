"""``python -m nas.fidelity`` from the command line to its report and to the searches that carry what it found."""

import math

import pytest
from html_page import Page

from nas import search
from nas.fidelity import __main__ as command
from reports import fidelity
from reports.pages import fidelity_page
from search_spaces import UserError, cost
from studies import engine, ledger
from studies.fidelity_record import FIDELITY, read
from studies.ledger import Outcome

SETTINGS = ["--space", "v2", "--width", "0.25", "--data", "digits", "--resolution", "16", "--epochs", "2"]
SETTINGS += ["--cpus", "1", "--gpus", "0", "--set", "data.max_per_class=20"]
STUDY = [*SETTINGS, "--networks", "6", "--seeds", "2", "--proxy", "epochs=1", "--proxy", "epochs=1,width=0.5,share=0.5"]
PROXIES = ["epochs=2", "epochs=1", "epochs=1,share=0.5,width=0.5"]


def made_up(arch, seed, payload, session, *, spec, measure):
    """Accuracy grows with MACs; fewer epochs see it less clearly, and not at all at half the images."""
    assert not measure
    macs, epochs = cost.count(arch, 10).macs, spec.train.epochs
    noise = math.sin(1e4 * seed + macs) * (20 if spec.data.share < 1 else 2 / epochs)
    known = {"macs": macs, "params": 1}
    session.measured(Outcome("stopped", **known))
    for epoch in range(1, epochs + 1):
        session.epoch({"epoch": epoch, "top1": 1.0, "time_s": 0.5 * spec.data.share})
    return Outcome("ok", top1=10 * math.log10(macs) + noise, **known)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def nas_fidelity(monkeypatch, capsys):
    """Runs the command line here with a made-up training, without Ray; what it printed."""

    def run(*arguments, evaluation=made_up):
        def inline(recorder, evaluate, payload, resources):
            engine.run_inline(recorder, lambda *task: evaluation(*task, **evaluate.keywords), payload)

        monkeypatch.setattr(engine, "run", inline)
        command.main([str(argument) for argument in arguments])
        return capsys.readouterr().out

    return run


def fail_after(count, error):
    calls = []

    def evaluation(*task, **keywords):
        calls.append(task)
        if len(calls) > count:
            raise error
        return made_up(*task, **keywords)

    return evaluation


def test_study_from_the_command_line_to_the_page(nas_fidelity, tmp_path):
    out = tmp_path / "study"
    printed = nas_fidelity(*STUDY, "--out", out)
    found = read(out / FIDELITY)
    assert [proxy.name for proxy in found.proxies] == PROXIES
    assert (found.complete, found.top, found.long.epochs, len(found.networks)) == (True, 2, 8, 6)
    macs = [network.macs for network in found.networks]
    assert macs == sorted(macs)
    assert found.by_cost["macs"].tau.value > 0.8
    own, half, poor = found.proxies
    assert own.agreement.tau.value >= half.agreement.tau.value > poor.agreement.tau.value
    assert [proxy.cost for proxy in found.proxies] == pytest.approx([2 / 8, 1 / 8, 1 / 16])
    assert found.chosen == "epochs=1"
    assert found.long.spread.networks > found.long.spread.seeds
    assert half.training.spread is None
    assert half.command == (
        "python -m nas.search --space v2 --width 0.25 --data digits --resolution 16 "
        "--set data.max_per_class=20 --epochs 1"
    )
    assert "cheapest proxy with tau >= 0.6: epochs=1" in printed
    assert "MACs alone ranks as well" in printed
    assert printed.splitlines()[-1] == f"report: {out / 'report.html'}"
    assert len(ledger.read(out / "long")) == 12
    seeds = [{record.seed for record in ledger.read(folder)} for folder in (out / "long", out / "proxies" / "epochs=1")]
    assert not seeds[0] & seeds[1]
    shown = Page((out / "report.html").read_text())
    assert [attrs["id"] for tag, attrs in shown.tags if tag == "div" and "id" in attrs] == ["tau-cost", "short-long"]
    assert shown.outside == []
    for words in (*PROXIES, "MACs alone", "parameters alone", found.networks[0].id, half.command):
        assert words in shown.text


def test_a_study_goes_on_after_its_end_and_only_judges_anew(nas_fidelity, tmp_path):
    out = tmp_path / "study"
    nas_fidelity(*STUDY, "--out", out)
    before = read(out / FIDELITY)
    printed = nas_fidelity(
        "--resume", out, "--threshold", "1", "--top", "3", evaluation=fail_after(0, ValueError("no"))
    )
    after = read(out / FIDELITY)
    assert (after.threshold, after.top) == (1, 3)
    assert after.long == before.long
    assert "tau 1" in printed
    with pytest.raises(UserError, match="already holds a run"):
        nas_fidelity(*STUDY, "--out", out)


def test_interrupted_study_ends_as_the_whole_one(nas_fidelity, tmp_path, capsys):
    nas_fidelity(*STUDY, "--out", tmp_path / "whole")
    whole = read(tmp_path / "whole" / FIDELITY)
    for count in (0, 11, 14, 28):  # in each of its parts
        broken = tmp_path / f"after {count}"
        with pytest.raises(KeyboardInterrupt):
            nas_fidelity(*STUDY, "--out", broken, evaluation=fail_after(count, KeyboardInterrupt()))
        printed = capsys.readouterr().out
        assert f"to go on: python -m nas.fidelity --resume '{broken}'" in printed
        assert f"{30 - count} trainings still to be made" in printed
        assert not read(broken / FIDELITY).complete
        assert "not complete" in (broken / "report.html").read_text()
        nas_fidelity("--resume", broken)
        after = read(broken / FIDELITY)
        assert (after.proxies, after.long, after.ceiling) == (whole.proxies, whole.long, whole.ceiling)


def test_an_unfinished_study_is_not_told_to_searches(nas_fidelity, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        nas_fidelity(*STUDY, "--out", tmp_path / "study", evaluation=fail_after(25, KeyboardInterrupt()))
    assert not (tmp_path / "cache" / "fidelity").exists()


def test_failed_trainings_are_listed(nas_fidelity, tmp_path):
    def evaluation(arch, seed, payload, session, *, spec, measure):
        if spec.train.epochs == 1 and arch == worst[0]:
            return Outcome("failed", error="training diverged: <b>step 3</b>")
        return made_up(arch, seed, payload, session, spec=spec, measure=measure)

    nas_fidelity(*STUDY, "--out", tmp_path / "whole")
    worst = [record.arch for record in ledger.read(tmp_path / "whole" / "long")][:1]
    printed = nas_fidelity(*STUDY, "--out", tmp_path / "study", evaluation=evaluation)
    found = read(tmp_path / "study" / FIDELITY)
    half = found.proxy("epochs=1")
    assert half.agreement.networks == 5
    assert [(one.network, one.status) for one in half.training.missing] == [(worst[0].id, "failed")]
    assert found.complete
    line = f"no figure: epochs=1: network {worst[0].id}, seed 0: failed, training diverged: <b>step 3</b>"
    assert line in printed
    page = (tmp_path / "study" / "report.html").read_text()
    assert "<b>step 3</b>" not in page
    assert "training diverged: <b>step 3</b>" in Page(page).text


def test_where_nothing_reaches_the_threshold_the_nearest_is_named(nas_fidelity, tmp_path):
    def noise(arch, seed, payload, session, *, spec, measure):
        done = made_up(arch, seed, payload, session, spec=spec, measure=measure)
        return done if spec.train.epochs == 8 else Outcome("ok", top1=-done.top1, macs=done.macs, params=1)

    printed = nas_fidelity(*STUDY, "--out", tmp_path / "study", evaluation=noise)
    found = read(tmp_path / "study" / FIDELITY)
    assert found.chosen is None
    assert "no proxy reaches tau 0.6; the nearest is epochs=1,share=0.5,width=0.5, tau" in printed
    assert "to search so" not in printed
    assert fidelity_page.render(found).count("<figure>") == 2


def test_networks_that_are_all_alike_are_said_to_be(nas_fidelity, tmp_path):
    def flat(*task, spec, measure):
        return Outcome("ok", top1=10.0, macs=1, params=1)

    printed = nas_fidelity(*STUDY, "--out", tmp_path / "study", evaluation=flat)
    assert "no proxy can be judged yet" in printed
    assert "There is nothing to plot" in (tmp_path / "study" / "report.html").read_text()


def searched(monkeypatch, capsys, *arguments):
    """The line of a search, made up but for what follows its trials."""

    def evaluation(arch, seed, payload, session):
        return Outcome("ok", top1=50.0, macs=cost.count(arch, 10).macs, params=1)

    monkeypatch.setattr(engine, "run", lambda recorder, *_: engine.run_inline(recorder, evaluation, None))
    goals = ["--objective", "top1", "--objective", "macs", "--trials", "2"]
    search.main([*goals, *map(str, arguments)])
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("fidelity")]


def test_a_search_carries_the_fidelity_of_its_training(nas_fidelity, tmp_path, monkeypatch, capsys):
    run = tmp_path / "run"
    unknown = searched(monkeypatch, capsys, *SETTINGS, "--out", tmp_path / "before")
    told = "--space v2 --width 0.25 --data digits --resolution 16 --set data.max_per_class=20 --epochs 2"
    assert unknown == [f"fidelity: unknown; python -m nas.fidelity {told} tells"]
    assert "fidelity: unknown; " in Page((tmp_path / "before" / "report.html").read_text()).text

    nas_fidelity(*STUDY, "--out", tmp_path / "study")
    own, half, narrow = read(tmp_path / "study" / FIDELITY).proxies
    (line,) = searched(monkeypatch, capsys, *SETTINGS, "--seed", 5, "--out", run)
    tau, macs = fidelity.with_interval(own.agreement.tau), read(run / FIDELITY).by_cost["macs"].tau
    assert line == (
        f"fidelity of this training (2 epochs): Kendall tau {tau} with 8 epochs over 6 networks; "
        f"MACs alone {macs.value:.2f}"
    )
    assert line in Page((run / "report.html").read_text()).text
    for proxy in (half, narrow):  # the command that the study recommends
        out = tmp_path / proxy.name
        typed = proxy.command.split()[3:]
        (line,) = searched(monkeypatch, capsys, *typed, "--cpus", "1", "--gpus", "0", "--out", out)
        assert fidelity.with_interval(proxy.agreement.tau) in line
        assert read(out / FIDELITY).own == proxy.name
    assert searched(monkeypatch, capsys, *SETTINGS, "--set", "train.dropout=0.1", "--out", tmp_path / "other")[
        0
    ].startswith("fidelity: unknown")

    for path in (tmp_path / "cache" / "fidelity").iterdir():
        path.write_text("{")  # damaged: as if there were none
    monkeypatch.setattr(engine, "run", lambda *_: None)
    search.main(["--resume", str(run)])  # what was found travels with the folder
    assert "Kendall tau" in capsys.readouterr().out
