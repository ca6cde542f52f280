"""``python -m search_spaces list|show|sample``: what it prints, and how it refuses."""

import json
import subprocess
import sys

import pytest

from search_spaces import Arch, UserError, load
from search_spaces.__main__ import main
from search_spaces.cost import count
from search_spaces.published import catalogue
from search_spaces.space_file import builtin_spaces, load_space

CONTRACT = ["name", "id", "arch", "text", "resolution", "params", "macs", "activations"]  # in the order printed


@pytest.fixture
def printed(capsys):
    """Runs a command line; what it printed, as text or with ``--json`` as data."""

    def run(*arguments):
        main(arguments)
        text = capsys.readouterr().out
        return json.loads(text) if "--json" in arguments else text

    return run


def check_entry(entry, classes=1000):
    arch = Arch.from_dict(entry["arch"])
    assert (entry["id"], entry["text"], entry["resolution"]) == (arch.id, arch.text, arch.resolution)
    assert (entry["params"], entry["macs"], entry["activations"]) == count(arch, classes)


def test_list_json(printed):
    entries = printed("list", "--json")
    assert [entry["name"] for entry in entries] == list(catalogue())
    for entry in entries:
        assert list(entry) == [*CONTRACT, "top1", "source"]
        check_entry(entry)


def test_list_text(printed):
    text = printed("list")
    line = next(line for line in text.splitlines() if line.startswith("efficientnet_b0 "))
    assert line.split() == ["efficientnet_b0", "77.1", "224", "5.29", "0.386", "6.75"]
    assert all(name in text for name in catalogue())
    for name in builtin_spaces():
        assert f"{load_space(name).size:,}" in text


def test_list_within_constraints(printed):
    entries = printed("list", "--json", "--constraint", "params<=6e6", "--constraint", "top1>=75")
    names = [entry["name"] for entry in entries]
    assert names == ["efficientnet_b0", "mnasnet_a1"]
    text = printed("list", "--constraint", "macs <= 330e6")
    assert "mobilenet_v2" in text
    assert "resnet50" not in text
    # a network without the figure is not known to be within the limit
    assert "efficientnet_v2_xl" not in [entry["name"] for entry in printed("list", "--json", "--constraint", "top1>=1")]
    assert printed("list", "--json", "--constraint", "params<=1") == []


def test_list_counts_the_classes(printed):
    for entry in printed("list", "--json", "--classes", "10"):
        check_entry(entry, classes=10)


def test_show_json(printed):
    entries = printed("show", "efficientnet_b0", "resnet50", "--json", "--resolution", "160", "--classes", "10")
    assert [entry["name"] for entry in entries] == ["efficientnet_b0", "resnet50"]
    for entry in entries:
        assert list(entry) == CONTRACT
        assert entry["resolution"] == 160
        check_entry(entry, classes=10)


def test_show_text(printed):
    lines = printed("show", "efficientnet_b0").splitlines()
    assert lines[0].startswith("efficientnet_b0  (id 8391413ae423; silu, symmetric padding, batch norm eps 1e-05; 1000")
    row = next(line for line in lines if line.startswith("    3  ")).split()
    assert row == ["3", "MBConv6,", "k5x5,", "SE0.25", "56x56", "2", "40", "2", "46,640", "37,939,584"]
    assert lines[-1].split() == ["total", "5,288,548", "385,814,752"]


def test_show_reads_what_show_wrote(printed, tmp_path):
    path = tmp_path / "net.json"
    [entry] = printed("show", "mnasnet_a1", "--json", "--resolution", "96")
    path.write_text(json.dumps([entry]))
    [again] = printed("show", str(path), "--json")
    assert again == entry | {"name": "net"}
    for content in (entry, entry["arch"]):  # a run folder's file, a bare Arch
        path.write_text(json.dumps(content))
        assert load(path) == Arch.from_dict(entry["arch"])
    assert "net  (id" in printed("show", str(path))


def test_show_spaces(printed, tmp_path):
    text = printed("show", "v1", "v2")
    assert f"v1: {load_space('v1').size:,} networks at 224 px" in text
    assert "mbconv|fused_mbconv" in text
    [entry] = printed("show", "v2_s", "--json", "--resolution", "128")
    assert (entry["name"], entry["size"], entry["resolutions"]) == ("v2_s", load_space("v2_s").size, [128])
    path = tmp_path / "mine.yaml"
    path.write_text("base: resnet18\nchoices: {kernel: [3, 5]}\n")
    assert "mine: 16 networks at 224 px" in printed("show", str(path))


def test_sample(printed):
    arguments = ["sample", "--space", "v2", "-n", "5", "--width", "0.5", "--json"]
    entries = printed(*arguments, "--seed", "3")
    assert entries == printed(*arguments, "--seed", "3")
    assert entries != printed(*arguments, "--seed", "4")
    assert len(entries) == 5
    space = load_space("v2", width=0.5)
    for entry in entries:
        assert list(entry) == CONTRACT
        assert entry["name"] == f"v2-{entry['id']}"
        assert space.contains(Arch.from_dict(entry["arch"]))
        check_entry(entry)
    lines = printed("sample", "--space", "v2", "-n", "5", "--width", "0.5", "--seed", "3").splitlines()
    assert [line.split()[0] for line in lines[2:]] == [entry["id"] for entry in entries]


def test_several_networks_in_one_file_are_refused(printed, tmp_path):
    path = tmp_path / "two.json"
    path.write_text(json.dumps(printed("show", "resnet18", "resnet34", "--json")))
    with pytest.raises(UserError, match=f"^{path}: holds 2 networks, one is needed"):
        main(["show", str(path)])


def test_exit_codes_in_a_shell(run_python, tmp_path):
    done = run_python("-m", "search_spaces", "show", "efficientnet_v2_s", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)[0]["params"] == 21458488
    path = tmp_path / "space.yaml"
    path.write_text("base: efficientnet_b0\nchoices: {kernel: [4]}\n")
    done = run_python("-m", "search_spaces", "sample", "--space", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {path}: choices.kernel: 4 is not an odd number >= 1\n"


def test_a_reader_that_stops_early_is_no_error():
    command = [sys.executable, "-m", "search_spaces", "sample", "--space", "v1", "-n", "500", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "[\n"
        process.stdout.close()  # as head does
        assert process.stderr.read() == ""
        assert process.wait() == 0
