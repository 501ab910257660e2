"""Post-training rate-distortion quantization: the smallest .sqz file."""

from keras_squeezenet.packing.packer import Bound as Bound
from keras_squeezenet.packing.packer import Packed as Packed
from keras_squeezenet.packing.packer import Packer as Packer
from keras_squeezenet.packing.packer import Point as Point
from keras_squeezenet.packing.packer import pack as pack
