"""The documents are true of the program: every command in them runs, every block of Python, and every flag is told.

A command runs in a folder of its own that holds what it names. What would take long runs smaller, as the tables say;
what needs another machine, a cluster or a GPU is tried up to where that is missed. A command that no table knows fails.
"""

import argparse
import importlib
import re
import runpy
import subprocess
import sys
import tomllib
from contextlib import nullcontext

import pytest
import torch
from document_things import Things
from documents import PAGES, ROOT, blocks, commands, of_script, parts

from search_spaces import UserError
from studies import engine
from studies.engine import run_inline
from studies.spec import LatencySpec

pytestmark = pytest.mark.usefixtures("one_thread")

# Commands of the project: module with main(argv), the page that tells its flags, and the parsers of them.
OURS = {
    "nas.search": ("nas.search", "search.md"),
    "nas.latency": ("nas.latency.__main__", "latency.md"),
    "nas.scale": ("nas.scale.__main__", "scaling.md"),
    "nas.fidelity": ("nas.fidelity.__main__", "fidelity.md"),
    "nas.report": ("nas.report", "reports.md"),
    "nas.export": ("nas.export.__main__", "exports.md"),
    "search_spaces": ("search_spaces.__main__", "spaces.md"),
}
# What stands for a word of a document.
STANDS_FOR = {
    r"PHOTOS": "photos",
    r"cifar10:DIR": "cifar10:cifar",
    r"(archs/)?ID\.json": "archs/network.json",
    r"pi@10\.0\.0\.7": "nobody@127.0.0.1:9",
    r"HEAD:6379": "127.0.0.1:9",
    r"glyphs:(?=\w)": "glyphs:n=240,",
}
# What is added to a command so that it is small: the first whose pattern is found; later flags win.
TINY = "--width 0.25 --resolution 16 --set train.batch_size=16"
QUICK = "--max-seconds 0.02 --precision 0.9"
SMALLER = (
    (r"nas\.search .*--resume", "--trials 3"),
    (r"nas\.search .*my_space", "--data digits --gpus 0"),
    (r"nas\.search .*--address", ""),
    (r"nas\.search .*photos.*--trials 6", f"{TINY} --trials 2 --epochs 1 --cpus 1 --gpus 0"),
    (r"nas\.search .*(photos|cifar|glyphs:|--latency-table)", f"{TINY} --gpus 0 --dry-run"),
    (r"nas\.search", f"{TINY} --data digits --gpus 0 --dry-run"),
    (r"nas\.scale .*--resume", ""),
    (r"nas\.scale .*--coefficients", ""),
    (r"nas\.scale", "--data digits --resolution 16 --gpus 0 --dry-run"),
    (r"nas\.fidelity .*--resume", ""),
    (r"nas\.fidelity", "--data digits --resolution 32 --gpus 0 --dry-run"),
    (r"nas\.latency .*--catalogue", f"--constraint macs<=305e6 {QUICK}"),
    (r"nas\.latency .*--fit-table", "--space tiny.yaml --resolution 16 --networks 4 --max-seconds 0.01"),
    (r"nas\.latency .*--predict", ""),
    (r"nas\.latency .*\.onnx", QUICK),
    (r"nas\.latency .*--device cuda", QUICK),
    (r"nas\.latency", f"--resolution 32 {QUICK}"),
)
WITH_RAY = r"nas\.search .*photos.*--trials 6"  # as it is, with all that it starts; the rest trains in this process
# What is missed here, and how that is said.
MISSED = {
    r"ssh:nobody@": "127.0.0.1",
    r"--address 127": "no Ray cluster answers at '127.0.0.1:9'",
}
if not torch.cuda.is_available():
    MISSED[r"--device cuda"] = "'cuda' asked for"
