"""The grid of a coefficient study, walked by Optuna's GridSampler."""

from __future__ import annotations

from collections.abc import Sequence

from search_spaces.compound import Coefficients


def walk(points: Sequence[Coefficients], seed: int) -> list[Coefficients]:
    """The points in the order in which the sampler visits them, each once.

    The sampler knows only products of lists, of which most are infeasible and would still cost a trial each; therefore
    it walks the feasible triples as one categorical parameter.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    names = {",".join(map(repr, (point.alpha, point.beta, point.gamma))): point for point in points}
    study = optuna.create_study(sampler=optuna.samplers.GridSampler({"coefficients": list(names)}, seed=seed))
    choices = {"coefficients": optuna.distributions.CategoricalDistribution(list(names))}
    return [names[study.ask(choices).params["coefficients"]] for _ in names]
