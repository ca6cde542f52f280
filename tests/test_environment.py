"""Which commit of the project a run was made with."""

import subprocess

import pytest

from nas import environment


@pytest.fixture
def git(tmp_path):
    def run(*arguments):
        line = ["git", "-c", "user.name=x", "-c", "user.email=x@y", *arguments]
        return subprocess.run(line, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    return run


def test_the_commit_is_the_projects_own(git, tmp_path, monkeypatch):
    """Not that of a repository which merely has an environment with the project inside."""
    own = tmp_path / "environment.py"
    own.write_text("")
    monkeypatch.setattr(environment, "__file__", str(own))
    assert environment._commit() is None
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "of another project")
    assert environment._commit() is None
    git("add", own.name)
    git("commit", "-q", "-m", "of this one")
    assert environment._commit() == git("rev-parse", "--short=12", "HEAD").strip()
    own.write_text("changed\n")
    assert environment._commit().endswith("+")
