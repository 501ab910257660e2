"""Packing: post-training rate-distortion quantization to a .sqz file."""

from keras_squeezenet.utils import extras

__getattr__, __dir__, __all__ = extras.attach_stub(__name__, __file__)
