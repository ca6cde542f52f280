"""The figures of a scaling run: counted cost against the formula's, the map of directions, the rules compared, and what
was predicted against what was measured. Functions that compute a figure's data stand beside those that draw it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import plotly.graph_objects as go

from reports.drawing.canvas import AXIS, DARK, FRONT, LIMIT, OTHER, PALETTE, PUBLISHED, SYMBOLS, empty
from reports.drawing.fidelity_figures import HEIGHT
from reports.scaling import amount, digits4, interval, mean, short
from search_spaces.compound import PAPER, Coefficients, Triple
from studies.scaling_record import Interval, Network, Point, Scaling, Seeds, Study, known

# Pixels: the map, its triangle where there is room, by how much a place of the region is larger in DARK, under itself.
MAP_HEIGHT, SIDE, OUTLINE = 510, 420, 5
SCALE, BEST, OF_PAPER = "Cividis", LIMIT, "#CC79A7"  # for colour-blind readers, too
APART = 1.04  # by how much rules of one cost stand beside one another, on the axis of costs


@dataclass(frozen=True)
class Mark:
    """low, high: ends of y's bar."""

    x: float
    y: float
    low: float
    high: float
    hover: str
    name: str = ""


@dataclass(frozen=True)
class FamilyPanel:
    """x: phi; y: MACs, times the base's. published: at phi of their index."""

    counted: tuple[Mark, ...]
    promised: tuple[Mark, ...]
    published: tuple[Mark, ...]


@dataclass(frozen=True)
class Spot:
    """A direction on the map. value: top-1 in percent; None: no figure. inside: of the 95% region."""

    shares: Triple
    value: float | None
    hover: str
    inside: bool = False


@dataclass(frozen=True)
class MapPanel:
    """places: as fitted; points: of the grid, as measured."""

    places: tuple[Spot, ...]
    points: tuple[Spot, ...]
    best: Spot
    paper: Spot


@dataclass(frozen=True)
class Entry:
    """A rule's network. measured: mean ± std of ``seeds``; told: what was predicted, with its interval."""

    seeds: tuple[float, ...]
    measured: Mark | None
    told: Mark | None


@dataclass(frozen=True)
class Line:
    """A rule. x: counted MACs in M but for ``APART``; y: top-1 in percent. base: of the study, where lines begin."""

    rule: str
    base: Mark | None
    entries: tuple[Entry, ...]


def family_panel(record: Scaling) -> FamilyPanel:
    """Counted and promised cost of each member over phi, and the published family beside it."""

    def mark(name: str, phi: float, times: float, *said: str) -> Mark:
        return Mark(phi, times, times, times, "<br>".join((f"<b>{escape(name)}</b>", *said)), name)

    counted, promised = ([mark("base", 0.0, 1.0, _costs(record.base))] for _ in range(2))
    for one in sorted(record.family, key=lambda one: one.phi):
        said = f"phi {one.phi:.4g}<br>counted {digits4(one.counted)} x the base, promised {digits4(one.promised)} x"
        counted.append(mark(one.name, one.phi, one.counted, said, _costs(one.network)))
        promised.append(mark(one.name, one.phi, one.promised, said, _costs(one.network)))
    published = []
    for other in record.implied if record.source != "published" else ():  # else they are the family
        times, size = other.macs / record.base.macs, f"{amount(other.macs)} MACs, {other.resolution} px"
        said = f"as published: {digits4(times)} x the base"
        published.append(mark(short(other.name), float(other.index), times, said, size))
    return FamilyPanel(tuple(counted), tuple(promised), tuple(published))


def map_panel(study: Study) -> MapPanel | None:
    """None without a surface."""
    surface = study.surface
    if surface is None or not surface.mesh:
        return None
    places = [
        Spot(place.shares, place.fitted, f"fitted {place.fitted:.2f} %<br>{_named(place.coefficients)}", place.inside)
        for place in surface.mesh
    ]
    best, paper = Coefficients(*surface.best), PAPER.doubling()
    fitted = f"<b>best fitted</b><br>{_named(surface.best)}<br>top-1 {interval(surface.top1)} %"
    of_paper = f"<b>direction of the EfficientNet paper</b><br>{_named(paper.at(1))}"
    return MapPanel(
        tuple(places),
        tuple(map(_spot, study.points)),
        Spot(best.shares, surface.top1.value, fitted, True),
        Spot(paper.shares, None, of_paper),
    )


def _spot(point: Point) -> Spot:
    seeds = ", ".join("-" if value is None else f"{value:.2f}" for value in point.top1)
    phi = f"phi {point.phi:.4g}, MACs {100 * point.excess:+.1f}% off twice the base's"
    lines = [_named(point.coefficients), f"as rounded: {_growth(point.shares)}", phi, f"top-1 by seed: {seeds} %"]
    lines += [] if point.fitted is None else [f"fitted {point.fitted:.2f} %"]
    lines += ["cannot be told from the best"] * point.like_best
    lines += [_costs(point.network), *map(escape, point.network.text.split())]
    return Spot(point.shares, mean(point.top1), "<br>".join(lines), point.like_best)


