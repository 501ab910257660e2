"""SqueezeNet for Keras: networks, weights, and the smallest files of them."""

from keras_squeezenet.utils import extras

__version__ = "0.1.0"

# Names are imported on first use, so that the command line answers at once.
__getattr__, __dir__, __all__ = extras.attach_stub(__name__, __file__)
