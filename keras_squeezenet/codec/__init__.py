"""The .sqz file: entropy-coded weights of a model."""

from keras_squeezenet.utils import extras

__getattr__, __dir__, __all__ = extras.attach_stub(__name__, __file__)
