"""Reader of `compressed_SqueezeNet.net`, Deep Compression's released file.

Little endian: the number of stored codes of each of the 26 layers, then for
each layer a codebook of 256 float32, the float32 biases, one byte a code, and
the gaps between the coded weights, 4 bits each, low nibble first. A weight's
position is `cumsum(gap + 1) - 1` in the flattened OIHW kernel; a gap above 15
is split by fillers with gap 15 and code 0 (the value 0.0).

Reference:
- [Deep Compression](https://arxiv.org/abs/1510.00149) (Han et al., 2016),
  section 2 for the relative indices, section 3 for the codebooks
"""

import numpy as np

from keras_squeezenet import architecture

CODEBOOK_SIZE = 256


def read(content: bytes) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return `{layer name: (kernel, bias)}`, HWIO and float32."""
    layers = architecture.convolutions(architecture.VARIANTS["1.0"])
    reader = _Reader(content)
    counts = reader.take("<u4", len(layers))
    found = {
        layer.name: _layer(reader, layer, int(count))
        for layer, count in zip(layers, counts)
    }
    reader.finish()
    return found


def _layer(reader, layer, count):
    if count > layer.kernel_parameters:
        raise ValueError(
            f"layer {layer.name!r} must have at most "
            f"{layer.kernel_parameters} codes. Received: {count}"
        )
    codebook = reader.take("<f4", CODEBOOK_SIZE)
    bias = reader.take("<f4", layer.filters)
    codes = reader.take("u1", count)
    packed = reader.take("u1", -(-count // 2))
    gaps = np.stack([packed & 15, packed >> 4], axis=1).ravel()[:count]
    positions = np.cumsum(gaps.astype("int64") + 1) - 1
    if count and positions[-1] >= layer.kernel_parameters:
        raise ValueError(
            f"layer {layer.name!r} must have positions below "
            f"{layer.kernel_parameters}. Received: {positions[-1]}"
        )
    kernel = np.zeros(layer.kernel_parameters, "float32")
    kernel[positions] = codebook[codes]
    side = layer.kernel_size
    kernel = kernel.reshape(layer.filters, layer.in_channels, side, side)
    return kernel.transpose(2, 3, 1, 0), bias.astype("float32")


class _Reader:
    def __init__(self, content):
        self.content = content
        self.offset = 0

    def take(self, dtype, count):
        end = self.offset + np.dtype(dtype).itemsize * count
        if end > len(self.content):
            raise ValueError(
                f"it must have at least {end} bytes. Received: "
                f"{len(self.content)} bytes"
            )
        array = np.frombuffer(self.content, dtype, count, self.offset)
        self.offset = end
        return array

    def finish(self):
        if self.offset != len(self.content):
            raise ValueError(
                f"it must have {self.offset} bytes. Received: "
                f"{len(self.content)} bytes"
            )
