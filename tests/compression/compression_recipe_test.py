import dataclasses
import json

import pytest

from keras_squeezenet import architecture
from keras_squeezenet.compression import RECIPES
from keras_squeezenet.compression import Recipe
from keras_squeezenet.compression import allocation
from keras_squeezenet.compression import compression_recipe
from keras_squeezenet.utils import recipe_fields


@pytest.mark.parametrize(
    "field, value, expected",
    [
        ("target_macs", 1, "below 1"),
        ("target_macs", 0.0, "greater than 0"),
        ("target_latency", 0.0, "greater than 0"),
        ("latency_runtime", "tflite", "one of 'litert'"),
        ("stages", ("prune", "shrink"), "some of 'prune_filters'"),
        ("stages", ("prune", "prune"), "each once"),
        ("densities", {"*": 0.0}, "greater than 0 and at most 1"),
        ("densities", {"conv1": 1, "*": 1.01}, "at most 1"),
        ("densities", {}, "a dict of patterns"),
        ("densities", {"*": "few"}, "a share of weights"),
        ("bits", {"*": 1}, "from 2 to 8"),
        ("bits", {"*": 4.5}, "an integer from 2 to 8"),
        ("average_bits", 3.9, "from 4 to 8"),
        ("prune_epochs", 0, "greater than 0"),
        ("quantize_epochs", -1, "at least 0"),
        ("max_train_steps", 0, "at least 1, or `None`"),
        ("finetune_learning_rate", -1.0, "greater than 0"),
        ("prune_pattern", "4:8", "one of None, '2:4'"),
        ("keep_frozen", "yes", "true or false"),
    ],
)
def test_value_out_of_range_is_named(field, value, expected):
    with pytest.raises(
        ValueError, match=f"`{field}` must be .*{expected}.*{field}="
    ):
        Recipe(**{field: value})


@pytest.mark.parametrize(
    "stages, order",
    [
        (("quantize", "prune"), "prune, quantize"),
        (("cluster", "prune"), "prune, cluster"),
        (("densify",), "prune, densify"),
        (("prune", "cluster", "densify"), "prune, densify, cluster"),
        (("pack", "prune"), "prune, pack"),
    ],
)
def test_stage_that_undoes_another_is_refused_with_the_order(stages, order):
    with pytest.raises(
        ValueError,
        match="prune, densify .*, cluster, quantize, pack. Received: stages="
        f"{', '.join(stages)}. Use {order}$",
    ):
        Recipe(stages=stages)


def test_packing_is_instead_of_weight_sharing():
    Recipe(stages=("prune", "densify", "quantize", "pack"))
    with pytest.raises(ValueError, match="cluster or pack, not both"):
        Recipe(stages=("prune", "cluster", "pack"))
    with pytest.raises(ValueError, match="not both. Received: target_bytes=9"):
        Recipe(target_bytes=9, max_kl=0.1)


def test_recipes_for_small_files_end_in_packing():
    packed = [
        name for name, recipe in RECIPES.items() if recipe.stages[-1] == "pack"
    ]
    assert packed == ["default", "fast", "small", "smallest"]


def test_target_or_bound_replaces_that_of_the_recipe():
    packed = Recipe(max_kl=0.1).replace(target_bytes=9)
    assert (packed.target_bytes, packed.max_kl) == (9, None)
    assert packed.replace(seed=1).target_bytes == 9
    smaller = Recipe(stages=("prune_filters",), target_macs=0.5).replace(
        target_latency=1.5
    )
    assert (smaller.target_macs, smaller.target_latency) == (None, 1.5)
    with pytest.raises(ValueError, match="not both"):
        packed.replace(target_bytes=9, max_kl=0.1)


@pytest.mark.parametrize("name", ["accurate", "paper"])
def test_recipe_of_larger_files_shares_weights(name):
    assert RECIPES[name].stages == ("prune", "cluster", "quantize")
    assert RECIPES[name].bits == {"*": 6}


