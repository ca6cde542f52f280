"""The spec's boundary: text and YAML in, a frozen value out, every mistake named."""

import pytest
import yaml

from search_spaces import UserError
from studies.spec import Spec, override, parse, read_setting, seconds


def test_defaults_make_a_spec():
    assert parse({}) == Spec()


def test_round_trip_through_yaml_with_what_a_run_records():
    spec = parse({"space": {"name": "v1"}, "search": {"constraints": ["params<=5e6"], "objectives": ["top1", "macs"]}})
    recorded = {"command": "...", "resumed": ["then"], "environment": {"torch": "2"}, "created": "now", "space_size": 1}
    assert parse(yaml.safe_load(yaml.safe_dump(_plain(recorded | spec.to_dict())))) == spec


def test_a_spec_recorded_before_a_field_came_takes_its_default():
    old = {"search": {"sampler": "nsga2", "trials": 16, "population": 8, "lag": 2}, "resources": {"gpus": 0, "cpus": 2}}
    spec = parse(old)
    assert (spec.search.trials, spec.search.budget, spec.search.early_stop, spec.search.repeats) == (
        16,
        None,
        "none",
        1,
    )
    assert (spec.confirm.networks, spec.resources.address, spec.resources.retries) == (0, None, 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2h", 7200),
        ("90m", 5400),
        ("1h30m", 5400),
        ("45s", 45),
        ("1h1m1s", 3661),
        ("0.5h", 1800),
        ("90", 90),
        (1.5, 1.5),
    ],
)
def test_a_budget_is_a_time(text, expected):
    assert seconds(text) == expected
    assert parse({"search": {"budget": text}}).search.budget_s == expected


@pytest.mark.parametrize("text", ["", "h", "2 hours", "-1", "0", "0s", "1.2.3h", "30m1h", "nan", "inf", float("inf")])
def test_a_budget_that_is_no_time(text):
    with pytest.raises(UserError, match=r"^search.budget: .* is not a time > 0, such as 2h, 90m, 1h30m"):
        parse({"search": {"budget": text}})


def test_constraints_limit_any_metric_but_no_reward():
    texts = ["top1>=80", "step_time_s<=0.5", "peak_memory_mb<=500", "latency_ms<=8", "val_loss<=1.5"]
    spec = parse({"search": {"constraints": texts, "objectives": ["mnasnet:8"]}})
    assert [str(limit) for limit in spec.constraints] == texts
    with pytest.raises(UserError, match="unknown metric 'v2' in 'v2>=70', allowed are top1, val_loss, latency_ms"):
        parse({"search": {"constraints": ["v2>=70"]}})


def test_settings_override_section_fields_and_the_seed():
    settings = dict(
        map(read_setting, ["train.optimizer=sgd", "seed=7", "search.objectives=[top1, macs]", "train.amp=no"])
    )
    spec = parse(override({"train": {"epochs": 2}}, settings))
    assert (spec.train.optimizer, spec.train.epochs, spec.seed, spec.train.amp) == ("sgd", 2, 7, False)
    assert spec.search.objectives == ("top1", "macs")


def test_override_leaves_its_input_alone():
    data = {"train": {"epochs": 2}}
    override(data, {"train.epochs": 3})
    assert data == {"train": {"epochs": 2}}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"search": {"sampler": "grid"}}, ["search.sampler", "grid", "evolution", "predictor"]),
        ({"search": {"reduction": 1}}, ["search.reduction", "1", "greater than or equal to 2"]),
        ({"search": {"budget": [1]}}, ["search.budget", "[1]"]),
        ({"confirm": {"seeds": 0}}, ["confirm.seeds", "0"]),
        ({"resources": {"retries": -1}}, ["resources.retries", "-1"]),
        ({"search": {"trials": 0}}, ["search.trials", "0", "greater than or equal to 1"]),
        ({"train": {"optimizer": "adam"}}, ["train.optimizer", "adam", "rmsprop"]),
        ({"train": {"epochs": "many"}}, ["train.epochs", "many", "integer"]),
        ({"train": {"epochz": 1}}, ["train.epochz", "epochs"]),
        ({"trian": {}}, ["trian", "train"]),
        ({"data": {"val_fraction": 1.0}}, ["data.val_fraction", "1.0", "less than 1"]),
        ({"data": {"resolution": 4}}, ["data.resolution", "4"]),
        ({"resources": {"gpus": -1}}, ["resources.gpus", "-1"]),
        ({"search": {"objectives": ["speed"]}}, ["objectives", "speed", "latency_ms"]),
        ({"search": {"objectives": []}}, ["objectives"]),
        ({"search": {"constraints": ["latency<=8"]}}, ["constraint", "latency", "latency_ms"]),
        ({"search": {"constraints": ["latency_ms=8"]}}, ["constraint", "latency_ms=8", "METRIC<=NUMBER"]),
        ({"space": "v2"}, ["space", "v2", "mapping"]),
        ({"seed": "x"}, ["seed", "x"]),
        ({"seed": -1}, ["seed", "-1"]),
        ({"train": {"batch_size": 1}}, ["train.batch_size", "1"]),
        ({"train": {"learning_rate": float("inf")}}, ["train.learning_rate", "inf"]),
        ({"latency": {"max_s": float("nan")}}, ["latency.max_s", "nan"]),
        ({"search": {"constraints": ["latency_ms<=-5"]}}, ["constraint", "-5"]),
        ({"search": {"objectives": "top1"}}, ["search.objectives", "top1", "list"]),
        ({"resources": {"gpus_per_trial": 1.5}}, ["gpus_per_trial", "1.5"]),
    ],
)
def test_mistakes_are_named_in_one_line(data, words):
    with pytest.raises(UserError) as caught:
        parse(data)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("text", ["train.epochs", "=3", "train.epochs=[1"])
def test_setting_of_the_wrong_form(text):
    with pytest.raises(UserError, match="--set"):
        read_setting(text)


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def test_a_spec_of_an_earlier_version_keeps_how_it_measured():
    latency = {"batch_size": 1, "warmup_s": 0.3, "sample_s": 0.7, "min_calls": 50}
    kept = parse({"command": "python -m nas.search", "latency": latency}).latency
    assert (kept.mode, kept.dtype, kept.warmup_s) == ("eager", "float32", 0.3)
    with pytest.raises(UserError, match=r"latency.sample_s: unknown field"):
        parse({"latency": latency})


def test_a_run_of_before_there_were_test_images_keeps_its_split():
    before = {"command": "python -m nas.search", "data": {"source": "digits"}}
    assert parse(before).data.test_fraction == 0
    assert parse({"data": {"source": "digits"}}).data.test_fraction == 0.1
    assert parse(before | {"data": {"test_fraction": 0.2}}).data.test_fraction == 0.2
