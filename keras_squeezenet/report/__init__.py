"""The report of a compression as JSON, Markdown and HTML.

`report.json` has every measurement (see `schema.json`), `report.md` the tables,
and `report.html` the tables and plots in one self-contained file.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