def test_fields_of_stages_are_fields_of_recipes():
    fields = compression_recipe.FIELDS_OF_STAGES
    assert tuple(fields) == compression_recipe.STAGES
    names = [name for stage in fields for name in fields[stage]]
    assert len(names) == len({*names})
    assert {*names} < {field.name for field in dataclasses.fields(Recipe)}


def test_bounds_of_the_ranges_are_in_them():
    Recipe(densities={"*": 1}, bits={"*": 2})
    Recipe(bits={"*": 8}, average_bits=4, quantize_epochs=0, stages=())


@pytest.mark.parametrize(
    "epochs,maximum,expected",
    [(3, None, 30), (0.25, None, 2), (0.01, None, 1), (3, 12, 12), (1, 12, 10)]
    + [(0, 12, 0)],
)
def test_steps_of_a_stage_are_bounded(epochs, maximum, expected):
    recipe = Recipe(max_train_steps=maximum)
    assert recipe.steps(epochs, epoch_steps=10) == expected


@pytest.mark.parametrize("suffix", [".json", ".yaml", ".yml"])
def test_recipe_is_read_from_a_file(suffix, tmp_path):
    path = tmp_path / f"mine{suffix}"
    # JSON is YAML too.
    path.write_text(json.dumps({"stages": ["prune"], "bits": {"*": 5}}))
    assert recipe_fields.load(Recipe, path) == Recipe(
        stages=("prune",), bits={"*": 5}
    )


def test_every_field_comes_back_from_a_file(tmp_path):
    path = tmp_path / "all.json"
    path.write_text(json.dumps(dataclasses.asdict(RECIPES["paper"])))
    assert recipe_fields.load(Recipe, path) == RECIPES["paper"]


@pytest.mark.parametrize(
    "name,text,expected",
    [
        ("a.json", "{", "a.json cannot be read: Expecting"),
        ("a.yaml", "bits: [", "a.yaml cannot be read: while parsing"),
        ("a.yaml", "- bits", "fields of a recipe.*Received: list"),
        ("a.json", '{"bit": 4}', "Received: bit. Did you mean 'bits'"),
        ("a.json", '{"bits": 4}', "a.json: `bits` must be a dict"),
        (
            "a.json",
            '{"batch_size": "x"}',
            "a.json: `batch_size` must be an integer",
        ),
        ("a.txt", "", r"a file in .json, .yaml, .yml. Received: .*a.txt"),
    ],
)
def test_file_that_is_not_a_recipe_is_refused(name, text, expected, tmp_path):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ValueError, match=expected):
        recipe_fields.load(Recipe, path)


def test_yaml_makes_nothing_but_data(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("seed: !!python/object/apply:os.getpid []")
    with pytest.raises(ValueError, match="cannot be read"):
        recipe_fields.load(Recipe, path)


def test_table_1_leaves_the_weights_that_the_paper_counts():
    convolutions = architecture.convolutions(architecture.VARIANTS["1.0"])
    densities = allocation.match(
        compression_recipe.TABLE_1, [layer.name for layer in convolutions]
    )
    kept = sum(
        densities[layer.name] * layer.kernel_parameters + layer.filters
        for layer in convolutions
    )
    # 421,098 in the paper, which rounds layer by layer.
    assert kept == pytest.approx(421_098, rel=2e-3)
    assert densities["conv1"] == densities["fire2_squeeze1x1"] == 1
    assert densities["fire8_expand3x3"] == 0.30
    assert densities["conv10"] == 0.20


def test_only_one_target_of_filter_pruning_may_be_set():
    stages = ("prune_filters",)
    with pytest.raises(ValueError, match="only one of target_macs, .*=0.5, "):
        Recipe(stages=stages, target_macs=0.5, target_latency=2.0)
    with pytest.raises(ValueError, match="needs the stage 'prune_filters'"):
        Recipe(target_parameters=0.5)
    assert Recipe(stages=stages, target_macs=0.5).target_macs == 0.5
