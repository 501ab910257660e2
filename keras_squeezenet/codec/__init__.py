"""The smallest file of a network: entropy-coded weights, out and in.

`save` and `load` know models; all else here knows arrays only.
"""

from keras_squeezenet.codec.models import IMAGENET as IMAGENET
from keras_squeezenet.codec.models import dump as dump
from keras_squeezenet.codec.models import load as load
from keras_squeezenet.codec.models import read_labels as read_labels
from keras_squeezenet.codec.models import save as save
