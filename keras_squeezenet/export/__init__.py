"""Export: SavedModel and LiteRT files, which run without this package."""
