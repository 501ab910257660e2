"""Export: SavedModel and LiteRT files, which run without this package."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
