"""The last part of dense-sparse-dense training: all weights are trained again.

Reference:
- [DSD: Dense-Sparse-Dense Training for Deep Neural Networks](
    https://arxiv.org/abs/1607.04381) (Han et al., 2017)
"""

from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression.stages.stage import Stage


class Densify(Stage):
    """Training of all weights of a pruned network, zeros included."""

    kind = "densify"
    name = "densified"
    rate_divisor = 2

    def wrap(self, steps, calibration):
        return tf_keras_twin.clone(self.model, lambda layer: layer)

    def finish(self, trainee):
        tf_keras_twin.copy_weights(trainee, self.model)
