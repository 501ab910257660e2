import numpy as np
import pytest

from keras_squeezenet import SqueezeNet
from keras_squeezenet.compression import RECIPES
from keras_squeezenet.compression import Recipe
from keras_squeezenet.compression import stages
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression.compression_recipe import STAGES


def scan_of(model):
    """A scan in which conv10 is all that matters."""
    points = (0.75, 0.5, 0.33, 0.2, 0.1, 0.05)
    return {
        "images": 1,
        "accuracy": 1.0,
        "layers": [
            {
                "name": name,
                "weights": kernel.size,
                "densities": [
                    {
                        "density": density,
                        "accuracy": 1.0,
                        "kl": (1 - density) * (100 if name == "conv10" else 1),
                    }
                    for density in points
                ],
                "bits": [
                    {
                        "bits": bits,
                        "accuracy": 1.0,
                        "kl": 2.0**-bits * (1e6 if name == "conv10" else 1),
                    }
                    for bits in (8, 6, 5, 4)
                ],
            }
            for name, kernel in tf_keras_twin.kernels(model).items()
        ],
    }


def overall(model, densities):
    kernels = tf_keras_twin.kernels(model)
    return sum(
        densities[name] * kernel.size for name, kernel in kernels.items()
    ) / sum(kernel.size for kernel in kernels.values())


def test_paper_recipe_gives_table_1_of_v1_0():
    model = SqueezeNet(weights=None, config="1.0")
    densities = stages.densities(model, RECIPES["paper"])
    assert densities["conv1"] == 1
    assert densities["fire2_expand3x3"] == 0.33
    assert densities["fire8_expand3x3"] == 0.30
    assert densities["fire9_squeeze1x1"] == 0.50
    assert densities["conv10"] == 0.20
    # "33%"; table 1 has 421,098 parameters left of 1,248,424.
    assert overall(model, densities) == pytest.approx(0.335, abs=0.002)
    assert set(stages.codebooks(model, RECIPES["paper"]).values()) == {64}


def test_paper_recipe_is_33_percent_with_few_classes_too(make_model):
    model = make_model()
    densities = stages.densities(model, RECIPES["paper"])
    assert overall(model, densities) == pytest.approx(0.336, abs=0.002)
    assert densities["conv1"] == 1


@pytest.mark.parametrize("split", ["threshold", "proportional", "sensitivity"])
def test_overall_density_is_reached_and_dense_layers_stay(split, make_model):
    model = make_model()
    recipe = Recipe(
        densities={"conv1": 1, "*": 0.5},
        overall_density=0.3,
        density_split=split,
    )
    densities = stages.densities(model, recipe, scan_of(model))
    assert densities["conv1"] == 1
    assert overall(model, densities) == pytest.approx(0.3, abs=0.005)
    assert (split == "sensitivity") == (densities["conv10"] > 0.7)


def test_bits_by_the_scan_go_to_the_layer_that_matters(make_model):
    model = make_model()
    recipe = Recipe(average_bits=4.5)
    sizes = stages.codebooks(model, recipe, scan_of(model))
    assert sizes["conv10"] == 256
    assert min(sizes.values()) == 16


def test_pattern_leaves_alone_what_has_no_groups(make_model):
    model = make_model()
    recipe = Recipe(prune_pattern="2:4", densities={"fire2_*": 1, "*": 0.5})
    densities = stages.densities(model, recipe)
    assert set(densities.values()) == {0.5}
    assert "conv1" not in densities  # three input channels
    assert not any(name.startswith("fire2_") for name in densities)


def test_frozen_layers_have_no_target(make_model):
    model = make_model()
    model.get_layer("fire2_squeeze1x1").trainable = False
    assert "fire2_squeeze1x1" in stages.densities(model, Recipe())
    frozen = Recipe(keep_frozen=True)
    assert "fire2_squeeze1x1" not in stages.densities(model, frozen)
    assert "fire2_squeeze1x1" not in stages.codebooks(model, frozen)


@pytest.mark.parametrize("kind", STAGES)
def test_first_attempt_is_the_recipe_as_it_is(kind):
    recipe = RECIPES["paper"]
    assert stages.gentler(recipe, kind, 0) == recipe


def test_each_attempt_asks_less():
    recipe = Recipe(
        densities={"conv1": 1, "*": 0.2}, bits={"conv10": 8, "*": 4}
    )
    pruned = [
        stages.gentler(recipe, "prune", attempt).densities
        for attempt in range(3)
    ]
    assert [rules["conv1"] for rules in pruned] == [1, 1, 1]
    # A quarter of the zeros is given back each time.
    np.testing.assert_allclose(
        [rules["*"] for rules in pruned], [0.2, 0.4, 0.55]
    )
    assert stages.gentler(recipe, "cluster", 2).bits == {"conv10": 8, "*": 6}
    quantize = stages.gentler(recipe, "quantize", 2)
    assert quantize.finetune_learning_rate == recipe.finetune_learning_rate / 4
    overall_density = Recipe(overall_density=0.2, average_bits=4)
    assert stages.gentler(
        overall_density, "prune", 1
    ).overall_density == pytest.approx(0.4)
    assert stages.gentler(overall_density, "cluster", 9).average_bits == 8


def test_what_has_no_gentler_way_is_not_tried_again():
    assert stages.can_be_gentler(Recipe(), "prune")
    assert not stages.can_be_gentler(Recipe(prune_pattern="2:4"), "prune")
    assert not stages.can_be_gentler(Recipe(), "train")


def test_scan_is_made_only_where_a_target_needs_it():
    assert not stages.needs_sensitivity(Recipe(), "prune")
    by_scan = Recipe(density_split="sensitivity", overall_density=0.3)
    assert stages.needs_sensitivity(by_scan, "prune")
    assert not stages.needs_sensitivity(by_scan, "cluster")
    assert stages.needs_sensitivity(Recipe(average_bits=5), "cluster")
