"""Published networks beside a search's candidates: on the same images, trained with the same settings and as many
seeds, measured by the same protocol, in a run folder of their own inside the search's, ``baselines``.

They are no trials: the sampler never hears of them, and they stand on no front. They come after the trials, so that
these neither wait for them nor lose any of their budget; and they may be added to a run that is over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

from nas.given import Trainings
from search_spaces import Arch, UserError, cost
from search_spaces.errors import meant
from search_spaces.published import catalogue
from search_spaces.space import SearchSpace
from studies import runfolder
from studies.spec import Spec


def networks(names: Sequence[str], space: SearchSpace) -> dict[str, Arch]:
    """The networks by name as they are trained beside those of the space: at its largest resolution, and with batch
    norm's averages as quick as there, since that belongs to the training: MnasNet's published momentum of 0.0003 needs
    more steps than a short training has.

    Raises UserError on a name that the catalogue does not have, or a network that is too deep for the resolution.
    """
    return {name: _network(name, max(space.resolutions), space.base.norm_momentum) for name in names}


def trainings(spec: Spec, space: SearchSpace, run_dir: Path) -> Trainings:
    """What a search's ``--baselines`` come to: each with the seeds of the first network of the search."""
    found = networks(spec.search.baselines, space)
    seeds = range(spec.seed, spec.seed + spec.search.repeats)
    names = {arch.id: name for name, arch in found.items()}
    archs = list(dict.fromkeys(found.values()))
    return Trainings(run_dir / runfolder.BASELINES, spec, archs, seeds, "training published", names)


def _network(name: str, resolution: int, norm_momentum: float) -> Arch:
    if name not in catalogue():
        hint = meant(name, catalogue(), "'python -m search_spaces list' shows their names")
        raise UserError(f"search.baselines: {name!r} is no published network; {hint}")
    arch = replace(catalogue()[name].arch, resolution=resolution, norm_momentum=norm_momentum)
    if _vanishes(arch):
        least = next(side for side in count(resolution) if not _vanishes(arch.at(side)))
        raise UserError(f"search.baselines: {name} needs images of at least {least} px, here they have {resolution}")
    return arch


def _vanishes(arch: Arch) -> bool:
    """Whether nothing is left of the image at the end, as where poolings without padding halve one pixel."""
    *_, channels, side = cost.of_stem(arch)
    for stage in arch.stages:
        *_, channels, side = cost.of_stage(stage, channels, side)
    return side < 1
