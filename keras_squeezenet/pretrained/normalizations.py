"""Input normalizations, folded into the first convolution.

One `preprocess_input` then serves all weights.
"""

import dataclasses

import numpy as np

from keras_squeezenet import imagenet


@dataclasses.dataclass(frozen=True)
class Normalization:
    """A linear map from RGB values from 0 to 255 to a network's input.

    Args:
        order: `"RGB"` or `"BGR"`, the order of the input's channels.
        mean: the means of R, G and B, which are subtracted.
        std: the standard deviations of R, G and B, by which the differences
            are divided.
    """

    order: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float] = (1, 1, 1)


# "caffe", "tf" and "torch" are the modes of Keras's `preprocess_input`.
NORMALIZATIONS = {
    # This package's `preprocess_input`.
    "caffe": Normalization("BGR", imagenet.IMAGENET_MEAN),
    # The `mean_value` lines of the authors' train_val.prototxt.
    "squeezenet": Normalization("BGR", (123, 117, 104)),
    "tf": Normalization("RGB", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    "torch": Normalization(
        "RGB",
        (255 * 0.485, 255 * 0.456, 255 * 0.406),
        (255 * 0.229, 255 * 0.224, 255 * 0.225),
    ),
}
OURS = NORMALIZATIONS["caffe"]


def get(name: str) -> Normalization:
    """Return the `Normalization` of that name.

    Raises:
        ValueError: if it is not a key of `NORMALIZATIONS`.
    """
    if name not in NORMALIZATIONS:
        raise ValueError(
            "`normalization` must be one of "
            f"{', '.join(map(repr, NORMALIZATIONS))}. "
            f"Received: normalization={name!r}"
        )
    return NORMALIZATIONS[name]


def fold(
    kernel: np.ndarray, bias: np.ndarray, trained_on: Normalization
) -> tuple[np.ndarray, np.ndarray]:
    """Adapt a first convolution to this package's `preprocess_input`.

    The outputs for an image stay the same, except next to padded zeros. It is
    computed in float64.

    Args:
        kernel: float32 array of shape `(height, width, 3, filters)`.
        bias: float32 array of shape `(filters,)`.
        trained_on: `Normalization` that the weights expect.

    Returns:
        `(kernel, bias)`, of the same shapes and dtypes.

    Raises:
        ValueError: if the kernel does not take 3 channels, or the bias does
            not have one number for each filter.
    """
    if trained_on == OURS:
        return kernel, bias
    three_channels = kernel.ndim == 4 and kernel.shape[2] == 3
    # NumPy would broadcast a bias of one number.
    if not three_channels or bias.shape != kernel.shape[3:]:
        raise ValueError(
            "The first layer must have a kernel of shape (height, width, 3, "
            "filters) and a bias of shape (filters,), to fold the input "
            f"normalization into them. Received: {kernel.shape} and "
            f"{bias.shape}"
        )
    mean, std = np.array(trained_on.mean), np.array(trained_on.std)
    shift = np.array(OURS.mean) - mean
    rgb = kernel.astype("float64")
    if trained_on.order == "BGR":
        rgb = rgb[:, :, ::-1]
    rgb = rgb / std[:, np.newaxis]
    bias = bias + np.einsum("hwcf,c->f", rgb, shift)
    if OURS.order == "BGR":
        rgb = rgb[:, :, ::-1]
    return rgb.astype("float32"), bias.astype("float32")
