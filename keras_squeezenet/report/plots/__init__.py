"""The plots of a report, as matplotlib figures.

The same report gives the same plots, and pyplot's state is not used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