LINES = {block.text: block for path in PAGES for block in commands(path)}  # the same one once
WHOLE = engine.run
SCRIPTS = sorted((ROOT / "examples").glob("*.sh"))


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    return Things(tmp_path_factory.mktemp("things"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to run in; what is measured is measured for a moment only, what is trained one after another here."""
    from nas.scale import measuring

    monkeypatch.setattr(engine, "run", lambda recorder, evaluate, images, _: run_inline(recorder, evaluate, images))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(measuring, "SPEC", Things.quick(measuring.SPEC))
    monkeypatch.setattr("nas.latency.table_command.spec_of", lambda args: Things.quick(LatencySpec()))
    monkeypatch.setenv("COLUMNS", "160")
    return tmp_path


@pytest.mark.parametrize("line", LINES, ids=lambda line: LINES[line].where)
def test_every_command_runs(line, here, things, monkeypatch):
    for pattern, word in STANDS_FOR.items():
        line = re.sub(pattern, word, line)
    things.bring(line, here, monkeypatch)
    if re.search(WITH_RAY, line):
        monkeypatch.setattr(engine, "run", WHOLE)
    for words in parts(line):
        run(words, here)


def run(words, here):
    program, *rest = words
    if program.rpartition("/")[2] == "python" and rest[:1] == ["-m"]:
        module = rest[1]
        assert module in OURS, f"python -m {module}: not a command of the project"
        run_ours(module, rest[2:])
    elif program.rpartition("/")[2] == "python":
        run_file(ROOT / rest[0], rest[1:])
    elif program in ("bash", "sh") or program.endswith(".sh"):
        assert (ROOT / words[-1 if program.endswith(".sh") else 1]) in SCRIPTS
    else:
        assert program in OTHERS, f"{program}: no table says how this command is tried"
        OTHERS[program](rest, here)


def run_ours(module, arguments):
    line = f"{module} {' '.join(arguments)}"
    added = next((more for pattern, more in SMALLER if re.match(pattern, line)), "")
    main = importlib.import_module(OURS[module][0]).main
    missed = next((said for pattern, said in MISSED.items() if re.search(pattern, line)), None)
    with pytest.raises(UserError, match=re.escape(missed)) if missed else nullcontext():
        main([*arguments, *added.split()])


def run_file(path, arguments):
    """A benchmark up to its flags, which ``--help`` behind them ends; a script of ``examples`` whole."""
    assert path.is_file(), f"{path}: no such file"
    whole = path.parent.name == "examples"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(path), *arguments, *([] if whole else ["--help"])])
        patch.syspath_prepend(str(path.parent))
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as ended:
            code = ended.code
        else:
            code = None if whole else "reads no flags"
    assert code in (0, None), path


def make(arguments, here):
    done = subprocess.run(["make", "-n", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def ray(arguments, here):
    """Its flags, by Ray's own reading of them."""
    from ray.scripts.scripts import cli

    name, *flags = arguments
    cli.commands[name].make_context(name, flags)


def pip(arguments, here):
    """The extras are there."""
    assert arguments[0] == "install"
    extras = re.findall(r"\[([\w,]+)\]", " ".join(arguments))
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {name for names in extras for name in names.split(",")} <= known.keys()


def optuna_dashboard(arguments, here):
    """It opens what is a storage with a study."""
    import optuna

    assert optuna.load_study(study_name=None, storage=arguments[0]).trials


def tensorboard(arguments, here):
    assert list((here / arguments[1]).rglob("events.out.tfevents.*"))


OTHERS = {"make": make, "ray": ray, "pip": pip, "optuna-dashboard": optuna_dashboard, "tensorboard": tensorboard}
OTHERS |= dict.fromkeys((".", "cd", "git", "tar"), lambda arguments, here: None)  # a shell's, git's; nothing of ours


@pytest.mark.parametrize(
    "block", [block for path in PAGES for block in blocks(path, "python")], ids=lambda block: block.where
)
def test_every_block_of_python_runs(block, here, things, monkeypatch):
    things.bring(block.text, here, monkeypatch)
    exec(compile(block.text, block.where, "exec"), {"__name__": block.where})


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_bash_and_know_the_commands(path):
    """They run whole by ``make journeys``."""
    subprocess.run(["bash", "-n", path], check=True)
    for block in of_script(path):
        (_, _, module, *flags), *_ = parts(block.text)
        known = {name for parser in parsers(module) for name in parser._option_string_actions}
        assert {word.partition("=")[0] for word in flags if word.startswith("--")} <= known, block


def parsers(module):
    """Of a command, with those of its subcommands."""
    made = importlib.import_module(OURS[module][0])
    parser = getattr(made, "parser", None) or made._parser
    first = parser()
    subcommands = [action for action in first._actions if isinstance(action, argparse._SubParsersAction)]
    return [first, *(each for action in subcommands for each in action.choices.values())]


@pytest.mark.parametrize("module", OURS)
def test_every_flag_is_told_on_the_page_of_its_command(module):
    told = set(re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", (ROOT / "docs" / OURS[module][1]).read_text()))
    for parser in parsers(module):
        for action in parser._actions:
            if action.option_strings and "--help" not in action.option_strings:
                assert set(action.option_strings) & told, f"{action.option_strings[-1]} is in no document"


def test_no_command_is_left_out():
    found = {path.parent.name for path in ROOT.glob("nas/*/__main__.py")}
    found |= {path.stem for path in ROOT.glob("nas/*.py") if re.search(r"(?m)^def parser\(", path.read_text())}
    assert {f"nas.{name}" for name in found} | {"search_spaces"} == OURS.keys()
