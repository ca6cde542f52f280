"""Trials of real networks whose figures are a known function of their genes."""

from dataclasses import replace

import numpy as np

from search_spaces.space_file import load_space
from studies.ledger import Outcome, TrialRecord

V2 = load_space("v2", width=0.25)


def narrowed(*genes):
    """The space v2 with a choice for these genes only; resolution has three values."""
    choices = tuple(
        {field: values if f"s{index}.{field}" in genes else values[:1] for field, values in stage.items()}
        for index, stage in enumerate(V2.choices)
    )
    sides = (32, 48, 64) if "resolution" in genes else V2.resolutions
    return replace(V2, choices=choices, resolutions=sides)


def drawn(space, count, rng):
    """Places of genes' values, each alike and independent."""
    return np.column_stack([rng.integers(len(values), size=count) for values in space.parameters.values()])


def trials(space, places, top1, **more):
    """One ``ok`` trial a row of ``places``. more: a column of each other figure."""
    found = []
    for number, row in enumerate(places):
        genes = {name: values[place] for (name, values), place in zip(space.parameters.items(), row, strict=True)}
        figures = {name: column[number] for name, column in more.items()}
        found.append(
            TrialRecord(number, space.from_genes(genes), 0, 0.0, outcome=Outcome("ok", top1=top1[number], **figures))
        )
    return found


def additive(weights, places):
    """weights: for each gene what each of its values adds."""
    return sum(np.array(weight)[column] for weight, column in zip(weights, places.T, strict=True))


def unusable():
    """One trial for each way in which one cannot be used."""
    outcomes = [None, Outcome("failed", error="x"), Outcome("rejected"), Outcome("stopped", top1=50.0)]
    outcomes += [Outcome("ok"), Outcome("ok", top1=float("nan")), Outcome("ok", top1=float("inf"))]
    beyond = TrialRecord(7, V2.base.at(33), 0, 0.0, outcome=Outcome("ok", top1=50.0))
    return [TrialRecord(number, V2.base, 0, 0.0, outcome=outcome) for number, outcome in enumerate(outcomes)] + [beyond]
