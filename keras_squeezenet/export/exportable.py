"""The flat network that is exported: of one image size, with probabilities."""

import keras

from keras_squeezenet import architecture
from keras_squeezenet import flattening
from keras_squeezenet import graph
from keras_squeezenet import metadata

PROBABILITIES = "probabilities"


def prepare(model: keras.Model, image_size: int | None) -> keras.Model:
    """Return a flat float32 model that every format can be made of.

    Args:
        model: as `flattening.flatten` takes it, which is left unchanged.
        image_size: the side of the images in pixels, where the model takes any.
            Defaults to the one in the model's metadata, or `227`.

    Returns:
        A flat Functional `keras.Model` with the same layers and metadata. Its
        input has a static size, and a softmax follows outputs that are logits.

    Raises:
        ValueError: as `flattening.flatten` raises it.
    """
    flat = flattening.flatten(model)
    found = metadata.of(flat) or metadata.describe(flat)
    description = graph.describe(flat)
    first, last = description["layers"][0], description["layers"][-1]
    if len(first["shape"]) == 3:
        default = image_size or found.image_size or architecture.DEFAULT_SIDE
        *sides, channels = first["shape"]
        first["shape"] = [*(side or default for side in sides), channels]
    if metadata.last_activation(flat) == "linear":
        description["layers"].append(
            {"type": "Softmax", "name": PROBABILITIES, "inputs": [last["name"]]}
        )
    rebuilt = graph.build(keras, description)
    rebuilt.set_weights(flat.get_weights())
    metadata.attach(rebuilt, found)
    return rebuilt