def rules_panel(record: Scaling) -> tuple[Line, ...]:
    """A line a rule: its networks' measured and predicted top-1 over MACs; empty without a study."""
    study, rules = record.study, list(dict.fromkeys(one.rule for one in record.rules))
    if study is None:
        return ()
    base, found = _mark(study.base.macs / 1e6, study.base, study.base_top1, "the study's base"), []
    for place, rule in enumerate(rules):
        shift, entries = APART ** (place - (len(rules) - 1) / 2), []
        for one in sorted((one for one in record.rules if one.rule == rule), key=lambda one: one.network.macs):
            x, title = one.network.macs / 1e6 * shift, f"{rule} at {one.multiple:g} x the base's MACs"
            measured = _mark(x, one.network, one.top1, title, one.predicted)
            entries.append(Entry(tuple(known(one.top1)), measured, _told(x * APART**0.5, one.predicted, title)))
        found.append(Line(rule, base, tuple(entries)))
    return tuple(found)


def checks(data: Sequence[Line]) -> tuple[tuple[int, Mark, Mark], ...]:
    """Of networks that were predicted and measured: the place of the rule, what was predicted, what was measured."""
    every = ((place, one.told, one.measured) for place, line in enumerate(data) for one in line.entries)
    return tuple((place, told, measured) for place, told, measured in every if told and measured)


def _mark(x: float, network: Network, top1: Seeds, title: str, told: Interval | None = None) -> Mark | None:
    """Mean ± std of the seeds; None without a figure."""
    values = known(top1)
    if not values:
        return None
    y, std = statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0
    lines = [f"<b>{escape(title)}</b>", f"top-1 {y:.2f} ± {std:.2f} % ({len(values)})"]
    lines += [f"predicted {interval(told)} %"] * bool(told)
    return Mark(x, y, y - std, y + std, "<br>".join([*lines, _costs(network)]))


def _told(x: float, told: Interval | None, title: str) -> Mark | None:
    if told is None:
        return None
    low, high = (told.value if end is None else end for end in (told.low, told.high))
    return Mark(x, told.value, low, high, f"<b>{escape(title)}</b><br>predicted {interval(told)} %")


def _named(values: Triple) -> str:
    alpha, beta, gamma = values
    return f"alpha {alpha:.4g}, beta {beta:.4g}, gamma {gamma:.4g}<br>{_growth(Coefficients(*values).shares)}"


def _growth(shares: Triple) -> str:
    depth, width, resolution = shares
    return f"growth by depth {depth:.0%}, width {width:.0%}, resolution {resolution:.0%}"


def _costs(network: Network) -> str:
    params, macs, activations = (amount(value) for value in (network.params, network.macs, network.activations))
    return f"{network.resolution} px, {macs} MACs<br>{params} parameters, {activations} activations"


def draw_family(data: FamilyPanel) -> go.Figure:
    """Cost, times the base's, over phi on a log axis."""
    drawing = empty(HEIGHT)
    _add(drawing, data.promised, OTHER, "circle-open", mode="lines+markers", line={"dash": "dash", "color": OTHER})
    names = {"text": [escape(mark.name) for mark in data.counted], "textposition": "top left"}
    _add(drawing, data.counted, FRONT, "circle", mode="lines+markers+text", **names)
    _add(drawing, data.published, PUBLISHED, "diamond")
    drawing.update_xaxes(title="phi", **AXIS)
    drawing.update_yaxes(title="MACs, times the base's", type="log", tickvals=[2.0**n for n in range(12)], **AXIS)
    return drawing


def draw_map(data: MapPanel) -> go.Figure:
    """The surface over the triangle of shares, the 95% region outlined, the grid's points on top."""
    values = [spot.value for spot in (*data.places, *data.points) if spot.value is not None]
    step = min((share for spot in data.places for share in spot.shares if share > 1e-9), default=1.0)
    size = 1.2 * SIDE * step  # hexagons of a regular mesh then touch
    bar = {"orientation": "h", "thickness": 12, "lenmode": "pixels", "len": 280, "y": -0.34}
    bar |= {"title": {"text": "top-1 (%)", "side": "top"}}
    scaled = {"colorscale": SCALE, "cmin": min(values), "cmax": max(values)}
    drawing = empty(MAP_HEIGHT, margin={"l": 56, "r": 56, "t": 40, "b": 110})
    inside = [spot for spot in data.places if spot.inside]
    _spots(drawing, data.places, {"symbol": "hexagon", "size": size, **scaled, "colorbar": bar}, cliponaxis=True)
    _spots(drawing, inside, {"symbol": "hexagon", "size": size + OUTLINE, "color": DARK}, cliponaxis=True)
    _spots(drawing, inside, {"symbol": "hexagon", "size": size, **scaled}, cliponaxis=True)
    _spots(
        drawing,
        [spot for spot in data.points if spot.value is None],
        {"symbol": "circle-open", "size": 10, "color": OTHER},
    )
    measured = [spot for spot in data.points if spot.value is not None]
    _spots(drawing, measured, {"size": 15, "color": "white"})
    _spots(drawing, measured, {"size": 11, **scaled, "line": {"color": DARK, "width": 1.5}})
    for spot, symbol, colour in ((data.paper, "diamond", OF_PAPER), (data.best, "x", BEST)):
        _spots(drawing, [spot], {"symbol": symbol, "size": 15, "color": colour, "line": {"color": "white", "width": 2}})
    bare = {"showticklabels": False, "ticks": "outside", "ticklen": 14, "tickcolor": "rgba(0,0,0,0)"}
    corners = {"aaxis": "depth only", "baxis": "width<br>only", "caxis": "resolution<br>only"}
    axes = {name: {"title": {"text": text}, "showgrid": False, **bare} for name, text in corners.items()}
    drawing.update_layout(ternary={"sum": 1, "bgcolor": "rgba(0,0,0,0)", **axes})
    return drawing


