from .packer import Bound as Bound
from .packer import Packer as Packer
from .packer import PackResult as PackResult
from .packer import Point as Point
from .packer import pack as pack
