"""The normalizations of images: how RGB values become a network's input.

Pretrained weights are folded, so that one `preprocess_input` serves them all.
"""

import dataclasses

import numpy as np

from keras_squeezenet import imagenet


@dataclasses.dataclass(frozen=True)
class Normalization:
    """A linear map of RGB values from 0 to 255 to a network's input.

    `order` is the order of the input's channels, `"RGB"` or `"BGR"`. The means
    of R, G and B are subtracted, and the differences are divided by `std`.
    """

    order: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float] = (1, 1, 1)

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the greatest value that an image can have."""
        ends = [
            (rgb - mean) / std
            for rgb in (0, 255)
            for mean, std in zip(self.mean, self.std)
        ]
        return min(ends), max(ends)

    def apply(self, images: np.ndarray) -> np.ndarray:
        """Return RGB images from 0 to 255 normalized, float32."""
        mean, std = (np.array(x, "float32") for x in (self.mean, self.std))
        if self.order == "BGR":
            images, mean, std = images[..., ::-1], mean[::-1], std[::-1]
        images = np.subtract(images, mean, dtype="float32", order="C")
        return images if set(self.std) == {1} else images / std

    def to_rgb(self, images: np.ndarray) -> np.ndarray:
        """Return normalized images as RGB again, uint8."""
        rgb = images[..., ::-1] if self.order == "BGR" else images
        rgb = rgb * np.array(self.std) + np.array(self.mean)
        return np.clip(rgb.round(), 0, 255).astype("uint8")


# "caffe", "tf" and "torch" are the modes of Keras's `preprocess_input`.
CAFFE = "caffe"
# Photographs as they are.
RAW = "raw"
NORMALIZATIONS = {
    # This package's `preprocess_input`.
    CAFFE: Normalization("BGR", imagenet.IMAGENET_MEAN),
    # The `mean_value` lines of the authors' train_val.prototxt.
    "squeezenet": Normalization("BGR", (123, 117, 104)),
    "tf": Normalization("RGB", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    "torch": Normalization(
        "RGB",
        (255 * 0.485, 255 * 0.456, 255 * 0.406),
        (255 * 0.229, 255 * 0.224, 255 * 0.225),
    ),
    # GluonCV's training programs have these constants, close to "torch".
    "gluon": Normalization(
        "RGB", imagenet.IMAGENET_MEAN, (58.393, 57.12, 57.375)
    ),
    RAW: Normalization("RGB", (0, 0, 0)),
    "unit": Normalization("RGB", (0, 0, 0), (255, 255, 255)),
}
OURS = NORMALIZATIONS[CAFFE]


def get(name: str) -> Normalization:
    """Return a value of `NORMALIZATIONS`, or raise a `ValueError`."""
    if not isinstance(name, str) or name not in NORMALIZATIONS:
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

    The outputs for an image stay the same, except next to padded zeros. The
    kernel has the shape `(height, width, 3, filters)`. Computed in float64,
    returned in float32.

    Raises:
        ValueError: if the kernel does not take 3 channels, or the bias does not
            have one number for each filter.
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
    # From RGB to the order of `OURS`.
    return rgb[:, :, ::-1].astype("float32"), bias.astype("float32")
