from .grids import GRIDS as GRIDS
from .grids import points as points
from .grids import sizes as sizes
from .sweep import explore as explore
