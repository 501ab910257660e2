"""Compression with TF-MOT: pruning, clustering, quantization-aware training."""

from keras_squeezenet.utils import extras

__getattr__, __dir__, __all__ = extras.attach_stub(__name__, __file__)
