"""Deep Compression for SqueezeNet: pruning, weight sharing, 8-bit training."""

from keras_squeezenet.compression.guarantees import (
    GuaranteeError as GuaranteeError,
)
from keras_squeezenet.compression.pipeline import compress as compress
from keras_squeezenet.compression.recipe import Recipe as Recipe
