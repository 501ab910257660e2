import numpy as np
import pytest
import quarters

from keras_squeezenet import SqueezeNet
from keras_squeezenet.compression import RECIPES
from keras_squeezenet.compression import Recipe
from keras_squeezenet.compression import checks
from keras_squeezenet.compression import stages
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression.stages.cluster import Cluster
from keras_squeezenet.compression.stages.densify import Densify
from keras_squeezenet.compression.stages.prune import Prune
from keras_squeezenet.compression.stages.quantize import Quantize
from keras_squeezenet.compression.stages.stage import Stage
from keras_squeezenet.utils.progress import Progress


def sizes(model):
    kernels = tf_keras_twin.kernels(model)
    return {name: kernel.size for name, kernel in kernels.items()}


def overall(model, densities):
    weights = sizes(model)
    kept = sum(densities[name] * size for name, size in weights.items())
    return kept / sum(weights.values())


def test_paper_recipe_gives_table_1_of_v1_0():
    model = SqueezeNet(weights=None, config="1.0")
    densities = Prune(model, RECIPES["paper"]).densities
    assert densities["conv1"] == 1
    assert densities["fire2_expand3x3"] == 0.33
    assert densities["fire8_expand3x3"] == 0.30
    assert densities["fire9_squeeze1x1"] == 0.50
    assert densities["conv10"] == 0.20
    # "33%"; table 1 has 421,098 parameters left of 1,248,424.
    assert overall(model, densities) == pytest.approx(0.335, abs=0.002)
    assert set(Cluster(model, RECIPES["paper"]).codebooks.values()) == {64}


def test_paper_recipe_is_33_percent_with_few_classes_too():
    model = quarters.make_squeezenet()
    densities = Prune(model, RECIPES["paper"]).densities
    assert overall(model, densities) == pytest.approx(0.336, abs=0.002)
    assert densities["conv1"] == 1


@pytest.mark.parametrize("split", ["threshold", "proportional", "sensitivity"])
def test_overall_density_is_reached_and_dense_layers_stay(split, make_scan):
    model = quarters.make_squeezenet()
    recipe = Recipe(
        densities={"conv1": 1, "*": 0.5},
        overall_density=0.3,
        density_split=split,
    )
    densities = Prune(
        model, recipe, make_scan(sizes(model), conv10=1e6)
    ).densities
    assert densities["conv1"] == 1
    assert overall(model, densities) == pytest.approx(0.3, abs=0.005)
    assert (split == "sensitivity") == (densities["conv10"] > 0.7)


def test_bits_by_the_scan_go_to_the_layer_that_matters(make_model, make_scan):
    model = make_model()
    recipe = Recipe(average_bits=4.5)
    scan = make_scan(sizes(model), conv10=1e6)
    codebooks = Cluster(model, recipe, scan).codebooks
    assert codebooks["conv10"] == 256
    assert min(codebooks.values()) == 16


def test_pattern_leaves_alone_what_has_no_groups(make_model):
    model = make_model()
    recipe = Recipe(prune_pattern="2:4", densities={"fire2_*": 1, "*": 0.5})
    densities = Prune(model, recipe).densities
    assert set(densities.values()) == {0.5}
    assert "conv1" not in densities  # three input channels
    assert not any(name.startswith("fire2_") for name in densities)


def test_layers_that_a_pattern_does_not_fit_are_named(make_model, caplog):
    caplog.set_level("INFO", "keras_squeezenet")
    model = make_model()
    recipe = Recipe(prune_pattern="2:4", densities={"*": 0.5})
    Prune(model, recipe).wrap(2, [])
    assert (
        "stay dense (1, such as 'conv1'): the pattern 2:4 does" in caplog.text
    )
    alone = recipe.replace(densities={"conv1": 0.5, "*": 1})
    with pytest.raises(
        checks.TargetError, match="4 input .* fit: conv1. Leave"
    ):
        Prune(model, alone)


@pytest.mark.parametrize("split", ["threshold", "proportional", "sensitivity"])
def test_density_out_of_reach_is_known_if_pruning_is_the_first_stage(
    split, make_model
):
    recipe = Recipe(
        stages=("prune",),
        densities={"conv10": 0.5, "*": 1},
        overall_density=0.05,
        density_split=split,
    )
    with pytest.raises(checks.TargetError, match="density must be at least"):
        Prune.require_possible(make_model(), recipe, Progress())
    later = recipe.replace(stages=("prune_filters", "prune"))
    Prune.require_possible(make_model(), later, Progress())


def test_frozen_layers_have_no_target(make_model):
    model = make_model()
    model.get_layer("fire2_squeeze1x1").trainable = False
    assert "fire2_squeeze1x1" in Prune(model, Recipe()).densities
    frozen = Recipe(keep_frozen=True)
    assert "fire2_squeeze1x1" not in Prune(model, frozen).densities
    assert "fire2_squeeze1x1" not in Cluster(model, frozen).codebooks


def test_each_attempt_asks_less():
    recipe = Recipe(
        densities={"conv1": 1, "*": 0.2}, bits={"conv10": 8, "*": 4}
    )
    pruned = [Prune.relax(recipe, attempt).densities for attempt in (1, 2)]
    assert [rules["conv1"] for rules in pruned] == [1, 1]
    # Each attempt restores a quarter of the zeros.
    np.testing.assert_allclose([rules["*"] for rules in pruned], [0.4, 0.55])
    assert Cluster.relax(recipe, 2).bits == {"conv10": 8, "*": 6}
    for stage in (Quantize, Densify):
        relaxed = stage.relax(recipe, 2)
        rate = recipe.finetune_learning_rate / 4
        assert relaxed == recipe.replace(finetune_learning_rate=rate)
    overall_density = Recipe(overall_density=0.2, average_bits=4)
    assert Prune.relax(overall_density, 1).overall_density == pytest.approx(0.4)
    assert Cluster.relax(overall_density, 9).average_bits == 8


def test_pattern_cannot_be_relaxed():
    assert Prune.can_relax(Recipe())
    assert not Prune.can_relax(Recipe(prune_pattern="2:4"))


def test_scan_is_made_only_where_a_target_needs_it():
    assert not Prune.needs_scan(Recipe())
    by_scan = Recipe(density_split="sensitivity", overall_density=0.3)
    assert Prune.needs_scan(by_scan)
    assert not Cluster.needs_scan(by_scan)
    assert Cluster.needs_scan(Recipe(average_bits=5))


@pytest.mark.parametrize("kind", stages.STAGES)
def test_stage_of_the_table_is_found_by_its_kind(kind):
    stage = stages.find(kind)
    assert issubclass(stage, Stage)
    assert stage.kind == kind


def test_rates_and_epochs_are_those_of_the_recipe(make_model):
    recipe = Recipe(finetune_learning_rate=0.1, densify_epochs=7)
    found = {
        stage.name: stage(make_model(), recipe)
        for stage in (Prune, Densify, Cluster, Quantize)
    }
    assert found["densified"].epochs == 7
    assert {name: stage.learning_rate for name, stage in found.items()} == {
        "pruned": 0.1,
        "densified": 0.05,
        "clustered": 0.05,
        "quantized": 0.02,
    }
