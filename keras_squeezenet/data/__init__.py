"""Image classification data sets, by name or from a folder, as `tf.data`."""

from keras_squeezenet.utils import extras

__getattr__, __dir__, __all__ = extras.attach_stub(__name__, __file__)
