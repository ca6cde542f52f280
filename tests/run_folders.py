"""Run folders of every kind, as their commands leave them, without training."""

from dataclasses import replace

import yaml
from made_up import OBJECTIVES, SEED, search, space
from made_up_catalogue import ABOUT, NETWORKS, OUTCOMES
from made_up_scaling import whole

from reports import comparison
from reports.pages import comparison_page
from search_spaces.published import catalogue
from studies.ledger import Ledger
from studies.scaling_record import SCALING

COMMAND = "python -m nas.search --space v2"


def make_search(folder, trials=8, constraints=(), **options):
    """A real search with made-up accuracies; the records."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"objectives": list(OBJECTIVES), "constraints": list(constraints), "sampler": "nsga2"}
    spec = {"command": COMMAND, "seed": SEED, "search": settings}
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec))
    (folder / "space.yaml").write_text(yaml.safe_dump(space().to_dict()))
    return search(folder, trials, **options)


def make_comparison(run_dirs, path):
    """Its page."""
    path.write_text(comparison_page.render(comparison.compare(comparison.read(run_dirs))), encoding="utf-8")
    return path


def make_scaling(folder):
    folder.mkdir()
    (folder / "spec.yaml").write_text("scale: {base: null}\n")
    (folder / SCALING).write_text(whole().to_json())
    return folder


def make_catalogue(folder, limits=("latency_ms<=8",)):
    """Measured: made-up networks that the catalogue does not hold, and one that it does, without an outcome."""
    folder.mkdir()
    known = next(iter(catalogue().values()))
    networks = {one.name: one.arch.id for one in (*NETWORKS, known)}
    about = ABOUT | {"constraints": list(limits), "catalogue": networks}
    (folder / "spec.yaml").write_text(yaml.safe_dump(about))
    with Ledger(folder) as writer:
        for number, one in enumerate(NETWORKS):
            if one.name in OUTCOMES:
                writer.started(number, one.arch, 0)
                writer.finished(number, replace(OUTCOMES[one.name], top1=one.top1))
    return folder
