"""Training of one network."""

import numpy as np
import pytest
import torch

from nas.checkpoint import Checkpoint
from nas.data import ImageSet, Split
from nas.training import Diverged, train
from nas.training.augment import normaliser
from search_spaces import Arch, Stage
from search_spaces.build import build_model
from studies.train_spec import TrainSpec

CPU = torch.device("cpu")
SMALL = Arch((Stage("fused_mbconv", 3, 2, 4, 16, 2), Stage("mbconv", 3, 2, 4, 32, 2, 0.25)), 16, 64, 16, norm_eps=1e-3)


def stripes(n=256, side=16):
    """Two classes that a linear filter tells apart: horizontal and vertical stripes in noise."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 2
    wave = np.tile(np.where(np.arange(side) % 4 < 2, 60, -60), (side, 1))
    clean = np.stack([wave if label else wave.T for label in labels])[:, None]
    images = (clean + rng.normal(128, 20, (n, 3, side, side))).clip(0, 255).astype(np.uint8)
    half = n // 2
    return ImageSet.of_arrays("stripes", ("h", "v"), (images[:half], labels[:half]), (images[half:], labels[half:]))


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "rmsprop"])
def test_every_optimizer_learns(optimizer):
    rate = {"adamw": 4e-3, "sgd": 0.1, "rmsprop": 5e-3}[optimizer]
    spec = TrainSpec(epochs=6, batch_size=16, optimizer=optimizer, learning_rate=rate, dropout=0.0)
    torch.manual_seed(0)
    model = build_model(SMALL, 2, zero_init_residual=True)
    seen = []
    history = train(model, stripes(), spec, 0, CPU, seen.append)
    assert [metrics["epoch"] for metrics in seen] == [1, 2, 3, 4, 5, 6]
    assert history == seen
    assert seen[-1]["top1"] > 90
    assert seen[-1]["train_loss"] < seen[0]["train_loss"]


def test_loss_that_is_not_finite_names_the_step(space, digits):
    model = build_model(space.base, 10)
    spec = TrainSpec(epochs=3, batch_size=32, optimizer="sgd", learning_rate=1e30, momentum=0.0, warmup=0.0)
    with pytest.raises(Diverged, match=r"loss became (nan|inf) at step [2-9]$"):
        train(model, digits, spec, 0, CPU, lambda metrics: None)


class Broken(BaseException):
    """As a kill: nothing of the training catches it."""


PROGRESSIVE = {"crop": "resized", "policy": "randaugment", "ema": 0.9, "stages": 2, "from_size": 0.6, "mixup": 0.2}


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "adamw", "crop": "shift"},
        {"optimizer": "sgd", "clip_norm": 1.0},
        {"optimizer": "rmsprop", **PROGRESSIVE},
        {"amp": "bfloat16"},
    ],
)
@pytest.mark.parametrize("after", [1, 3])
def test_training_that_was_broken_off_ends_as_the_one_that_was_not(tmp_path, settings, after):
    spec = TrainSpec(epochs=4, batch_size=16, dropout=0.2, drop_path=0.2, **settings)

    def start(on_epoch, path):
        torch.manual_seed(7)
        model = build_model(SMALL, 2, spec.dropout, spec.drop_path)
        history = train(model, stripes(), spec, 7, CPU, on_epoch, checkpoint=Checkpoint(path, every_s=0))
        for metrics in history:
            assert metrics.pop("time_s") > 0
            assert metrics.pop("step_time_s") > 0
            assert metrics.pop("paused_s") == 0
        return history, model.state_dict()

    def break_off(metrics):
        if metrics["epoch"] == after:
            raise Broken

    whole, weights = start(lambda metrics: None, None)
    with pytest.raises(Broken):
        start(break_off, tmp_path / "0.pt")
    told = []
    again, weights_again = start(lambda metrics: told.append(metrics["epoch"]), tmp_path / "0.pt")
    assert again == whole
    assert told == [1, 2, 3, 4]
    assert all(torch.equal(weights[name], weights_again[name]) for name in weights)


def test_weights_are_those_that_were_validated():
    """With averaged weights too, which are not those that the last step left."""
    images, found = stripes(), {}
    for ema in (0.0, 0.5):
        torch.manual_seed(0)
        model = build_model(SMALL, 2)
        history = train(model, images, TrainSpec(epochs=2, batch_size=16, ema=ema), 0, CPU, lambda metrics: None)
        x = normaliser(images, CPU)(torch.from_numpy(images.val.batch(np.arange(len(images.val)))))
        with torch.inference_mode():
            right = (model.eval()(x).argmax(1).numpy() == images.val.labels).mean()
        assert history[-1]["top1"] == pytest.approx(100 * right)
        found[ema] = model.state_dict()
    assert not torch.equal(found[0.0]["classifier.1.weight"], found[0.5]["classifier.1.weight"])


def test_images_grow_with_the_stages():
    model, sizes = build_model(SMALL, 2), []
    model.register_forward_pre_hook(
        lambda module, inputs: sizes.append(inputs[0].shape[-1]) if module.training else None
    )
    spec = TrainSpec(epochs=4, batch_size=32, stages=4, from_size=0.25, from_dropout=0.0, dropout=0.3)
    train(model, stripes(), spec, 0, CPU, lambda metrics: None)
    assert sizes == [4] * 4 + [8] * 4 + [12] * 4 + [16] * 4
    assert model.classifier[0].p == 0.3


def test_time_ends_a_training_and_shortens_its_schedule():
    model = build_model(SMALL, 2)
    spec = TrainSpec(epochs=10_000, seconds=1.0, batch_size=16, learning_rate=4e-3)
    history = train(model, stripes(), spec, 0, CPU, lambda metrics: None)
    assert 1 < len(history) < 1000
    assert sum(metrics["time_s"] for metrics in history) == pytest.approx(1.0, abs=0.5)
    assert history[-1]["top1"] > 90


def test_the_test_split_is_looked_at_once_and_last():
    images, looked = stripes(), []

    class Watched(Split):
        def batch(self, positions):
            looked.append(len(epochs))
            return super().batch(positions)

    epochs = []
    test = Watched(images.val.pixels, images.val.index, images.val.labels)
    history = train(build_model(SMALL, 2), images, TrainSpec(epochs=3), 0, CPU, epochs.append, test=test)
    assert set(looked) == {2}
    assert [metrics.get("test_top1") for metrics in history] == [None, None, history[-1]["top1"]]


def test_images_are_resized_to_the_networks_resolution(digits):
    sizes = []
    model = build_model(SMALL, 10)
    model.register_forward_pre_hook(lambda module, inputs: sizes.append(tuple(inputs[0].shape[1:])))
    train(model, digits, TrainSpec(epochs=1, batch_size=128), 0, CPU, lambda metrics: None, resolution=12)
    assert set(sizes) == {(3, 12, 12)}


def test_last_batch_of_one_image_is_left_out():
    images = stripes(2 * 33)
    model, sizes = build_model(SMALL, 2), []
    model.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])) if module.training else None)
    train(model, images, TrainSpec(epochs=2, batch_size=16), 0, CPU, lambda metrics: None)
    assert sizes == [16, 16, 16, 16]


def test_validation_that_is_not_finite_is_no_accuracy(digits):
    model = build_model(SMALL, 10)
    model.register_forward_hook(lambda module, inputs, output: output if module.training else output * float("nan"))
    with pytest.raises(Diverged, match=r"validation loss became nan after step \d+"):
        train(model, digits, TrainSpec(epochs=1), 0, CPU, lambda metrics: None)
