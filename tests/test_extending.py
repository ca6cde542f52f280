"""docs/extending.md, followed to the letter in a copy of the project.

Its text is read as a person reads it: what stands in a block goes where the line above it says,

    New file `PATH`:
    In `PATH`, above `TEXT`:          TEXT is in one line of the file only; two blank lines follow a function
    In `PATH`, below `TEXT`:
    In `PATH`, `OLD` becomes `NEW`.   OLD is in the file once

and each command of a `console` block is run, in order, and ends well.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
COPIED = ("search_spaces", "studies", "reports", "nas", "tests", "pyproject.toml", "docs")
STEP = re.compile(
    r"New file `(?P<new>[^`]+)`:\n\n```\w+\n(?P<content>.*?)^```$"
    r"|In `(?P<file>[^`]+)`, (?P<where>above|below) `(?P<anchor>[^`]+)`:\n\n```\w+\n(?P<inserted>.*?)^```$"
    r"|In `(?P<changed>[^`]+)`, `(?P<old>[^`]+)` becomes `(?P<after>[^`]+)`\."
    r"|```console\n(?P<commands>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
DOCKER = """#!/bin/sh
[ "$1 $2 $3" = "exec -i board" ] || exit 1
shift 4
exec "{python}" "$@"
"""  # in place of docker: its command runs here


def recipe(title):
    """The steps of one section, each by the groups of ``STEP`` that it has."""
    section = TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]
    steps = [{name: text for name, text in match.groupdict().items() if text} for match in STEP.finditer(section)]
    assert len(steps) == len(re.findall(r"^```\w", section, re.MULTILINE)) + section.count(" becomes `")
    return steps


COUNTS = {name: int(lines) for name, lines in re.findall(r"^\| \[(an? .+?)\]\(.+?\) \| (\d+) \|", TEXT, re.MULTILINE)}
TITLES = re.findall(r"^## (An? .+)$", TEXT, re.MULTILINE)


class Project:
    """A copy of this one."""

    def __init__(self, folder):
        self.folder = folder
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, folder / name)
        stand_in = folder / "bin" / "docker"
        stand_in.parent.mkdir()
        stand_in.write_text(DOCKER.format(python=sys.executable))
        stand_in.chmod(0o755)
        python = f"{Path(sys.executable).parent}:{folder / 'bin'}"
        self.environment = os.environ | {"PYTHONPATH": str(folder), "PATH": f"{python}:{os.environ['PATH']}"}
        self.environment |= {"COLUMNS": "200", "CUDA_VISIBLE_DEVICES": ""}

    def write(self, step):
        if "new" in step:
            path = self.folder / step["new"]
            assert not path.exists()
            path.write_text(step["content"])
        elif "file" in step:
            path = self.folder / step["file"]
            lines = path.read_text().splitlines(keepends=True)
            (found,) = (index for index, line in enumerate(lines) if step["anchor"] in line)
            found += step["where"] == "below"
            apart = "\n\n" if step["inserted"].startswith("def ") else ""
            path.write_text("".join([*lines[:found], step["inserted"], apart, *lines[found:]]))
        else:
            path = self.folder / step["changed"]
            content = path.read_text()
            assert content.count(step["old"]) == 1
            path.write_text(content.replace(step["old"], step["after"]))

    def run(self, command):
        arguments = shlex.split(command)
        return subprocess.run(
            arguments, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=900
        )


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """With every recipe followed; what each command printed, by command."""
    made = Project(tmp_path_factory.mktemp("extended"))
    made.printed = {}
    for step in (step for title in TITLES for step in recipe(title)):
        if "commands" not in step:
            made.write(step)
            continue
        for command in re.findall(r"^\$ (.+)", step["commands"].replace("\\\n", " "), re.MULTILINE):
            done = made.run(command)
            assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
            made.printed[command] = done.stdout
    return made


def printed(project, words):
    (found,) = (text for command, text in project.printed.items() if words in command)
    return found


def events(project, kind):
    """Of the search's ledger, whose networks this process does not know."""
    lines = (project.folder / "runs" / "extended" / "trials.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def extra_depthwise(event):
    return any(stage["block"] == "extra_depthwise" for stage in event["arch"]["stages"])


def test_every_recipe_is_in_the_table():
    assert list(COUNTS) == [title.lower() for title in TITLES]


@pytest.mark.parametrize("title", TITLES)
def test_what_is_added_is_as_short_as_the_table_says(title):
    texts = [step.get("content") or step.get("inserted") or step.get("after", "") for step in recipe(title)]
    assert sum(bool(line.strip()) for text in texts for line in text.splitlines()) == COUNTS[title.lower()] <= 30


def test_what_the_text_says_is_printed(project):
    for printed in re.findall(r"^\$ (.+)\n(?!\$|```)(.+)", TEXT.replace("\\\n", " "), re.MULTILINE):
        assert project.printed[printed[0]].strip() == printed[1]


def test_it_is_written_as_the_rest_is(project):
    for command in ("check", "format --check"):
        done = project.run(f"ruff {command} search_spaces studies nas")
        assert done.returncode == 0, done.stdout


def test_a_block_is_counted_built_and_searched(project):
    assert " passed" in printed(project, "test_cost.py")
    assert "mbconv|extra_depthwise" in printed(project, "show my_space")
    started, finished = events(project, "started"), events(project, "finished")
    assert [event["outcome"]["status"] for event in finished] == ["ok", "ok"]
    assert any(extra_depthwise(event) for event in started)
    assert all(event["outcome"]["macs"] == event["outcome"]["macs_fvcore"] for event in finished)


def test_a_target_is_proven_and_others_refuse_the_block(project):
    verification = json.loads((project.folder / "exports" / "program" / "verification.json").read_text())
    assert verification["passed"]
    assert verification["params_equal"]
    assert verification["macs_equal"]
    arch = next(event["arch"] for event in events(project, "started") if extra_depthwise(event))
    (project.folder / "arch.json").write_text(json.dumps(arch))
    refused = project.run("python -m nas.export arch.json --to torchvision")
    assert refused.returncode == 2
    assert "block 'extra_depthwise' is not one of mbconv, fused_mbconv, separable" in refused.stderr


def test_a_sampler_keeps_the_contract(project):
    assert re.search(r"^\d{2} passed", printed(project, "test_samplers.py"), re.MULTILINE)
    assert "sampler: local" in (project.folder / "runs" / "extended" / "spec.yaml").read_text()


def test_latencies_say_what_ran_where(project):
    assert "runtime torch exported" in printed(project, "--mode exported")
    assert re.search(r"runtime torch \S+ exported", printed(project, "--device docker:board"))
    assert "p50" in printed(project, "--device docker:board")


@pytest.mark.parametrize("page", ["architecture.md", "extending.md"])
def test_files_that_a_page_names_are_there(page):
    """By their path, or, beside another of the same folder, by their name alone."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    added = {step["new"] for title in TITLES for step in recipe(title) if "new" in step}
    known = {
        str(path.relative_to(ROOT)) for folder in (*COPIED, "benchmarks") for path in (ROOT / folder).rglob("*.py")
    } | added
    names = set(re.findall(r"`((?:\w+/)*\w+\.py)(?:: \w+)?`", text))
    assert names
    assert not {name for name in names if not any(path == name or path.endswith(f"/{name}") for path in known)}
