"""Wrong inputs over all commands (the tables in wrong_inputs*.py): each ends with exit code 2 and one line on stderr
that names the field, the value and what is allowed; no traceback, nothing on stdout, nothing left behind."""

import importlib
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import wrong_inputs
import wrong_inputs_of_networks
import wrong_inputs_of_runs
import wrong_place

from search_spaces import command

ROOT = Path(__file__).parents[1]
LONGEST = 420  # characters of a line: all fields of train take 400
MODULES = {"search_spaces": "search_spaces.__main__", "nas.search": "nas.search", "nas.report": "nas.report"}
TABLES = [*wrong_inputs.TABLES, *wrong_inputs_of_runs.TABLES, *wrong_inputs_of_networks.TABLES]


def rows(tables=TABLES):
    """Command, line, and what the error has to say."""
    for name, table in tables:
        for row in filter(None, map(str.strip, table.splitlines())):
            line, *said = (cell.strip() for cell in row.split(" | "))
            yield name, line, said


def content(folder):
    """Everything below it: whatever is written, even what was there before, has another time then."""
    return {path: (stat.st_ino, stat.st_size, stat.st_mtime_ns) for path, stat in _below(folder)}


def _below(folder):
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry.path, entry.stat(follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False):
                yield from _below(entry.path)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """With the folder that commands are typed in, and a cache beside it."""
    root = tmp_path_factory.mktemp("wrong")
    wrong_place.make(root / "here")
    return root


@pytest.fixture
def typed(root, monkeypatch, capfd, recwarn):
    """Types a command; the line on stderr. A run that would begin, or a measurement, fails the test."""
    monkeypatch.chdir(root / "here")
    monkeypatch.setenv("NAS_CACHE", str(root / "cache"))
    for place in ("studies.engine.run", "nas.latency.protocol.measure"):
        monkeypatch.setattr(place, lambda *_: pytest.fail("this would begin"))

    def typed(name, arguments):
        before = content(root)
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        main = importlib.import_module(MODULES.get(name, f"{name}.__main__")).main
        with pytest.raises(SystemExit) as ended:
            command.run(main)
        out, err = capfd.readouterr()
        assert (ended.value.code, out) == (2, "")
        assert err.count("\n") == 1, err
        assert err.isprintable() or err[:-1].isprintable()
        assert len(err) <= LONGEST
        assert content(root) == before
        assert not [str(one.message) for one in recwarn if one.category is UserWarning]
        return err

    return typed


def test_the_table_is_long_and_says_all():
    found = list(rows())
    assert len(found) >= 130
    assert {name for name, *_ in found} == {name for name, _ in TABLES}
    assert len({(name, line) for name, line, _ in found}) == len(found)
    assert [line for _, line, said in found if len(said) not in (2, 3) or not all(said)] == []


@pytest.mark.parametrize(("name", "line", "said"), rows(), ids=lambda value: value if isinstance(value, str) else "")
def test_one_line_names_field_value_and_what_is_allowed(name, line, said, typed):
    error = typed(name, shlex.split(line))
    for words in said:
        assert words in error


STRANGE = {"a line": "a\nb", "a colour": "\x1b[31mred", "long": "x" * 5000, "umlauts": "ä ö", "no text": "\udcff"}


@pytest.mark.parametrize("value", STRANGE.values(), ids=STRANGE)
@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("search_spaces", ["show"]),
        ("nas.search", ["--data"]),
        ("nas.search", ["--trials"]),
        ("nas.search", ["--resume"]),
        ("nas.scale", ["--coefficients", "published", "--base"]),
        ("nas.export", ["--to", "json"]),
        ("nas.latency", ["--catalogue", "--constraint"]),
        ("nas.fidelity", ["--proxy"]),
        ("nas.report", []),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_strange_values_stay_in_the_line(name, flags, value, typed):
    typed(name, [*flags, value])


FIRST = {name: (line, said) for name, line, said in reversed(list(rows()))}


@pytest.mark.parametrize("name", FIRST)
def test_the_real_command_does_the_same(name, root):
    line, said = FIRST[name]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", name, *shlex.split(line)],
        cwd=root / "here",
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert all(words in done.stderr for words in said)
