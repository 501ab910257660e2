"""The stages of the pipeline, one class in each file."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras_squeezenet.compression.compression_recipe import Recipe

# The names of the stages in a recipe, which are those of their modules.
STAGES = ("prune_filters", "prune", "densify", "cluster", "quantize", "pack")


def of(recipe: "Recipe") -> list[type]:
    """Return the classes of the stages of a recipe, in their order."""
    return [find(kind) for kind in recipe.stages]


def find(name: str) -> type:
    """Return the class in a module of this package."""
    module = importlib.import_module(f"{__name__}.{name}")
    return getattr(module, name.title().replace("_", ""))
