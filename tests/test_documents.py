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
from made_up import QUICK_LATENCY

from nas import __main__ as commands_of_nas
from nas.latency.flags import spec_of
from search_spaces import UserError
from studies.spec import LatencySpec

# The page that tells a command's flags.
TOLD = {
    "search": "search.md",
    "latency": "latency.md",
    "scale": "scaling.md",
    "fidelity": "fidelity.md",
    "report": "reports.md",
    "export": "exports.md",
    "verify": "journeys/reviewer.md",
    "spaces": "spaces.md",
}
# What stands for a word of a document.
STANDS_FOR = {
    r"PHOTOS 10\b": "photos 1",  # epochs
    r"PHOTOS": "photos",
    r"cifar10:DIR": "cifar10:cifar",
    r"(archs/)?ID\.json": "archs/network.json",
    r"pi@10\.0\.0\.7": "nobody@127.0.0.1:9",
    r"HEAD:6379": "127.0.0.1:9",
    r"glyphs:(?=\w)": "glyphs:n=240,",
}
# What is added to a command so that it is small: the first whose pattern is found; later flags win.
TINY = "--width 0.25 --resolution 16 --set train.batch_size=16"
SMALLER = (
    (r"search .*--resume", "--trials 3"),
    (r"search .*my_space", "--data digits --gpus 0"),
    (r"search .*--address", ""),
    (r"search .*photos.*--trials 6", f"{TINY} --trials 1 --epochs 1 --cpus 1 --gpus 0 {' '.join(QUICK_LATENCY)}"),
    (r"search .*--latency-table", "--space tiny.yaml --width 1 --resolution 16 --gpus 0 --dry-run"),
    (r"search .*(photos|cifar|glyphs:)", f"{TINY} --gpus 0 --dry-run"),
    (r"search", f"{TINY} --data digits --gpus 0 --dry-run"),
    (r"scale .*--resume", ""),
    (r"scale .*--coefficients", ""),
    (r"scale", "--data digits --resolution 16 --gpus 0 --dry-run"),
    (r"fidelity .*--resume", ""),
    (r"fidelity", "--data digits --resolution 32 --gpus 0 --dry-run"),
    (r"latency .*--catalogue", "--constraint macs<=305e6"),
    (r"latency .*--fit-table", "--space tiny.yaml --resolution 16 --networks 4"),
    (r"latency .*(--predict|\.onnx|--device cuda)", ""),
    (r"latency", "--resolution 32 --threads 1"),
)
# What is missed here, and how that is said.
MISSED = {
    r"ssh:nobody@": "127.0.0.1",
    r"--address 127": "no Ray cluster answers at '127.0.0.1:9'",
}
if not torch.cuda.is_available():
    MISSED[r"--device cuda"] = "'cuda' asked for"
LINES = {block.text: block for path in PAGES for block in commands(path)}  # the same one once
SCRIPTS = sorted((ROOT / "examples").glob("*.sh"))


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    return Things(tmp_path_factory.mktemp("things"))


@pytest.fixture
def here(tmp_path, monkeypatch, here_instead_of_ray):
    """A folder to run in. What is measured is measured for a moment only, whatever the command asks for, what is
    trained is trained one after another here, what is drawn has few pixels."""
    from nas.scale import measuring

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(measuring, "SPEC", Things.quick(measuring.SPEC))
    for module in ("nas.timing", "nas.dryrun"):
        monkeypatch.setattr(f"{module}.PATIENCE_S", 0.01)
    monkeypatch.setattr("nas.latency.table_command.spec_of", lambda args: Things.quick(LatencySpec()))
    monkeypatch.setattr("nas.latency.__main__.spec_of", lambda args: Things.quick(spec_of(args)))
    monkeypatch.setattr("reports.images.SCALE", 1)
    monkeypatch.setenv("COLUMNS", "160")
    with here_instead_of_ray():
        yield tmp_path


@pytest.mark.parametrize("line", LINES, ids=lambda line: LINES[line].where)
def test_every_command_runs(line, here, things, monkeypatch):
    for pattern, word in STANDS_FOR.items():
        line = re.sub(pattern, word, line)
    things.bring(line, here, monkeypatch)
    for words in parts(line):
        run(words, here)


def run(words, here):
    program, *rest = words
    program = program.rpartition("/")[2]
    if program == "nas" or (program == "python" and rest[0] == "-m"):
        run_ours(*command_of(words))
    elif program == "python":
        run_file(ROOT / rest[0], rest[1:])
    elif program == "bash" or program.endswith(".sh"):
        assert ROOT / words[program == "bash"] in SCRIPTS
    else:
        assert program in OTHERS, f"{program}: no table says how this command is tried"
        OTHERS[program](rest, here)


def command_of(words):
    """Its name in ``nas.__main__`` and its arguments; of ``nas X``, ``python -m nas X`` or ``python -m nas.X``."""
    if words[0] == "nas":
        return words[1], words[2:]
    module, rest = words[2], words[3:]
    if module == "nas":
        return (rest or ["--help"])[0], rest[1:]
    return {"search_spaces": "spaces"}.get(module, module.removeprefix("nas.")), rest


def run_ours(name, arguments):
    line = f"{name} {' '.join(arguments)}"
    added = next((more for pattern, more in SMALLER if re.match(pattern, line)), "")
    missed = next((said for pattern, said in MISSED.items() if re.search(pattern, line)), None)
    with pytest.raises(UserError, match=re.escape(missed)) if missed else nullcontext():
        commands_of_nas.main([name, *arguments, *added.split()])


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
OTHERS |= dict.fromkeys((".", "cd", "export", "git", "tar"), lambda arguments, here: None)  # nothing of ours


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
        name, flags = command_of(parts(block.text)[0])
        known = {flag for parser in parsers(name) for flag in parser._option_string_actions}
        assert {word.partition("=")[0] for word in flags if word.startswith("--")} <= known, block


def parsers(name):
    """Of a command, with those of its subcommands."""
    first = importlib.import_module(commands_of_nas.COMMANDS[name]).parser()
    subcommands = [action for action in first._actions if isinstance(action, argparse._SubParsersAction)]
    return [first, *(each for action in subcommands for each in action.choices.values())]


@pytest.mark.parametrize("name", commands_of_nas.COMMANDS)
def test_every_flag_is_told_on_the_page_of_its_command(name):
    assert name in TOLD, f"{name}: no page of docs tells this command"
    told = set(re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", (ROOT / "docs" / TOLD[name]).read_text(encoding="utf-8")))
    for parser in parsers(name):
        for action in parser._actions:
            flags = set(action.option_strings)
            assert not flags or "--help" in flags or flags & told, f"{name} {max(flags, key=len)} is in no document"
