"""The stages of the pipeline, one class in each file."""

import importlib

# The names of the stages in a recipe, which are those of their modules.
STAGES = ("prune_filters", "prune", "densify", "cluster", "quantize", "pack")


def find(kind: str) -> type:
    """Return the class of a stage by its name in a recipe."""
    module = importlib.import_module(f"{__name__}.{kind}")
    return getattr(module, kind.title().replace("_", ""))
