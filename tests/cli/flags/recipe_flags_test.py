import dataclasses

import pytest

from keras_squeezenet import compression
from keras_squeezenet import training
from keras_squeezenet.cli.flags import command_flags
from keras_squeezenet.cli.flags import recipe_flags
from keras_squeezenet.cli.flags import recipe_help

# No value is a default.
TRAINING = training.Recipe(
    epochs=7,
    batch_size=16,
    accumulation=2,
    max_train_steps=15,
    seed=18,
    validation_share=0.25,
    optimizer="sgd",
    momentum=0.5,
    learning_rate=0.25,
    schedule="linear",
    warmup=0.2,
    clip_norm=2.0,
    restarts=1,
    weight_decay=0.125,
    label_smoothing=0.2,
    focal=2.0,
    class_weight={"rose": 2.0, "a:b": 0.5},
    distillation=0.25,
    temperature=2.0,
    augmentation="crop",
    rand_augment=0.3,
    mixup=0.4,
    cutmix=0.6,
    average=0.5,
    patience=3,
    precision="mixed_bfloat16",
)
COMPRESSION = compression.Recipe(
    stages=("prune_filters", "prune", "quantize"),
    image_size=96,
    batch_size=16,
    max_train_steps=15,
    seed=18,
    augmentation="flip_crop",
    validation_share=0.25,
    finetune_learning_rate=0.125,
    target_macs=0.5,
    latency_runtime="onnx",
    latency_threads=2,
    prune_filters_epochs=4,
    prune_epochs=12,
    prune_schedule="iterative",
    prune_rounds=3,
    prune_pattern="2:4",
    densities={"conv1": 0.5, "*": 0.75},
    overall_density=0.5,
    density_split="sensitivity",
    densify_epochs=16,
    cluster_epochs=13,
    bits={"conv10": 8, "*": 5},
    average_bits=4.5,
    cluster_initialization="linear",
    quantize_epochs=14,
    quantize_preserve="sparsity",
    label_smoothing=0.2,
    focal=2.0,
    class_weight={"rose": 2.0, "a:b": 0.5},
    distillation=0.25,
    temperature=2.0,
    target_bytes=1000,
    pack_epochs=1.5,
    keep_frozen=True,
    max_accuracy_drop=1.5,
    max_retries=7,
    sensitivity_images=99,
    litert=("int8", "int16x8"),
)
# Each excludes a field above.
OTHER_TARGETS = {"target_parameters": 0.5, "target_latency": 1.5, "max_kl": 0.1}
KINDS = {
    "training": (training.RECIPES, recipe_help.TRAINING, TRAINING),
    "compression": (compression.RECIPES, recipe_help.COMPRESSION, COMPRESSION),
}


@pytest.fixture
def parse():
    """Return a function from a kind and arguments to a recipe."""

    def parse(kind, *arguments):
        recipes, groups, _ = KINDS[kind]
        values = command_flags.CommandFlags()
        recipe_flags.define(values, recipes, groups)
        values.parse(list(arguments))
        return recipe_flags.make(values, recipes)

    return parse


def as_argument(name, value):
    if isinstance(value, dict):
        value = ",".join(f"{key}:{number}" for key, number in value.items())
    elif isinstance(value, tuple):
        value = ",".join(value)
    return f"--{name}={value}"


