from .packer import Bound as Bound
from .packer import Packed as Packed
from .packer import Packer as Packer
from .packer import Point as Point
from .packer import pack as pack
