"""Files, checkpoints, recipes and progress, for the whole package."""
