"""Several searches on one page: who is ahead, whether that can be said at all, and what others wrote shown as text."""

import statistics

import pytest
import yaml
from test_report import KEY, arch, ok

from reports import comparable, comparison
from reports.drawing import edf, progress
from reports.pages import comparison_page
from search_spaces import UserError
from studies.ledger import Latency, Ledger, Outcome

SPACE = "\u00a0"


def spec(**more):
    """A run's, as ``nas.search`` writes it, with what the test is about."""
    base = {
        "command": "python -m nas.search",
        "space": {"name": "v2", "width": 0.25},
        "data": {"source": "glyphs", "resolution": 32, "test_fraction": 0.1},
        "train": {"epochs": 4},
        "search": {"sampler": "nsga2", "objectives": ["top1", "latency_ms"]},
        "resources": {"gpus": 0, "cpus_per_trial": 1},
        "seed": 0,
    }
    for name, value in more.items():
        base[name] = base[name] | value if isinstance(value, dict) else value
    return base


def folder(path, figures, networks=None, **more):
    """A run folder: ``figures`` are outcomes, or (top1, latency_ms)."""
    path.mkdir(parents=True)
    with Ledger(path) as writer:
        for number, figure in enumerate(figures):
            outcome = figure if isinstance(figure, Outcome) else ok(*figure, 1_000_000 * (number + 1))
            writer.started(number, arch(16 + 8 * (number if networks is None else networks[number])), seed=number)
            writer.finished(number, outcome)
    (path / "spec.yaml").write_text(yaml.safe_dump(spec(**more), allow_unicode=True), encoding="utf-8")
    return path


GOOD, POOR = [(80.0, 1.0), (90.0, 2.0), (70.0, 3.0)], [(70.0, 2.0), (75.0, 3.0)]


def compared(*folders):
    return comparison.compare(comparison.read(folders))


# Who is ahead


def test_hypervolumes_have_one_box_worked_by_hand(tmp_path):
    found = compared(folder(tmp_path / "a", GOOD), folder(tmp_path / "b", POOR, search={"sampler": "random"}))
    # Of both runs: top1 from 70 to 90 and 2 beyond, latency from 3 to 1 ms and 0.2 beyond: 22 x 2.2.
    assert found.box == progress.Box((pytest.approx(68.0), pytest.approx(3.2)), (90.0, 1.0))
    good, poor = found.standings
    assert good.volume == pytest.approx(12 * 2.2 + 10 * 1.2)  # (80, 1), and 10 more in what (90, 2) is faster than
    assert poor.volume == pytest.approx(2 * 1.2 + 5 * 0.2)
    assert good.level == pytest.approx(38.4 / 48.4)
    assert [step.value for step in poor.progress.steps] == pytest.approx([2.4 / 48.4, 3.4 / 48.4])
    assert (good.front, poor.front) == (2, 2)
    assert comparison_page.headline(found) == (
        "a reaches the highest hypervolume, 79.3 % of the common box against 7.0 % of b; the most accurate network is "
        "from a: 90.00 % at 2.000 ms latency"
    )
    assert comparison_page.lead(found).startswith("One run a setting: how far another seed")
    assert found.barriers == ()
    assert found.warnings == (
        "They did not try equally many: a 3 (79.3 %), b 2 (7.0 %); in brackets, where each was after 2.",
    )
    assert not found.repeated


def test_a_tie_and_a_run_that_found_nothing_are_said(tmp_path):
    same = [folder(tmp_path / name, GOOD, search={"sampler": name}) for name in ("random", "tpe")]
    assert comparison_page.headline(compared(*same)).startswith("random and tpe reach the same: 79.3 % of the common")
    failed = folder(tmp_path / "failed", [Outcome("failed", error="x")])
    found = compared(same[0], failed)
    assert comparison_page.headline(found).startswith("random alone has finished networks, and reaches 79.3 %")
    assert found.standings[1].level == 0
    nothing = compared(failed, folder(tmp_path / "empty", []))
    assert comparison_page.headline(nothing) == (
        "None of 2 runs has finished a network with a value for top1 and latency_ms"
    )


def test_three_runs_name_the_second(tmp_path):
    figures = {"random": POOR, "tpe": GOOD, "evolution": POOR[:1]}
    runs = [folder(tmp_path / name, rows, search={"sampler": name}) for name, rows in figures.items()]
    assert "of random, the best of 2 others; the most accurate" in comparison_page.headline(compared(*runs))


