"""Deep Compression for SqueezeNet: pruning, weight sharing, 8-bit training."""

from keras_squeezenet.compression.checks import GuaranteeError as GuaranteeError
from keras_squeezenet.compression.compression_recipe import Recipe as Recipe
from keras_squeezenet.compression.pipeline import IGNORED_FILES as IGNORED_FILES
from keras_squeezenet.compression.pipeline import (
    AccuracyLossError as AccuracyLossError,
)
from keras_squeezenet.compression.pipeline import compress as compress
from keras_squeezenet.compression.recipes import RECIPES as RECIPES
