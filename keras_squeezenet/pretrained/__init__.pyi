from .loader import Weights as Weights
from .loader import assign as assign
from .loader import fold as fold
from .loader import infer_network as infer_network
from .loader import load_weights as load_weights
from .loader import open_weights as open_weights
