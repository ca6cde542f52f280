"""What a training batch goes through, and how it comes to the device."""

import numpy as np
import pytest
import torch

from nas.data import ImageSet, Split
from nas.lease import NO_LEASE
from nas.training.augment import Augmentation, resized
from nas.training.feed import Feed
from nas.training.schedule import Stage
from studies.train_spec import TrainSpec

CPU = torch.device("cpu")
SIDE = 24


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (40, 3, SIDE, SIDE), dtype=np.uint8)
    labels = np.arange(40) % 4
    return ImageSet.of_arrays("noise", tuple("abcd"), (pixels[:30], labels[:30]), (pixels[30:], labels[30:]))


def batch(images):
    return torch.from_numpy(images.train.batch(np.arange(8))), torch.arange(8) % 4


def augmented(images, spec, stage, seed=0):
    torch.manual_seed(seed)
    return Augmentation(spec, images, torch.Generator().manual_seed(seed))(*batch(images), stage)


@pytest.mark.parametrize("crop", ["none", "shift", "resized"])
@pytest.mark.parametrize("policy", ["none", "autoaugment", "randaugment"])
@pytest.mark.parametrize("side", [SIDE, 16])
def test_every_way_keeps_the_batch_and_repeats(images, crop, policy, side):
    spec, stage = TrainSpec(crop=crop, policy=policy), Stage(side, 9, 0.0, 0.0)
    x, y = augmented(images, spec, stage)
    assert (x.shape, x.dtype) == ((8, 3, side, side), torch.float32)
    assert torch.equal(y, torch.arange(8) % 4)
    assert torch.equal(augmented(images, spec, stage)[0], x)
    if (crop, policy) != ("none", "none"):
        assert not torch.equal(augmented(images, spec, stage, seed=1)[0], x)


def test_without_augmentation_images_are_only_normalised(images):
    x, _ = augmented(images, TrainSpec(), Stage(SIDE, 9, 0.0, 0.0))
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (images.mean, images.std))
    assert torch.allclose(x * std + mean, batch(images)[0] / 255, atol=1e-5)


def test_images_of_a_batch_are_drawn_for_one_by_one():
    """Eight times the same image comes out as eight."""
    pixels = np.repeat(np.random.default_rng(0).integers(0, 256, (1, 3, SIDE, SIDE), dtype=np.uint8), 8, axis=0)
    labels = np.arange(8) % 2
    images = ImageSet.of_arrays("same", ("a", "b"), (pixels, labels), (pixels[:2], labels[:2]))
    for spec in (TrainSpec(crop="resized"), TrainSpec(policy="randaugment"), TrainSpec(crop="shift")):
        x, _ = augmented(images, spec, Stage(SIDE, 20, 0.0, 0.0))
        assert len({image.numpy().tobytes() for image in x}) > 5


def test_digits_are_never_mirrored():
    ramp = np.broadcast_to(np.linspace(0, 255, SIDE).astype(np.uint8), (32, 3, SIDE, SIDE))
    labels = np.arange(32) % 2
    for flip in (True, False):
        images = ImageSet.of_arrays("ramp", ("a", "b"), (ramp, labels), (ramp[:2], labels[:2]), flip)
        for crop in ("shift", "resized"):
            torch.manual_seed(0)
            augment = Augmentation(TrainSpec(crop=crop), images, torch.Generator().manual_seed(0))
            x, _ = augment(torch.from_numpy(ramp.copy()), torch.from_numpy(labels), Stage(SIDE, 0, 0.0, 0.0))
            inner = x[:, 0, SIDE // 2, 4:-4]  # edges are reflected
            rising = (inner[:, -1] > inner[:, 0]).float().mean().item()
            assert (rising == 1.0) != flip, crop


def test_mixup_mixes_images_and_labels_alike(images):
    plain, y = augmented(images, TrainSpec(), Stage(SIDE, 0, 0.0, 0.0))
    x, target = augmented(images, TrainSpec(), Stage(SIDE, 0, 0.5, 0.0))
    assert target.shape == (8, 4)
    assert torch.allclose(target.sum(1), torch.ones(8))
    share = target[0].max().item() if target[0].max() < 1 else target[1].max().item()
    assert 0 < share <= 1
    other = plain.roll(1, 0)
    kept = target[torch.arange(8), y].unique()
    assert any(torch.allclose(x, k * plain + (1 - k) * other, atol=1e-5) for k in kept)


class Streamed:
    """Pixels that are read anew each time."""

    resident = False

    def __init__(self, array):
        self._array, self.shape, self.nbytes, self.reads = array, array.shape, array.nbytes, 0

    def __getitem__(self, index):
        self.reads += 1
        return self._array[index].copy()


@pytest.mark.parametrize("broken_off", [False, True])
def test_read_ahead_gives_the_same_batches(images, broken_off):
    whole = np.ascontiguousarray(images.train.batch(np.arange(30)))
    streamed = Streamed(whole)
    split = Split(streamed, np.arange(30)[::-1].copy(), np.arange(30) % 4)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(0)).split(7)
    with NO_LEASE.sharing() as share:
        feed = Feed(split, CPU, share)
        found = []
        for x, y in feed.batches(list(order)):
            found.append((x.clone(), y))
            feed.settle()
            if broken_off:
                break
        feed.settle()
        again = [x.clone() for x, _ in feed.batches(list(order))]
        feed.close()
    for (x, y), positions in zip(found, order, strict=False):
        assert np.array_equal(x.numpy(), whole[::-1][positions.numpy()])
        assert torch.equal(y, positions % 4)
    assert len(again) == 5
    assert len(found) == (1 if broken_off else 5)


def test_what_cannot_be_read_is_an_error_of_the_step(images):
    class Gone(Streamed):
        def __getitem__(self, index):
            raise FileNotFoundError("gone.jpg")

    with NO_LEASE.sharing() as share:
        feed = Feed(Split(Gone(np.zeros((4, 3, 8, 8), np.uint8)), np.arange(4), np.zeros(4, np.int64)), CPU, share)
        with pytest.raises(FileNotFoundError, match=r"gone\.jpg"):
            list(feed.batches([torch.arange(2), torch.arange(2, 4)]))
        feed.settle()
        feed.close()


def test_resizing_is_none_where_there_is_nothing_to_resize():
    x = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    assert resized(x, 8) is x
    assert resized(x, 5).shape == (1, 3, 5, 5)
