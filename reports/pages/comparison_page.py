"""The page that shows several searches side by side: spaces, devices, samplers."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from reports import comparable, comparison
from reports.comparison import Comparison, Setting, Standing
from reports.drawing import comparison_figures, edf, progress
from reports.pages import markup
from reports.pages.page import unbroken
from reports.pages.template import WIDE, page
from reports.run import Run
from reports.summary import counts
from reports.units import digits, plural, quantity, unit

TITLE = "Comparison"
LONGEST = 24  # letters of a data source in the table; the settings below have it whole


def render(found: Comparison) -> str:
    """The page as HTML."""
    said = headline(found)
    sections = [
        _warnings(found),
        _runs(found),
        _settings(found),
        _figures(found),
        _differing(found),
        _commands(found.runs),
    ]
    return page(f"{TITLE}: {said}", unbroken(said), unbroken(lead(found)), sections)


def headline(found: Comparison) -> str:
    """Who is ahead, in plain words; or why that cannot be said."""
    several = plural(len(found.runs), "run")
    if not any(one.progress.steps for one in found.standings):
        return f"None of {several} has finished a network with a value for {' and '.join(found.objectives)}"
    if found.barriers:
        reasons = [text.partition(":")[0].partition(",")[0] for text in found.barriers]
        return f"{several} that cannot be ranked: " + "; ".join(text[0].lower() + text[1:] for text in reasons)
    ahead = _settings_ahead(found) if found.repeated else _runs_ahead(found)
    return f"{ahead}{_most_accurate(found)}"


def _runs_ahead(found: Comparison) -> str:
    first, *rest = comparison.best_first(found.standings, found.objectives)
    if not rest:
        return f"{first.run.name} alone has finished networks, and reaches {_level(first, found)}"
    if first.level == rest[0].level:
        return f"{first.run.name} and {rest[0].run.name} reach the same: {_level(first, found)}"
    more = "" if len(rest) == 1 else f", the best of {len(rest)} others"
    return f"{first.run.name} reaches {_best(found)}, {_level(first, found)} against " + (
        f"{comparison.level_text(rest[0].level, found.objectives)} of {rest[0].run.name}{more}"
    )


def _settings_ahead(found: Comparison) -> str:
    first, *rest = comparison.ranked_settings(found)
    mine = f"{_levels(first, found)} over {plural(len(first.levels), 'run')}"
    if not rest:
        what = "hypervolume" if len(found.objectives) > 1 else f"best {unit(found.objectives[0]).name}"
        return f"The {plural(len(first.members), 'run')} have equal settings and reach a {what} of {mine}"
    other = f"{_levels(rest[0], found)} over {plural(len(rest[0].levels), 'run')}"
    name = first.label[0].upper() + first.label[1:]
    return f"{name} reaches {_best(found)} on average, {mine} against {other} with {rest[0].label}"


def _best(found: Comparison) -> str:
    if len(found.objectives) > 1:
        return "the highest hypervolume"
    word = "highest" if comparison.more_is_better(found.objectives) else "lowest"
    return f"the {word} {unit(found.objectives[0]).name}"


def _level(one: Standing, found: Comparison) -> str:
    named = " of the common box" if len(found.objectives) > 1 else ""
    return comparison.level_text(one.level, found.objectives) + named


def _levels(setting: Setting, found: Comparison) -> str:
    """Mean ± std in the unit."""
    if len(found.objectives) > 1:
        return f"{comparison.spread([100 * level for level in setting.levels], 1)} %"
    one = unit(found.objectives[0])
    return f"{comparison.spread([level / one.scale for level in setting.levels], 2)} {one.symbol}".rstrip()


def _most_accurate(found: Comparison) -> str:
    best = comparison.most_accurate(found)
    if not best or found.objectives == ("top1",):
        return ""
    trial = best[0].most_accurate
    costs = [name for name in found.objectives if name != "top1"] or ["macs"]
    at = " and ".join(f"{quantity(name, trial.metric(name))} {unit(name).name}" for name in costs) if trial else ""
    top1 = quantity("top1", trial.metric("top1") if trial else None)
    within = {comparable.limits(run) for run in found.runs}
    limit = f" within {within.pop()}" if len(within) == 1 and within != {""} else ""
    return f"; the most accurate network{limit} is from {best[0].run.name}: {top1} at {at}"


def lead(found: Comparison) -> str:
    """How far that may be luck, and what became of the trials."""
    said = "" if found.barriers else comparison.luck(found)
    return f"{said} {counts([trial for run in found.runs for trial in run.trials])}.".strip()


def _warnings(found: Comparison) -> str:
    return "".join(markup.paragraph(text, "warn") for text in (*found.barriers, *found.warnings))


def _runs(found: Comparison) -> str:
    is_volume = len(found.objectives) > 1
    parts = [
        f"Front and {'hypervolume' if is_volume else 'best value'} by {' and '.join(found.objectives)}, which all "
        "runs searched for."
    ]
    if is_volume and found.box:
        named = zip(found.objectives, found.box.reference, found.box.ideal, strict=True)
        ends = (f"{unit(name).name} {quantity(name, bad)} to {quantity(name, good)}" for name, bad, good in named)
        parts.append(
            "Hypervolume: what a front dominates of the box that all runs share, from the worst finished value and a "
            f"tenth of the range more to the best: {', '.join(ends)}."
        )
    parts.append("Device-hours: of all trials, whatever became of them.")
    rows = [_row(one, found) for one in found.standings]
    return markup.section("The runs", markup.paragraph(" ".join(parts)), markup.table(_columns(found), rows))


def _columns(found: Comparison) -> dict[str, str]:
    heads = ["front", "device-hours"]
    if len(found.objectives) > 1:
        volume = " · ".join(unit(name).symbol or unit(name).name for name in found.objectives)
        heads[1:1] = ["hypervolume, %", f"in {volume}"]
    else:
        heads[1:1] = [f"best {unit(found.objectives[0]).label}"]
    plain = {
        "run": "",
        "space": "word",
        "sampler": "word",
        "data": "word",
        "epochs": "number",
        "trials ok / all": "number",
    }
    return plain | dict.fromkeys(heads, "number") | {"device": "", "seed": "number"}


def _row(one: Standing, found: Comparison) -> list[str]:
    run = one.run
    width, px = comparable.field(run, "space", "width"), comparable.field(run, "data", "resolution")
    source = str(comparable.field(run, "data", "source", "-"))
    data = (source if len(source) <= LONGEST else source[: LONGEST - 1] + "…") + (f", {px} px" if px else "")
    space = str(comparable.field(run, "space", "name", "-")) + (f" x {width:g}" if isinstance(width, float) else "")
    ok = sum(trial.status == "ok" for trial in run.trials)
    if len(found.objectives) == 1:
        levels = [digits(found.objectives[0], one.level)]
    else:
        levels = ["-" if value is None else text for value, text in _texts(one)]
    return [
        run.name,
        space,
        str(comparable.field(run, "search", "sampler", "-")),
        data,
        str(comparable.field(run, "train", "epochs", "-")),
        f"{ok} / {len(run.trials)}",
        str(one.front) + (f", {one.flagged} flagged" if one.flagged else ""),
        *levels,
        f"{one.progress.hours:.3g}",
        comparable.device(run),
        str(run.spec.get("seed", "-")),
    ]


def _texts(one: Standing) -> list[tuple[float | None, str]]:
    return [(one.level, f"{100 * (one.level or 0.0):.1f}"), (one.volume, f"{one.volume or 0.0:,.4g}")]


def _settings(found: Comparison) -> str:
    if not found.repeated:
        return ""
    value = "hypervolume, %" if len(found.objectives) > 1 else f"best {unit(found.objectives[0]).label}"
    columns = {
        "setting": "wide",
        "runs": "number",
        value: "number",
        "most accurate, %": "number",
        "device-hours": "number",
    }
    rows = []
    for one in found.settings:
        top1 = [best for member in one.members if (best := comparison.top1_of(member)) is not None]
        hours = comparison.spread([member.progress.hours for member in one.members], 2)
        names = ", ".join(member.run.name for member in one.members)
        level = _levels(one, found).removesuffix(" %")
        rows.append([f"{one.label} ({names})", str(len(one.members)), level, comparison.spread(top1, 2), hours])
    return markup.section(
        "By setting",
        markup.paragraph(
            "Runs that differ in nothing but the seed, mean ± standard deviation. A seed also draws which images "
            "validate, unless the data set says so itself; that is part of the spread."
        ),
        markup.table(columns, rows),
    )


def _figures(found: Comparison) -> str:
    names = {one.run.name: one.progress for one in found.standings}
    parts = []
    if costs := comparison_figures.common_costs(found.runs):
        data = {unit(cost).label: comparison_figures.fronts(found.runs, cost) for cost in costs}
        drawn = {name: (comparison_figures.draw(one), comparison_figures.caption(one)) for name, one in data.items()}
        height = max(int(figure.layout.height) for figure, _ in drawn.values())
        parts.append(markup.choice(drawn, "fronts", height, "accuracy against"))
    errors = comparison.errors(found.runs)
    if errors.curves:
        left_out: dict[str, int] = {}
        for run in found.runs:
            for reason, count in edf.left_out(run.networks).items():
                left_out[reason] = left_out.get(reason, 0) + count
        samplers = {str(comparable.field(run, "search", "sampler", "unknown")) for run in found.runs}
        drawing, caption = edf.draw(errors), edf.caption(errors, left_out, ", ".join(sorted(samplers - {"random"})))
        parts.append(markup.figure(drawing, "errors", caption, drawing.layout.height))
    if any(one.steps for one in names.values()):
        ways: tuple[progress.Against, ...] = ("trials", "hours")
        for against in ways:
            drawing = progress.draw_all(names, against)
            caption = progress.caption_all(names, against)
            parts.append(markup.figure(drawing, f"progress-{against}", caption, drawing.layout.height))
    if not parts:
        return markup.section("Figures", markup.paragraph("There is nothing to plot: no run has finished a network."))
    return markup.section("Figures", f'<div class="figures" style="{WIDE}">', *parts, "</div>")


def _differing(found: Comparison) -> str:
    """Every setting in which the runs differ."""
    rows = comparable.table_of_differences(found.runs)
    if not rows:
        return markup.section("What differs", markup.paragraph("Nothing that the runs' specs tell."))
    columns = [("setting", "word"), *((run.name, "") for run in found.runs)]  # a run may be named as the first
    return markup.section("What differs", markup.table(columns, rows))


def _commands(runs: Sequence[Run]) -> str:
    parts = [
        f"<h3>{escape(run.name)}</h3><pre>{escape(str(run.spec['command']))}</pre>"
        for run in runs
        if run.spec.get("command")
    ]
    return markup.section("Commands", *parts) if parts else ""
