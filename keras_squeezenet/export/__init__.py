"""Files that run without this package: SavedModel and LiteRT."""
