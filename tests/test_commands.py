"""``python -m nas`` and the console script ``nas``: every command is listed, and reached by its name."""

import importlib
import shlex

import pytest
from test_layers import SOURCES, module_name

from nas.__main__ import COMMANDS, main


@pytest.fixture
def nas(monkeypatch):
    """Runs ``nas ARGUMENTS`` as the console script does; its exit code."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["nas", *arguments])
        with pytest.raises(SystemExit) as end:
            importlib.import_module("nas.__main__").run()
        return end.value.code

    return run


def test_no_command_is_forgotten():
    """What runs as a command line, and is not the list itself."""
    runs = {module_name(path) for path in SOURCES if "\n    command.run(main)\n" in path.read_text()}
    assert runs - {"nas.__main__"} == set(COMMANDS.values())


@pytest.mark.parametrize("asked", [[], ["--help"], ["-h"]], ids=str)
def test_the_list_has_each_command_with_what_it_does_and_an_example(asked, nas, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert nas(*asked) == 0
    _, _, *entries = capsys.readouterr().out.strip().split("\n\n")
    assert [entry.split()[0] for entry in entries] == list(COMMANDS)
    for entry, module in zip(entries, map(importlib.import_module, COMMANDS.values()), strict=True):
        what, example = (line.strip() for line in entry.splitlines())
        parser = module.parser()
        assert parser.description.splitlines()[0] == what.split(maxsplit=1)[1]
        assert example.startswith(f"{parser.prog} ")
        parser.parse_args(shlex.split(example.removeprefix(parser.prog), comments=True))


def test_the_list_fits_the_terminal(nas, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "72")
    assert nas() == 0
    assert max(len(line) for line in capsys.readouterr().out.splitlines() if " python -m " not in line) <= 72


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_the_module_of_its_name_with_the_same_arguments(name, monkeypatch):
    seen = []
    monkeypatch.setattr(f"{COMMANDS[name]}.main", seen.append)
    main([name, "a b", "--flag=x", "--help"])
    assert seen == [["a b", "--flag=x", "--help"]]


def test_an_unknown_command_is_one_line_that_names_the_known_ones(nas, capsys):
    assert nas("serach", "--trials", "2") == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == f"error: command: 'serach' is not one of {', '.join(COMMANDS)}\n"


def test_what_a_command_says_is_the_same_either_way(nas, run_python, capsys):
    """One form of every command line, which can be copied: ``python -m``."""
    assert nas("report", "--frobnicate") == 2
    assert capsys.readouterr().err == run_python("-m", "nas.report", "--frobnicate").stderr
