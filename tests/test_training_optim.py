"""Steps that are not finite, mixed precision, averaged weights."""

import pytest
import torch
from torch import nn

from nas.training.optim import Diverged, Optimizer, averaged, mixed_precision
from studies.train_spec import TrainSpec

CPU = torch.device("cpu")


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


def steps(model, spec, losses, first=1):
    """Takes a step for each loss; a loss is what a function makes of the model's output."""
    optimizer = Optimizer(model, spec, CPU)
    for number, loss in enumerate(losses, first):
        with optimizer.autocast():
            value = loss(model(torch.ones(3, 4)))
        optimizer.step(value, 0.1, number)
    optimizer.check()
    return optimizer


def fine(output):
    return output.float().square().mean()


def bad_gradient(output):
    """A finite loss whose gradient is infinite: sqrt at 0."""
    return (output.float() * 0).abs().sum().sqrt()


def bad_loss(output):
    return output.float().mean() * float("inf")


@pytest.mark.parametrize("amp", ["bfloat16", False])
@pytest.mark.parametrize("at", [1, 3])
def test_a_loss_that_is_not_finite_names_its_step(amp, at):
    losses = [fine] * 4
    losses[at - 1] = bad_loss
    with pytest.raises(Diverged, match=rf"loss became (inf|-inf|nan) at step {at}$"):
        steps(network(), TrainSpec(amp=amp), losses)


@pytest.mark.parametrize("spec", [TrainSpec(amp="bfloat16"), TrainSpec(amp=False, clip_norm=1.0)])
@pytest.mark.parametrize("at", [1, 3])
def test_a_gradient_that_is_not_finite_names_its_step_and_changes_no_weight(spec, at):
    losses = [fine] * 4
    losses[at - 1] = bad_gradient
    model = network()
    with pytest.raises(Diverged, match=rf"gradient's norm became (inf|nan) at step {at}$"):
        steps(model, spec, losses)
    assert all(p.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("bad", [bad_gradient, bad_loss])
def test_float16_skips_the_step_and_scales_the_loss_down(bad):
    model = network()
    before = {}

    def remember(output):
        before.update({name: p.detach().clone() for name, p in model.named_parameters()})
        return bad(output)

    optimizer = steps(model, TrainSpec(amp="float16"), [fine, remember])
    assert all(torch.equal(before[name], p) for name, p in model.named_parameters())
    assert optimizer.state_dict()["scaler"]["scale"] == 2.0**15
    steps(model, TrainSpec(amp="float16"), [fine])
    assert not all(torch.equal(before[name], p) for name, p in model.named_parameters())


def test_float16_that_only_skips_ends_with_the_step():
    with pytest.raises(Diverged, match=r"gradients not finite at step 17 even with the loss scaled by 0\.5$"):
        steps(network(), TrainSpec(amp="float16"), [bad_gradient] * 30)


def test_state_goes_on_where_it_was():
    spec = TrainSpec(amp="float16", optimizer="rmsprop")
    whole, broken = network(), network()
    steps(whole, spec, [fine, bad_loss, fine])
    state = steps(broken, spec, [fine, bad_loss]).state_dict()
    again = Optimizer(broken, spec, CPU)
    again.load_state_dict(state)
    with again.autocast():
        loss = fine(broken(torch.ones(3, 4)))
    again.step(loss, 0.1, 3)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), broken.parameters(), strict=True))


def test_gradients_are_clipped():
    model = network()
    optimizer = Optimizer(model, TrainSpec(optimizer="sgd", momentum=0.0, weight_decay=0.0, clip_norm=1e-3), CPU)
    before = [p.detach().clone() for p in model.parameters()]
    optimizer.step(1e6 * fine(model(torch.ones(3, 4))), 1.0, 1)
    moved = torch.cat([(p - b).flatten() for p, b in zip(model.parameters(), before, strict=True)]).norm()
    assert moved.item() == pytest.approx(1e-3, rel=1e-3)


def test_frozen_parameters_are_left_out():
    model = network()
    model[0].requires_grad_(False)
    before = model[0].weight.clone()
    steps(model, TrainSpec(), [fine, fine])
    assert torch.equal(model[0].weight, before)


@pytest.mark.parametrize(("amp", "half"), [(True, None), (False, None), ("bfloat16", torch.bfloat16)])
def test_precision_on_cpu(amp, half):
    context, found = mixed_precision(amp, CPU)
    assert found == half
    with context():
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == (half or torch.float32)


def test_averaged_weights_are_tensorflows():
    """mean = k mean + (1 - k) value with k = min(decay, (1 + n) / (10 + n)); statistics of batch norm with them."""
    model = nn.BatchNorm1d(1)
    ema = averaged(model, decay=0.3)
    expected, values = None, [1.0, 5.0, -2.0, 4.0, 4.0]
    for n, value in enumerate(values):
        nn.init.constant_(model.weight, value)
        model.running_mean.fill_(-value)
        model.num_batches_tracked.fill_(n)
        ema.update_parameters(model)
        keep = min(0.3, (1 + n) / (10 + n))
        expected = value if expected is None else keep * expected + (1 - keep) * value
    assert ema.module.weight.item() == pytest.approx(expected)
    assert ema.module.running_mean.item() == pytest.approx(-expected)
    assert ema.module.num_batches_tracked.item() == len(values) - 1