def test_one_objective_is_compared_by_its_best_value(tmp_path):
    goal = {"objectives": ["latency_ms"]}
    found = compared(
        folder(tmp_path / "a", GOOD, search=goal), folder(tmp_path / "b", POOR, search=goal | {"sampler": "random"})
    )
    assert [one.level for one in found.standings] == [1.0, 2.0]
    assert comparison_page.headline(found).startswith("a reaches the lowest latency, 1.000 ms against 2.000 ms of b;")
    by_top1 = {"objectives": ["top1"]}
    found = compared(folder(tmp_path / "c", POOR, search=by_top1), folder(tmp_path / "d", GOOD, search=by_top1))
    assert comparison_page.headline(found) == (
        f"The 2 runs have equal settings and reach a best top-1 accuracy of 82.50{SPACE}±{SPACE}10.61 % over 2 runs"
    )


def test_repeats_of_a_network_are_one(tmp_path):
    figures = [(60.0, 1.0), (80.0, 1.0), (75.0, 2.0), (Outcome("failed", error="x"))]
    one = folder(tmp_path / "a", figures, networks=[0, 0, 1, 1], search={"repeats": 2, "objectives": ["top1"]})
    found = compared(one, folder(tmp_path / "b", POOR, search={"objectives": ["top1"]}))
    assert found.standings[0].level == 70.0  # the mean; the other network failed as often as not
    assert any("means of several: repeats: 2 (a), 1 (b)" in text for text in found.warnings)


def test_runs_of_one_setting_are_one_row_with_their_spread(tmp_path):
    runs = []
    for sampler, bests in (("nsga2", (90.0, 91.0, 92.0)), ("random", (80.0, 80.5, 81.0))):
        for seed, best in enumerate(bests):
            more = {"search": {"sampler": sampler, "objectives": ["top1"]}, "seed": seed}
            runs.append(folder(tmp_path / f"{sampler}-{seed}", [(best, 1.0), (70.0, 1.0)], **more))
    found = compared(*runs)
    assert [(one.label, len(one.members)) for one in found.settings] == [("sampler nsga2", 3), ("sampler random", 3)]
    assert found.settings[0].levels == (90.0, 91.0, 92.0)
    assert found.barriers == found.warnings == ()
    assert comparison_page.headline(found).replace(SPACE, " ") == (
        "Sampler nsga2 reaches the highest top-1 accuracy on average, 91.00 ± 1.00 % over 3 runs against 80.50 ± 0.50 "
        "% over 3 runs with sampler random"
    )
    assert "Seeds alone hardly explain that lead" in comparison_page.lead(found)


def test_welch_against_the_formula():
    some, others = [90.0, 91.0, 95.0, 89.0], [85.0, 92.0, 84.0]
    p = comparison.welch(some, others)
    parts = [statistics.variance(values) / len(values) for values in (some, others)]
    t = (statistics.fmean(some) - statistics.fmean(others)) / sum(parts) ** 0.5
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 3 + parts[1] ** 2 / 2)
    from scipy.special import stdtr

    assert p == pytest.approx(2 * stdtr(freedom, -abs(t)))
    assert comparison.welch([1.0, 1.0], [2.0, 2.0]) is None


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ((90.0, 70.0), (85.0, 66.0), "may be luck: seeds alone make as much"),
        ((90.0, 91.0), (85.0,), "has a single run"),
        ((90.0, 90.0), (80.0, 80.0), "do not differ at all"),
    ],
)
def test_what_may_be_luck_is_said(tmp_path, first, second, words):
    runs = []
    for sampler, bests in (("nsga2", first), ("random", second)):
        for seed, best in enumerate(bests):
            more = {"search": {"sampler": sampler, "objectives": ["top1"]}, "seed": seed}
            runs.append(folder(tmp_path / f"{sampler}-{seed}", [(best, 1.0)], **more))
    assert words in comparison_page.lead(compared(*runs))


def test_errors_have_bands_of_networks_drawn_at_random_only(tmp_path):
    searches = {"plain": {}, "stopped": {"early_stop": "asha"}, "limited": {"constraints": ["latency_ms<=8"]}}
    folders = [
        folder(tmp_path / name, GOOD, search={"sampler": "random"} | more, train={"epochs": 4})
        for name, more in searches.items()
    ]
    found = comparison.errors(comparison.read(folders))
    assert [curve.name for curve in found.curves if curve.half_band] == ["plain"]
    said = edf.caption(found)
    assert "Where trials were stopped early for their accuracy or networks beyond limits were rejected" in said


