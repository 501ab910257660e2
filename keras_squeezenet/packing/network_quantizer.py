"""Quantization of a whole network at any lambda."""

import math
from collections.abc import Callable

import keras
import numpy as np

from keras_squeezenet.codec import encodings
from keras_squeezenet.packing import calibration
from keras_squeezenet.packing import fisher
from keras_squeezenet.packing import rate_distortion
from keras_squeezenet.packing import reconstruction
from keras_squeezenet.utils.progress import Progress

# More images hardly change the Fisher information.
MAX_IMAGES = 500


class NetworkQuantizer:
    """Quantizes the layers of a network, reconstructing one after the other.

    The Fisher information is measured once, for all lambdas.

    Args:
        model: it is not changed.
        images: float32 array of preprocessed images.
        seed, progress: as `pack` takes them.

    Attributes:
        hessians: `{layer name: rate_distortion.Hessian}`.
    """

    def __init__(
        self,
        model: keras.Model,
        images: np.ndarray,
        seed: int = 0,
        progress: Progress | None = None,
    ):
        self.model, self.images = model, images
        self.hessians = fisher.measure(
            model, calibration.subset(images, MAX_IMAGES), seed, progress
        )
        self.quantizers = {
            name: rate_distortion.LayerQuantizer(
                _matrix(model.get_layer(name).get_weights()[0]), hessian
            )
            for name, hessian in self.hessians.items()
        }

    def quantize(
        self,
        lambda_: float,
        count: int,
        advance: Callable[..., None] = lambda **metrics: None,
    ) -> tuple[dict[str, encodings.UniformArray], float]:
        """Return the quantized weights by name, and the distortion in nats.

        Args:
            lambda_: the cost of one bit, in nats.
            count: the number of images that layers are reconstructed on, or
                all if there are fewer.
            advance: function called after each layer.
        """
        arrays, distortion = {}, 0.0

        def quantize_kernel(name, weights):
            nonlocal distortion
            result = self.quantizers[name].quantize(lambda_, _matrix(weights))
            distortion += float(result.distortion)
            advance(distortion=distortion)
            kernel = arrays[f"{name}/kernel"] = encodings.UniformArray(
                result.codes.reshape(weights.shape), result.step
            )
            return kernel.to_array()

        def quantize_bias(name, bias):
            quantized = _quantize_bias(bias, self.hessians[name], lambda_)
            arrays[f"{name}/bias"] = quantized
            return quantized.to_array()

        images = calibration.subset(self.images, count)
        reconstruction.run(self.model, images, quantize_kernel, quantize_bias)
        return arrays, distortion


def _matrix(kernel):
    return kernel.reshape(-1, kernel.shape[-1])


def _quantize_bias(bias, hessian, lambda_):
    curvature = hessian.inputs[-1, -1] * hessian.outputs.mean()
    step = rate_distortion.high_rate_step(lambda_, max(curvature, 1e-300))
    # A larger step keeps the codes in range.
    step = max(step, 2 * rate_distortion.min_step(bias))
    # Without curvature the step would be infinite.
    step = min(step, max(4 * float(np.abs(bias).max()), 1.0))
    # A power of two takes few bytes; the next lower one costs little accuracy.
    step = 2.0 ** math.floor(math.log2(step))
    return encodings.UniformArray(np.rint(bias / step).astype("int64"), step)
