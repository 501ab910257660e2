"""The design space of the paper (section 5): grids and sweeps."""

from keras_squeezenet.utils import extras

__getattr__, __dir__, __all__ = extras.attach_stub(__name__, __file__)
