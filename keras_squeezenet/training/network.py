"""The network for images of a size, to be trained."""

import dataclasses

from keras_squeezenet import architecture
from keras_squeezenet import squeezenet
from keras_squeezenet.pretrained import registry

# Images up to this side, in pixels, get a first convolution with stride 1.
SMALL_IMAGE_SIZE = 64


def build(image_size, classes, config="1.1", weights=None):
    """Builds a SqueezeNet for a data set, from scratch or pretrained.

    Args:
        image_size: int, the side of the images.
        classes: int.
        config: a variant's name or a `SqueezeNetConfig`, which `for_images`
            fits to them. Defaults to `"1.1"`.
        weights: of all layers but `conv10`, as `SqueezeNet` takes them.
            Defaults to `None`, random ones.

    Returns:
        A `keras.Model` from preprocessed images to probabilities.
    """
    config = architecture.get_config(config)
    if weights in registry.NAMES:
        config = registry.find(weights, config).adapt(config)
    config = for_images(image_size, config)
    shape = (image_size, image_size, 3)
    model = squeezenet.SqueezeNet(
        weights=None, input_shape=shape, classes=classes, config=config
    )
    if weights:
        trunk = squeezenet.SqueezeNet(
            include_top=False,
            weights=weights,
            input_shape=shape,
            config=config,
        )
        for layer in trunk.layers:
            if layer.weights:
                model.get_layer(layer.name).set_weights(layer.get_weights())
    return model


def for_images(image_size, config="1.1"):
    """Returns the config of a network that is to be trained from scratch.

    There is no ReLU behind `conv10`, in which classes would get stuck.

    Args:
        image_size: int, the side of the images; up to 64 pixels `config` is
            made one `for_small_images`.
        config: a variant's name or a `SqueezeNetConfig`. Defaults to `"1.1"`.
    """
    config = architecture.get_config(config)
    if image_size <= SMALL_IMAGE_SIZE:
        config = config.for_small_images()
    return dataclasses.replace(config, conv10_activation=None)
