"""Which kernels of int8 files have 7 bits.

x86 CPUs without VNNI add two products of an unsigned and a signed number of 8
bits in 16 bits, which saturate where all four numbers are large. Images and the
outputs of bounded activations fill their range. Of those of other activations
hardly any are as large as the largest, so that their sums fit. With kernels of
7 bits all sums do, at the same speed.
"""

from collections.abc import Collection

import keras

from keras_squeezenet import flattening
from keras_squeezenet import graph
from keras_squeezenet.export import photograph_input

BOUNDED = (
    *("hard_sigmoid", "relu6", "sigmoid", "softmax", "softsign", "tanh"),
)


def narrow_layers(
    model: keras.Model, bounded: Collection[str] = BOUNDED
) -> list[str]:
    """Return the names of the layers whose kernels need 7 bits.

    They take images, or the outputs of `bounded` activations. The 1x1
    convolution of `photograph_input`, which is not quantized, is not among
    them.

    Args:
        model: as `flattening.flatten` takes it.
        bounded: names of activations.
    """
    image, *layers = graph.describe(flattening.flatten(model))["layers"]
    full, found = {image["name"]}, []
    for layer in layers:
        takes_full = not full.isdisjoint(layer["inputs"])
        is_quantized = (
            layer["type"] in ("Conv2D", "Dense")
            and layer["name"] != photograph_input.NORMALIZE
        )
        if is_quantized and takes_full:
            found.append(layer["name"])
        activation = layer.get("activation", layer["type"].lower())
        if activation in bounded or (takes_full and not is_quantized):
            full.add(layer["name"])
    return found