# Whether that can be said


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"data": {"source": "digits"}}, "They did not see the same images"),
        ({"data": {"resolution": 24}}, "data.resolution: 32 (a), 24 (b)"),
        ({"data": {"val_fraction": 0.5}}, "data.val_fraction: 0.25 (a), 0.5 (b)"),
        ({"train": {"epochs": 8}}, "They did not train alike"),
        ({"train": {"recipe": "v2"}}, "train.recipe: short (a), v2 (b)"),
    ],
    ids=lambda value: str(value),
)
def test_what_makes_accuracies_differ_is_a_barrier(tmp_path, more, words):
    folders = folder(tmp_path / "a", GOOD), folder(tmp_path / "b", POOR, **more)
    found = compared(*folders)
    assert words in " ".join(found.barriers)
    assert comparison_page.headline(found).startswith("2 runs that cannot be ranked: they did not ")
    assert "luck" not in comparison_page.lead(found)


def test_costs_alone_can_be_compared_between_data(tmp_path):
    goals = {"objectives": ["macs", "params"]}
    found = compared(
        folder(tmp_path / "a", GOOD, search=goals),
        folder(tmp_path / "b", POOR, search=goals, data={"source": "digits"}),
    )
    assert found.barriers == ()
    assert "They did not see the same images" in found.warnings[0]


def test_latencies_of_two_devices_are_never_ranked(tmp_path):
    def on(device):
        return [ok(80.0, 1.0, 10, latency=Latency(KEY | {"device": device, "resolution": 32}, 1.0))]

    folders = folder(tmp_path / "a", on("cpu")), folder(tmp_path / "b", on("cuda"))
    found = compared(*folders)
    assert found.barriers == (
        "Latencies were measured under different conditions and should not be compared: device: cpu (a), cuda (b).",
    )
    by_macs = {"search": {"objectives": ["top1", "macs"]}}
    others = folder(tmp_path / "c", on("cpu"), **by_macs), folder(tmp_path / "d", on("cuda"), **by_macs)
    found = compared(*others)
    assert found.barriers == ()
    assert "should not be compared: device: cpu (c), cuda (d)" in found.warnings[0]
    rewards = {"search": {"objectives": ["mnasnet:2"]}}  # which rests on latency
    found = compared(folder(tmp_path / "e", on("cpu"), **rewards), folder(tmp_path / "f", on("cuda"), **rewards))
    assert len(found.barriers) == 1
    resolutions = [ok(80.0, 1.0, 10, latency=Latency(KEY | {"resolution": 64}, 1.0))]
    assert compared(folder(tmp_path / "g", resolutions), folder(tmp_path / "h", on("cpu"))).barriers == ()


def test_step_times_of_two_devices_are_never_ranked(tmp_path):
    def on(device):
        return [ok(80.0, 1.0, 10, step_time_s=0.1, environment={"device": device})]

    goals = {"search": {"objectives": ["top1", "step_time_s"]}}
    found = compared(folder(tmp_path / "a", on("cpu"), **goals), folder(tmp_path / "b", on("cuda"), **goals))
    assert found.barriers == (
        "They trained on different devices, whose training step should not be compared: device: cpu (a), cuda (b).",
    )


def test_the_common_objectives_are_compared(tmp_path):
    a = folder(tmp_path / "a", GOOD)
    b = folder(tmp_path / "b", POOR, search={"objectives": ["macs", "top1"], "constraints": ["latency_ms<=8"]})
    found = compared(a, b)
    assert found.objectives == ("top1",)
    assert "compared by top1 only: objectives: top1, latency_ms (a), macs, top1 (b)" in found.warnings[0]
    assert "limits: none (a), latency_ms<=8 (b)" in found.warnings[1]
    c = folder(tmp_path / "c", POOR, search={"objectives": ["macs"]})
    with pytest.raises(UserError, match=r"^objectives: the runs have none in common \(a: top1, latency_ms; c: macs\)"):
        compared(a, c)
    with pytest.raises(UserError, match="none to compare"):
        compared()


def test_the_limit_that_all_share_is_named(tmp_path):
    limited = {"constraints": ["latency_ms<=8"]}
    runs = [folder(tmp_path / name, GOOD, search=limited | {"sampler": name}) for name in ("random", "tpe")]
    assert "the most accurate network within latency_ms<=8 is from random" in comparison_page.headline(compared(*runs))


def test_a_spec_of_another_version_is_compared_as_it_is(tmp_path):
    a = folder(tmp_path / "a", GOOD, search={"gone": 1})
    found = compared(a, folder(tmp_path / "b", POOR, search={"gone": 2}))
    assert ["search.gone", "1", "2"] in comparable.table_of_differences(found.runs)
