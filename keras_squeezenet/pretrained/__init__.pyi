from .loader import Weights as Weights
from .loader import fold as fold
from .loader import infer_network as infer_network
from .loader import open_weights as open_weights
