from .bounds import Bound as Bound
from .curve import Point as Point
from .pack_network import pack as pack
from .pack_result import PackResult as PackResult
from .packer import Packer as Packer
