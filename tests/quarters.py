"""Images of four classes, and a network small enough for tests."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from keras_squeezenet import SqueezeNet
from keras_squeezenet import SqueezeNetConfig
from keras_squeezenet import data
from keras_squeezenet import metadata
from keras_squeezenet.packing import lambda_search
from keras_squeezenet.training import optimizers

SIDE = 16
CLASSES = 4
TINY = SqueezeNetConfig(
    base_e=16, incr_e=16, SR=0.25, pools=("conv1", "fire4")
).for_small_images()


class Killed(BaseException):
    """An exception that no handler of this package catches."""


def make_images(count, seed):
    """Images whose class is the quarter that is bright."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    images = rng.integers(0, 100, (count, SIDE, SIDE, 3))
    half = SIDE // 2
    for image, label in zip(images, labels):
        top, left = half * (label // 2), half * (label % 2)
        image[top : top + half, left : left + half] += 150
    return images.astype("uint8"), labels.astype("int64")


def make_classifier(dropout=0.1, activation="relu"):
    """The smallest network with all that training has to handle.

    Untrained, its loss is that of a random guess.
    """
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Rescaling(1 / 64)(inputs)
    x = keras.layers.Conv2D(
        8, 4, strides=4, activation=activation, name="conv1"
    )(x)
    x = keras.layers.Dropout(dropout)(keras.layers.Flatten()(x))
    small = keras.initializers.RandomNormal(stddev=1e-3)
    dense = keras.layers.Dense(CLASSES, "softmax", kernel_initializer=small)
    return keras.Model(inputs, dense(x), name="classifier")


def make_squeezenet(**changes):
    """An untrained tiny SqueezeNet, whose `SqueezeNetConfig` has changes."""
    return SqueezeNet(
        weights=None,
        input_shape=(SIDE, SIDE, 3),
        classes=CLASSES,
        config=dataclasses.replace(TINY, **changes),
    )


def make_two_headed():
    """A network whose head takes the feature maps of two layers."""
    base = make_squeezenet()
    pooled = [
        keras.layers.GlobalAveragePooling2D()(base.get_layer(name).output)
        for name in ("fire3_concat", "fire2_concat")
    ]
    x = keras.layers.Concatenate()(pooled)
    x = keras.layers.Dense(CLASSES, "softmax")(x)
    return keras.Model(base.input, x)


def make_teacher(side=SIDE, classes=CLASSES, sharpness=0.02, **changes):
    """A network that knows the quarters without any training.

    The `sharpness` is the size of its weights, and `changes` are those of its
    metadata.
    """
    inputs = keras.Input((side, side, 3))
    x = keras.layers.AveragePooling2D(side // 2)(inputs)
    x = keras.layers.Flatten()(x)
    dense = keras.layers.Dense(classes, "softmax", use_bias=False)
    model = keras.Model(inputs, dense(x), name="wise")
    kernel = np.zeros((4, 3, classes), "float32")
    for quarter in range(min(4, classes)):
        kernel[quarter, :, quarter] = sharpness
    dense.set_weights([kernel.reshape(12, classes)])
    metadata.attach(
        model, dataclasses.replace(metadata.describe(model), **changes)
    )
    return model


def make_dataset():
    """A data set of such images."""

    def split(count, seed):
        return data.Examples(
            tf.data.Dataset.from_tensor_slices(make_images(count, seed))
        )

    return data.ImageDataset(
        name="quarters",
        class_names=("a", "b", "c", "d"),
        train=split(64, 0),
        test=split(32, 1),
    )


def untrace(monkeypatch):
    """Train SqueezeNets eagerly, which is quicker for a few steps."""

    def make_eager(compile_model):
        def compile_eagerly(first, model, *arguments, **options):
            compile_model(first, model, *arguments, **options)
            names = [layer.name for layer in model.layers]
            model.run_eagerly = any("fire2" in name for name in names)

        return compile_eagerly

    for name in ("compile_for", "compile_classifier"):
        monkeypatch.setattr(
            optimizers, name, make_eager(getattr(optimizers, name))
        )


def pack_few_points(monkeypatch):
    """Measure few points of the rate-distortion curve, which is quicker."""
    monkeypatch.setattr(lambda_search, "LAMBDA_FACTOR", 100)
    monkeypatch.setattr(lambda_search, "REFINEMENTS", 1)
    monkeypatch.setattr(lambda_search, "CURVE_POWERS", (1,))
