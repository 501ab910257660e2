"""The stages of the pipeline, one class in each file."""

import importlib

# The class of each stage, by its module, which is its name in a recipe.
STAGES = {
    "prune": "Prune",
    "densify": "Densify",
    "cluster": "Cluster",
    "quantize": "Quantize",
}


def find(kind: str) -> type:
    """Return the class of a stage by its name in a recipe."""
    return getattr(importlib.import_module(f"{__name__}.{kind}"), STAGES[kind])
