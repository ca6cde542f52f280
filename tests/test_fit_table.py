"""``python -m nas.latency --fit-table`` and ``--predict``: one small real fit, interruptions, mistakes."""

import json
import random

import pytest
import torch

from nas.latency import __main__ as latency_command
from nas.latency import fitting, predictor
from nas.latency.blocks import blocks_of
from nas.latency.fitting import Kept
from search_spaces import UserError
from search_spaces.space_file import load_space
from studies.ledger import Latency
from studies.spec import LatencySpec

SPACE = load_space("v2", 0.25, 64)
CPU = torch.device("cpu")
TINY = """
base: {stem_channels: 8, head_channels: 16, resolution: 16, stages: [
  {block: mbconv, kernel: 3, stride: 2, expansion: 2, channels: 8, layers: 1, se_ratio: 0.25}]}
choices: {kernel: [3, 5], layers: [1, 2]}
"""


@pytest.fixture
def command(capsys, monkeypatch, tmp_path):
    """Runs nas.latency in this process with measurements as short as can be; its output."""
    (tmp_path / "space.yaml").write_text(TINY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    quick = LatencySpec(warmup_s=0.0, max_s=0.01, block_ms=0.5, retries=0)
    monkeypatch.setattr("nas.latency.table_command.spec_of", lambda args: quick)

    def run(*arguments):
        latency_command.main(arguments)
        return capsys.readouterr().out

    return run


def test_a_fit_from_measurements_to_a_prediction(command, tmp_path):
    text = command("--fit-table", "t.json", "--space", "space.yaml", "--networks", "4", "--classes", "10")
    assert "predictor" in text
    assert "MACs alone" in text
    data = json.loads((tmp_path / "t.json").read_text())
    # Stem and head; the first block with 2 kernels, and the second, which has a residual connection.
    assert (len(data["blocks"]), len(data["networks"]), data["classes"]) == (6, 4, 10)
    assert {"device", "threads"} < set(data["key"])
    assert "resolution" not in data["key"]
    assert not (tmp_path / "t.json.part").exists()
    with pytest.raises(UserError, match=r"--fit-table: t.json exists"):
        command("--fit-table", "t.json", "--space", "space.yaml")

    (tmp_path / "network.json").write_text(json.dumps(data["networks"][0]["arch"]))
    found = json.loads(command("network.json", "--predict", "t.json", "--json"))
    assert found["interval_ms"][0] <= found["predicted_ms"] <= found["interval_ms"][1]
    assert (found["interpolated"], found["key"]["resolution"]) == (0, 16)
    text = command("network.json", "--predict", "t.json", "--resolution", "32")
    assert "blocks" in text
    assert "were not measured" in text
    with pytest.raises(UserError, match=r"--threads: 2 but t\.json was measured with 1"):
        command("network.json", "--predict", "t.json", "--threads", "2")


def test_a_fit_that_is_interrupted_goes_on(command, tmp_path, monkeypatch):
    flags = ["--fit-table", "t.json", "--space", "space.yaml", "--networks", "3"]
    measured = []

    def made_up_measure(model, resolution, spec, device, lease):
        if len(measured) == 2:
            measured.append("interrupted")
            raise KeyboardInterrupt
        measured.append(sum(parameter.numel() for parameter in model.parameters()))
        return Latency({}, 2.0 + len(measured), ratio=1.0 + len(measured) / 2)

    monkeypatch.setattr(fitting, "measure", made_up_measure)
    with pytest.raises(KeyboardInterrupt):
        command(*flags)
    part = tmp_path / "t.json.part"
    with pytest.raises(UserError, match="begun with other settings; delete it"):
        command(*flags, "--seed", "1")
    part.write_text(part.read_text() + '{"torn')
    monkeypatch.setattr(fitting, "_blocks", lambda *arguments: pytest.fail("the blocks were measured already"))
    command(*flags)
    assert len(measured) == 4
    assert len(json.loads((tmp_path / "t.json").read_text())["networks"]) == 3


def test_the_scale_is_that_of_measurements_that_nothing_disturbed(command, tmp_path, monkeypatch):
    """Made-up networks of the reference's own latency, of which some are measured while all is five times slower."""
    for statuses, usual_ms in (("ok", "flagged", "ok"), 2.0), (("flagged",) * 3, 10.0):
        given = iter(statuses * 2)

        def made_up_measure(model, resolution, spec, device, lease, given=given):
            status = next(given)
            return Latency({}, 2.0 if status == "ok" else 10.0, ratio=1.0, status=status)

        monkeypatch.setattr(fitting, "measure", made_up_measure)
        name = f"{usual_ms}.json"
        text = command("--fit-table", name, "--space", "space.yaml", "--networks", "3")
        assert predictor.load(tmp_path / name).about["reference_ms"] == usual_ms
        assert ("a search does not take this table" in text) == (usual_ms == 10.0)


def test_what_is_kept_survives_a_torn_line_twice(tmp_path):
    block = next(blocks_of(SPACE.sample(random.Random(0))))
    for count in range(3):
        kept = Kept(tmp_path / "part", {"seed": 0})
        assert len(kept.blocks) == count
        kept.add_blocks([(block, 1.0, 2.0)])
        kept.close()
        with (tmp_path / "part").open("a") as file:
            file.write('{"blo')
