"""Recipes as named data: what they set, and who overrides them."""

import pytest

from nas.flags import read_spec
from nas.search import parser
from search_spaces import UserError
from studies import recipes
from studies.spec import Spec, parse
from studies.train_spec import TrainSpec


def spec_of(*argv):
    return read_spec(vars(parser().parse_args(argv))).train


def test_short_is_what_nobody_asked_for():
    assert parse({"train": {"recipe": "short"}}) == parse({}) == Spec()


@pytest.mark.parametrize("name", [name for name in recipes.NAMES if name != "finetune"])
def test_every_recipe_is_a_spec(name):
    train = parse({"train": {"recipe": name}}).train
    assert train.recipe == name
    for field, value in recipes.load(name).items():
        assert getattr(train, field) == value


def test_flags_override_the_recipe_which_overrides_defaults(tmp_path):
    train = spec_of("--recipe", "v2", "--epochs", "7", "--set", "train.optimizer=sgd", "--seconds-per-trial", "30")
    assert (train.recipe, train.epochs, train.optimizer, train.policy) == ("v2", 7, "sgd", "randaugment")
    assert (train.seconds, train.ema, train.stages) == (30, 0.9999, 4)
    file = tmp_path / "spec.yaml"
    file.write_text("train: {recipe: v2, ema: 0.5}")
    assert (spec_of("--spec", str(file)).ema, spec_of("--spec", str(file)).stages) == (0.5, 4)
    assert spec_of("--spec", str(file), "--recipe", "v1").policy == "autoaugment"


def test_a_recipe_of_ones_own(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("optimizer: sgd\nlearning_rate: 0.1\n")
    train = spec_of("--recipe", str(file))
    assert (train.optimizer, train.learning_rate, train.recipe) == ("sgd", 0.1, str(file))
    whole = parse({"train": {"recipe": str(file)}}).to_dict()
    file.unlink()
    assert parse(whole).train == train, "a run's spec needs the file no more"


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({"recipe": "v3"}, "train.recipe: 'v3' is none of short, v1, v2, finetune, nor a .yaml file"),
        ({"recipe": "none.yaml"}, "none.yaml: cannot be read"),
        ({"recipe": 3}, "train.recipe: 3 is none of"),
        ({"norm": "frozen"}, "train.norm: 'frozen' keeps the statistics of train.weights"),
        ({"recipe": "finetune"}, "train.norm: 'frozen' keeps the statistics of train.weights"),
        ({"frozen": 0.5}, "train.frozen: 0.5 without train.weights"),
        ({"from_size": 0.5}, "train.from_size: 0.5 is for train.stages of at least 2"),
        ({"recipe": "v2", "epochs": 3}, "train.stages: 4 is more than train.epochs 3"),
        ({"seconds": 0}, "train.seconds: 0 is wrong"),
        ({"amp": "int8"}, "train.amp: 'int8' is wrong: input should be true, false, 'bfloat16' or 'float16'"),
    ],
)
def test_mistakes_are_named(train, message):
    with pytest.raises(UserError) as error:
        parse({"train": train})
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_unknown_fields_of_a_recipe_are_named(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("learning_speed: 0.1\n")
    with pytest.raises(UserError, match=r"mine.yaml: learning_speed: unknown field, did you mean learning_rate"):
        parse({"train": {"recipe": str(file)}})


def test_seconds_and_asha_do_not_go_together():
    with pytest.raises(UserError, match=r"does not go with train.seconds"):
        parse({"train": {"seconds": 9}, "search": {"early_stop": "asha"}})


def test_runs_of_earlier_versions_shifted_or_not():
    old = {"train": {"augment": True, "epochs": 2}, "command": "python -m nas.search"}
    assert parse(old).train == TrainSpec(epochs=2, crop="shift")
    assert parse(old | {"train": {"augment": False}}).train.crop == "none"
