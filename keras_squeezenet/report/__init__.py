"""The report of a compression: JSON for programs, pages for people.

report.json   every measurement, described by `schema.json`
report.md     the tables
report.html   the tables and plots, in one self-contained file
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
