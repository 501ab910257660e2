"""A packed network with its measurements."""

import dataclasses
import os

import keras
import numpy as np

from keras_squeezenet import codec
from keras_squeezenet.codec import encodings
from keras_squeezenet.codec import frequency_tables
from keras_squeezenet.codec import sqz
from keras_squeezenet.packing import measurement
from keras_squeezenet.packing import rate_distortion
from keras_squeezenet.packing.curve import Point
from keras_squeezenet.utils import files


@dataclasses.dataclass(frozen=True, eq=False)
class PackResult:
    """A packed model and its measurements.

    Attributes:
        content: the .sqz file.
        point: the measurements of the file.
        curve: the points before code training, by increasing size. Each has a
            smaller divergence than those before it.
        code_training: the points during code training, starting with the one
            before it; empty without code training.
        layers: the rate of each kernel.
        images: the number of calibration images.
        validation_images: the number of images that the points are measured on,
            none of which calibrates.
        is_held_out: whether the network was not trained on them either, as far
            as the data tell.
        float32_bytes: the size of the uncompressed weights.
        test: the file measured on the test set, if there is one.
        test_images: the number of its images.
    """

    content: bytes
    point: Point
    curve: list[Point]
    code_training: list[Point]
    layers: list[dict]
    images: int
    validation_images: int
    is_held_out: bool
    float32_bytes: int
    test: measurement.Measurement | None = None
    test_images: int = 0

    @property
    def model(self) -> keras.Model:
        """The packed model, decoded from `content`."""
        return codec.loads(self.content)

    @property
    def has_trained_codes(self) -> bool:
        """Whether code training has found better codes."""
        return bool(self.code_training) and self.point != self.code_training[0]

    def tested(self, measurer: measurement.Measurer) -> "PackResult":
        """Return the result with measurements on the test set."""
        return dataclasses.replace(
            self,
            test=measurer.measure(self.model),
            test_images=measurer.size,
        )

    def save(self, path: str | os.PathLike) -> None:
        """Write the .sqz file, whole or not at all."""
        with files.new_file(path) as temporary:
            temporary.write_bytes(self.content)

    def to_json(self) -> dict:
        """Return everything but the content as JSON-compatible values."""
        return {
            "float32_bytes": self.float32_bytes,
            "images": self.images,
            "validation_images": self.validation_images,
            "is_held_out": self.is_held_out,
            "test_images": self.test_images,
            "test": self.test and dataclasses.asdict(self.test),
            **self.point.to_json(),
            "layers": self.layers,
            "curve": [point.to_json() for point in self.curve],
            "code_training": [point.to_json() for point in self.code_training],
        }


def layers(content: bytes) -> list[dict]:
    """Return the rate of each kernel of a .sqz file, as JSON values."""
    _, arrays = sqz.load(content)
    kernels = {
        name.removesuffix("/kernel"): array
        for name, array in arrays.items()
        if name.endswith("/kernel")
        and isinstance(array, encodings.UniformArray)
    }
    return [
        {
            "name": name,
            "weights": array.codes.size,
            "density": float(np.mean(array.codes != 0)),
            "distinct_values": len(np.unique(array.codes)),
            "step": array.step,
            "entropy_bytes": rate_distortion.entropy(array.codes) / 8,
            "bytes": frequency_tables.cost(array.codes),
        }
        for name, array in kernels.items()
    ]
