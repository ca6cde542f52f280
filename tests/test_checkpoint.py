"""A training that is broken off and taken up again is the training that was not."""

import pytest
import torch

from nas.checkpoint import Checkpoint

CPU = torch.device("cpu")


@pytest.fixture
def parts():
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    return {"model": model, "optimizer": optimizer}


def flat(parts):
    return [tensor.clone() for tensor in parts["model"].state_dict().values()]


def test_what_is_saved_comes_back(tmp_path, parts):
    draw = torch.Generator().manual_seed(1)
    history = [{"epoch": 1, "top1": 50.0}]
    Checkpoint(tmp_path / "0.pt", every_s=0).save(parts, draw, CPU, history)
    saved, next_draws = flat(parts), (torch.rand(3, generator=draw), torch.rand(3))
    torch.nn.init.zeros_(parts["model"].weight)
    draw.manual_seed(2)
    torch.manual_seed(2)
    assert Checkpoint(tmp_path / "0.pt").resume(parts, draw, CPU) == history
    assert all(torch.equal(a, b) for a, b in zip(flat(parts), saved, strict=True))
    assert torch.equal(torch.rand(3, generator=draw), next_draws[0])
    assert torch.equal(torch.rand(3), next_draws[1])


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 torn"])
def test_nothing_readable_is_a_fresh_start(tmp_path, parts, content):
    if content is not None:
        (tmp_path / "0.pt").write_bytes(content)
    before, draw = flat(parts), torch.Generator()
    assert Checkpoint(tmp_path / "0.pt").resume(parts, draw, CPU) == []
    assert all(torch.equal(a, b) for a, b in zip(flat(parts), before, strict=True))


def test_nothing_is_saved_before_it_is_worth_it_or_without_a_place(tmp_path, parts):
    draw = torch.Generator()
    Checkpoint(tmp_path / "0.pt", every_s=60).save(parts, draw, CPU, [])
    Checkpoint(None, every_s=0).save(parts, draw, CPU, [])
    assert not list(tmp_path.iterdir())


def test_disk_that_takes_no_checkpoint_costs_no_trial(tmp_path, parts, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    draw, path = torch.Generator(), tmp_path / "0.pt"
    Checkpoint(path, every_s=0).save(parts, draw, CPU, [{"epoch": 1}])
    monkeypatch.setattr("os.fsync", full)
    Checkpoint(path, every_s=0).save(parts, draw, CPU, [{"epoch": 1}, {"epoch": 2}])
    assert Checkpoint(path).resume(parts, draw, CPU) == [{"epoch": 1}]
    assert list(tmp_path.iterdir()) == [path]
    Checkpoint(tmp_path / "gone" / "0.pt", every_s=0).save(parts, draw, CPU, [])