@pytest.mark.parametrize("kind", KINDS)
def test_default_flags_are_the_default_recipe(kind, parse):
    assert parse(kind) == KINDS[kind][0]["default"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_a_recipe_is_a_flag(kind, parse):
    recipes, groups, recipe = KINDS[kind]
    default = dataclasses.asdict(recipes["default"])
    explained = [name for fields in groups.values() for name in fields]
    assert sorted(explained) == sorted(default)
    values = {
        name: value
        for name, value in dataclasses.asdict(recipe).items()
        if name not in OTHER_TARGETS
    }
    for name, value in values.items():
        assert value != default[name], name
    arguments = [as_argument(name, value) for name, value in values.items()]
    assert parse(kind, *arguments) == recipe


@pytest.mark.parametrize("name, value", OTHER_TARGETS.items())
def test_every_target_is_a_flag(name, value, parse):
    found = parse("compression", "--stages=prune_filters", f"--{name}={value}")
    assert getattr(found, name) == value


@pytest.mark.parametrize("kind", KINDS)
def test_recipe_by_name_is_changed_by_flags(kind, parse):
    arguments = ("--recipe=paper", "--batch_size=64", "--augmentation=none")
    assert parse(kind, *arguments) == KINDS[kind][0]["paper"].replace(
        batch_size=64, augmentation=None
    )


def test_recipe_from_a_file_is_changed_by_flags(parse, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("prune_epochs: 7\nbits: {conv10: 8, '*': 5}\n")
    assert parse("compression", f"--recipe={path}", "--prune_epochs=8") == (
        compression.Recipe(prune_epochs=8, bits={"conv10": 8, "*": 5})
    )
    path.write_text("epochs: 3\nmixup: 0.5\n")
    assert parse("training", f"--recipe={path}") == (
        training.Recipe(epochs=3, mixup=0.5)
    )
    path.write_text("epoch: 3\n")
    with pytest.raises(ValueError, match="mine.yaml .*Received: epoch"):
        parse("training", f"--recipe={path}")


@pytest.mark.parametrize(
    "name,hint",
    [("smal", r" Did you mean 'small'\?"), ("zzz", "")],
)
def test_unknown_recipe_is_refused(name, hint, parse):
    with pytest.raises(
        ValueError,
        match=rf"--recipe must be one of default, paper, .*--recipe={name}"
        rf"\.{hint}$",
    ):
        parse("compression", f"--recipe={name}")


def test_number_alone_is_for_all_layers(parse):
    assert parse("compression", "--bits=5").bits == {"*": 5}
    recipe = parse("compression", "--densities=conv1:1,0.5")
    assert recipe.densities == {"conv1": 1, "*": 0.5}


@pytest.mark.parametrize("value", ["conv1:x", "conv1", "1:2:a"])
def test_rule_that_cannot_be_read_is_refused(value, parse):
    with pytest.raises(
        ValueError, match=rf"conv1:1,\*:0.25. Received: {value}"
    ):
        parse("compression", f"--densities={value}")
    with pytest.raises(ValueError, match=r"conv1:1,\*:1. Received: x"):
        parse("compression", "--bits=x")


@pytest.mark.parametrize(
    "kind,flag",
    [
        ("training", "--epochs=0"),
        ("compression", "--overall_density=2"),
        ("compression", "--bits=1"),
        ("compression", "--stages=train"),
    ],
)
def test_value_out_of_range_is_refused(kind, flag, parse):
    name, _, _ = flag.strip("-").partition("=")
    with pytest.raises(ValueError, match=f"`{name}` .* be .*{name}="):
        parse(kind, flag)


@pytest.mark.parametrize(
    "kind,flag,expected",
    [
        ("training", "--optimizer=adam", "one of adamw, sgd"),
        ("training", "--augmentation=x", "one of flip_crop, crop, none"),
        ("training", "--epochs=many", "an integer"),
        ("training", "--mixup=half", "a number"),
        ("compression", "--keep_frozen=x", "true or false"),
    ],
)
def test_value_of_a_wrong_type_is_refused(kind, flag, expected, parse):
    name, _, _ = flag.partition("=")
    with pytest.raises(
        ValueError, match=f"^{name} must be {expected}. Received: {flag}$"
    ):
        parse(kind, flag)


@pytest.mark.parametrize(
    "flag, twice",
    [
        ("densities=conv1:1,conv1:0.5,*:0.25", "conv1"),
        ("bits=4,6", r"\*"),
        ("class_weight=rose:2,tulip:1,rose:3", "rose"),
    ],
)
def test_name_with_two_values_is_refused(flag, twice, parse):
    name = flag.partition("=")[0]
    message = f"--{name} must have each name once. Received: {twice} twice"
    with pytest.raises(ValueError, match=message):
        parse("compression", f"--{flag}")


def test_classes_are_balanced_by_a_word(parse):
    recipe = parse("training", "--class_weight=balanced")
    assert recipe.class_weight == "balanced"


@pytest.mark.parametrize("value", ["even", "rose:many", "balanced,rose:2"])
def test_other_weights_of_classes_are_refused(value, parse):
    with pytest.raises(ValueError, match="rose:2,tulip:0.5. Received: --cl"):
        parse("compression", f"--class_weight={value}")


def test_help_names_the_defaults():
    recipes, groups, _ = KINDS["compression"]
    values = command_flags.CommandFlags()
    recipe_flags.define(values, recipes, groups)
    text = " ".join(values.help().split())
    assert "--densities=LIST share of" in text
    assert "(default: conv1:1,*_squeeze1x1:1,*:0.25)" in text
    assert "--keep_frozen leave layers" in text
    assert "--seed=N seed of every random number (default: 0)" in text
    assert "(default: prune,quantize,pack)" in text
    assert "--augmentation=flip_crop|crop|none" in text
