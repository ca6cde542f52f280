"""Imports only go down: nas > reports > studies > search_spaces; and heavy ones happen where they are used."""

import ast
import sys
from pathlib import Path

import pytest

from nas.export.targets import TARGETS
from nas.latency.modes import RUNTIMES
from studies import samplers

ROOT = Path(__file__).parents[1]
LAYERS = ["search_spaces", "studies", "reports", "nas"]  # from the bottom up
SOURCES = [path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))]
TORCH_MODULES = ["search_spaces.blocks", "search_spaces.build"]
HEAVY = {"torch", "torchvision", "fvcore", "ray", "optuna", "pydantic", "pandas", "plotly", "numpy", "sklearn"}


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules(layer):
    """``__main__`` apart, which has to be run."""
    return [name for path in SOURCES if (name := module_name(path)).split(".")[0] == layer and "__main__" not in name]


def imported_modules(path):
    """Full names of everything that a file imports anywhere, in functions too, but for TYPE_CHECKING blocks."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported(path):
    """Their top-level names."""
    return {name.split(".")[0] for name in imported_modules(path)}


@pytest.fixture
def loaded_by(run_python):
    """Top-level names of the modules that a program has loaded when it ends, beyond those that Python itself loads."""

    def loaded(program):
        listing = "import sys; print(*{name.split('.')[0] for name in sys.modules})"
        bare, full = run_python("-c", listing), run_python("-c", f"{program}\n{listing}")
        assert full.returncode == 0, full.stderr
        return set(full.stdout.splitlines()[-1].split()) - set(bare.stdout.split())

    return loaded


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_no_module_imports_a_layer_above_its_own(path):
    own = LAYERS.index(module_name(path).split(".")[0])
    assert imported(path) & set(LAYERS[own + 1 :]) == set()


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_no_module_imports_what_its_layer_may_not(path):
    name = module_name(path)
    forbidden = {
        "search_spaces": HEAVY - ({"torch", "torchvision"} if name in TORCH_MODULES else set()),
        "studies": {"torch", "torchvision", "fvcore", "pandas", "plotly"},
        "reports": {"torch", "torchvision", "fvcore", "ray", "optuna"},
        "nas": set(),
    }
    assert imported(path) & forbidden[name.split(".")[0]] == set()


def test_search_spaces_needs_the_standard_library_and_yaml_only(loaded_by):
    names = [name for name in modules("search_spaces") if name not in TORCH_MODULES]
    foreign = loaded_by(f"import {', '.join(names)}, search_spaces.__main__") - sys.stdlib_module_names
    assert {name for name in foreign if "cython" not in name} - {"_yaml"} == {"search_spaces", "yaml"}


def test_studies_load_no_torch(loaded_by):
    names = [name for name in modules("studies") if name not in ("studies.raytune", "studies.cluster")]
    loaded = loaded_by(f"import {', '.join(names)}")
    assert loaded & {"torch", "torchvision", "fvcore", "ray", "plotly", "reports", "nas"} == set()


def test_reports_load_no_torch_and_no_ray(loaded_by):
    loaded = loaded_by(f"import {', '.join(modules('reports'))}")
    assert loaded & {"torch", "torchvision", "fvcore", "ray", "nas"} == set()


COMMANDS = [
    ["nas"],  # which imports every command's module
    ["nas.search", "--help"],
    ["nas.latency", "--help"],
    ["nas.verify", "--help"],
    ["nas", "report", "--help"],
    ["nas", "spaces", "list"],
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_command_lines_answer_before_anything_heavy_is_loaded(arguments, run_python):
    """What keeps ``--help`` under half a second; the list of imports does not depend on the machine's load."""
    done = run_python("-X", "importtime", "-m", *arguments)
    assert done.returncode == 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    loaded = {line.split("|")[-1].strip().split(".")[0] for line in lines}
    assert "argparse" in loaded
    assert loaded & HEAVY == set()


ABOVE_PAGES = {"folder.py"}  # of a run folder of any kind, its page


@pytest.mark.parametrize("path", sorted((ROOT / "reports").rglob("*.py")), ids=lambda path: path.name)
def test_words_and_figures_know_nothing_of_pages(path):
    """In reports, too, imports go down: pages, what is drawn, words and records."""
    if path.parent.name != "pages" and path.name not in ABOVE_PAGES:
        assert not [name for name in imported_modules(path) if name.startswith("reports.pages")]


PLACES = {
    **{name: entry.place for name, entry in TARGETS.items()},
    **{name: runtime.place for name, runtime in RUNTIMES.items()},
    **samplers.PLACES,
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_what_a_table_names_is_there(place):
    """Read, not imported: some need packages of an extra."""
    module, _, name = place.partition(":")
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text())
    assert name in {node.name for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_values_are_frozen(path):
    """Every dataclass, but for the state of a training, which is no value."""
    for node in ast.walk(ast.parse(path.read_text())):
        for decorator in node.decorator_list if isinstance(node, ast.ClassDef) else ():
            if "dataclass" in (text := ast.unparse(decorator)) and node.name != "_Training":
                assert "frozen=True" in text, node.name
