"""What all commands that make a run folder share: their flags, and how a run is taken up again or breaks off."""

import io

import pytest
from rich.console import Console

from nas import environment, flags, lifecycle
from nas.scale import __main__ as scale
from search_spaces import UserError
from studies import cluster
from studies.resources import Resources
from studies.spec import ResourceSpec, parse


def scaled(*arguments):
    return vars(scale.parser().parse_args(arguments))


def test_a_resumed_scaling_run_may_have_another_family_and_no_other_study():
    def changes(*arguments):
        return flags.changes_to_resume(
            scaled("--resume", "DIR", *arguments), "run", ("resources.",), scale.SHARED, scale.FAMILY
        )

    assert changes("--phi", "2", "--constraint", "macs<=1e9", "--cpus", "1") == {"resources.cpus": 1}
    for given, named in (
        (["--seeds", "5"], "--seeds"),
        (["--later-stages"], "--later-stages"),
        (["--out", "x"], "--out"),
    ):
        with pytest.raises(UserError, match=f"^{named}: stays as it was in a run that is resumed; allowed .* --phi, "):
            changes(*given)
    with pytest.raises(UserError, match=r"^--dry-run: looks at a run before it begins"):
        changes("--dry-run")


@pytest.mark.parametrize("spare", [["--seeds", "5"], ["--epochs", "9"], ["--set", "train.epochs=9"]])
def test_coefficients_spare_a_study_and_its_flags(spare):
    with pytest.raises(UserError, match=f"^{spare[0]}: is for a study, which --coefficients spares"):
        scale.settings_of(scaled("--coefficients", "1.2,1.1,1.15", *spare))


def test_a_run_does_not_go_on_with_another_kind_of_device():
    on_cpus, on_gpus = Resources(1, 0, 2, 0), Resources(1, 1, 2, 2)
    lifecycle.check_kind("study", ResourceSpec(gpus=2), on_gpus)
    lifecycle.check_kind("study", ResourceSpec(gpus=0), on_cpus)
    with pytest.raises(UserError, match=r"^--resume: the study trained on GPUs, here it would go on with CPUs"):
        lifecycle.check_kind("study", ResourceSpec(gpus=2), on_cpus)
    with pytest.raises(UserError, match=r"^--resume: the run trained on CPUs, here it would go on with GPUs"):
        lifecycle.check_kind("run", ResourceSpec(gpus=0), on_gpus)


def test_a_run_goes_on_with_what_this_machine_has(monkeypatch):
    monkeypatch.setattr(environment, "gpu_count", lambda: 1)
    monkeypatch.setattr(environment, "cpu_count", lambda: 4)

    def again(resources, changes=()):
        found = lifecycle.spec_again(parse({"resources": resources}), dict(changes)).resources
        return found.gpus, found.cpus

    assert again({"gpus": 8, "cpus": 64}) == (1, 4)
    assert again({"gpus": 0, "cpus": 2}) == (0, 2)
    assert again({}) == (None, None)
    monkeypatch.setattr(cluster, "totals", lambda address: (32, 4))
    assert again({"gpus": 8, "cpus": 64, "address": "auto"}) == (4, 32)
    assert again({"gpus": 8}, {"resources.gpus": 0}.items()) == (0, None)


def test_the_head_of_a_run_keeps_its_first_command_and_adds_the_others():
    first = lifecycle.head("first", 0)
    second = lifecycle.head_again({**first, "seed": 3}, "second", 0)
    third = lifecycle.head_again(second, "third", 0)
    assert (third["command"], third["created"]) == ("first", first["created"])
    assert [entry["command"] for entry in third["resumed"]] == ["second", "third"]
    assert "seed" not in third


@pytest.mark.parametrize(
    ("error", "also", "said"),
    [
        (KeyboardInterrupt(), None, "interrupted; what was found so far:"),
        (RuntimeError("a"), OSError(28, "No space left on device"), "no report: No space left on device"),
        (RuntimeError("a"), UserError("line 3 is damaged"), "no report: line 3 is damaged"),
    ],
    ids=["ctrl-c", "full disk", "damaged"],
)
def test_what_breaks_off_says_how_to_go_on(error, also, said, tmp_path):
    console, finished = Console(file=io.StringIO(), width=40), []

    def finish():
        finished.append(True)
        if also:
            raise also

    with pytest.raises(type(error)), lifecycle.with_report(console, finish, "python -m nas.search", tmp_path):
        raise error
    lines = console.file.getvalue().splitlines()
    assert finished == [True]
    assert said in lines
    assert lines[-1] == f"to go on: python -m nas.search --resume {tmp_path}"


def test_a_folder_of_another_kind_is_named(tmp_path):
    with pytest.raises(UserError, match=r"^--resume: .* holds no fidelity study$"):
        lifecycle.recorded(tmp_path, "fidelity", "fidelity study")
    (tmp_path / "spec.yaml").write_text("fidelity: {top: 3}")
    assert lifecycle.recorded(tmp_path, "fidelity", "fidelity study") == {"fidelity": {"top": 3}}