def draw_rules(data: Sequence[Line], multiples: Sequence[float]) -> go.Figure:
    """Top-1 over MACs, a line a rule, its seeds as small marks and its prediction as an open one."""
    drawing = empty(HEIGHT)
    for place, line in enumerate(data):
        colour, symbol = style(place)
        marks = [one.measured for one in line.entries if one.measured]
        xs = [one.measured.x / APART**0.5 for one in line.entries if one.measured for _ in one.seeds]
        ys = [seed for one in line.entries for seed in one.seeds]
        small = {"color": colour, "size": 5, "opacity": 0.5}
        drawing.add_scatter(x=xs, y=ys, mode="markers", marker=small, hoverinfo="skip")
        _add(drawing, [line.base, *marks] if line.base else marks, colour, symbol, mode="lines+markers")
        _add(drawing, [one.told for one in line.entries if one.told], colour, f"{symbol}-open")
    ticks: dict[str, Any] = {}
    if data and (base := data[0].base):
        _add(drawing, [base], OTHER, "circle")
        at = {f"{digits4(base.x * each)}<br>{each:g} x": base.x * each for each in (1, *multiples)}
        ticks = {"tickvals": list(at.values()), "ticktext": list(at)}
    drawing.update_xaxes(title="counted MACs (M), times the base's", type="log", **ticks, **AXIS)
    drawing.update_yaxes(title="top-1 accuracy (%)", **AXIS)
    return drawing


def draw_checks(data: Sequence[tuple[int, Mark, Mark]]) -> go.Figure:
    """Measured top-1 over predicted, with both intervals; on the dashed line they agree."""
    drawing = empty(HEIGHT)
    ends = [end for _, told, measured in data for end in (told.low, told.high, measured.low, measured.high)]
    line, both = {"color": OTHER, "dash": "dash", "width": 1.5}, [min(ends), max(ends)]
    drawing.add_scatter(x=both, y=both, mode="lines", line=line, hoverinfo="skip")
    for place, told, measured in data:
        colour, symbol = style(place)
        bar = {"array": [told.high - told.y], "arrayminus": [told.y - told.low], "color": colour, "thickness": 1.5}
        _add(drawing, [replace(measured, x=told.y)], colour, symbol, error_x={**bar, "width": 4})
    drawing.update_xaxes(title="top-1 accuracy, predicted (%)", **AXIS)
    drawing.update_yaxes(title="top-1 accuracy, measured (%)", **AXIS)
    return drawing


def style(place: int) -> tuple[str, str]:
    """Colour and symbol of a rule."""
    return PALETTE[place % len(PALETTE)], SYMBOLS[place % len(SYMBOLS)]


def _add(drawing: go.Figure, marks: Sequence[Mark], colour: str, symbol: str, **more: Any) -> None:
    high, low = [mark.high - mark.y for mark in marks], [mark.y - mark.low for mark in marks]
    bars = {"array": high, "arrayminus": low, "color": colour, "thickness": 1.5, "width": 4}
    drawing.add_scatter(
        x=[mark.x for mark in marks],
        y=[mark.y for mark in marks],
        error_y=bars if any(high) or any(low) else None,
        marker={"color": colour, "symbol": symbol, "size": 9, "line": {"width": 2 * symbol.endswith("open")}},
        hovertext=[mark.hover for mark in marks],
        hoverinfo="text",
        **{"mode": "markers", "line": {"color": colour}} | more,
    )


def _spots(drawing: go.Figure, spots: Sequence[Spot], marker: Mapping[str, Any], cliponaxis: bool = False) -> None:
    """Coloured by their values where the marker has a scale."""
    drawing.add_scatterternary(
        a=[spot.shares[0] for spot in spots],
        b=[spot.shares[1] for spot in spots],
        c=[spot.shares[2] for spot in spots],
        mode="markers",
        marker={"color": [spot.value for spot in spots], **marker},
        hovertext=[spot.hover for spot in spots],
        hoverinfo="text",
        cliponaxis=cliponaxis,
    )
