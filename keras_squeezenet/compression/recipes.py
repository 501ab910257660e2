"""The recipes that come with the package, by name.

Table 1 and table 2 are those of the SqueezeNet paper.
"""

from keras_squeezenet.compression.compression_recipe import Recipe

# Table 1, with 30% for fire8's expand3x3: with the printed 33% its number of
# parameters after pruning does not come out.
TABLE_1 = {
    "fire8_expand3x3": 0.30,
    "fire9_expand3x3": 0.30,
    "*_expand3x3": 0.33,
    "fire6_expand1x1": 0.50,
    "fire8_expand1x1": 0.50,
    "fire7_squeeze1x1": 0.50,
    "fire9_squeeze1x1": 0.50,
    "conv10": 0.20,
    "*": 1,
}

RECIPES = {
    "default": Recipe(),
    # Table 1's densities and 6 bits. Where they leave more than v1.0's 33.5%
    # of the weights, as with a few classes, they are scaled down to that.
    "paper": Recipe(
        prune_epochs=6,
        densities=TABLE_1,
        overall_density=0.336,
        density_split="proportional",
        bits={"*": 6},
        cluster_epochs=2,
    ),
    # No training behind the first: what an afternoon without a GPU allows.
    "fast": Recipe(
        prune_epochs=1,
        densities={"conv1": 1, "*_squeeze1x1": 1, "*": 0.5},
        bits={"*": 6},
        cluster_epochs=0.25,
        quantize_epochs=0,
    ),
    "accurate": Recipe(
        prune_epochs=8,
        densities={"conv1": 1, "*_squeeze1x1": 1, "*": 0.4},
        bits={"*": 6},
        cluster_epochs=2,
        quantize_epochs=2,
        max_accuracy_drop=1.0,
    ),
    "small": Recipe(
        prune_epochs=10,
        prune_schedule="iterative",
        densities={"conv1": 1, "*": 0.2},
        overall_density=0.15,
        density_split="sensitivity",
        cluster_epochs=3,
        quantize_epochs=2,
    ),
    # Dense-sparse-dense training (Han et al., 2017, arXiv:1607.04381): no
    # smaller in the end, but better.
    "dsd": Recipe(
        stages=("train", "prune", "densify"),
        prune_epochs=4,
        densities={"conv1": 1, "*": 0.5},
        densify_epochs=4,
    ),
}
