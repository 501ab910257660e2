"""A small trained network with five kernels, and its packer."""

import keras
import numpy as np
import pytest
import quarters

from keras_squeezenet import packing


def build():
    layers = keras.layers
    inputs = keras.Input((quarters.SIDE, quarters.SIDE, 3))
    x = layers.Conv2D(
        16, 3, strides=2, padding="same", activation="relu", name="conv1"
    )(inputs)
    x = layers.Conv2D(8, 1, activation="relu", name="fire2_squeeze1x1")(x)
    expanded = [
        layers.Conv2D(
            16, side, padding="same", activation="relu", name=f"expand{side}"
        )(x)
        for side in (1, 3)
    ]
    x = layers.Concatenate(name="fire2_concat")(expanded)
    x = layers.MaxPooling2D(2, name="pool2")(x)
    x = layers.Dropout(0.5, name="drop9")(x)
    x = layers.Conv2D(quarters.CLASSES, 4, name="conv10")(x)
    x = layers.GlobalAveragePooling2D(name="pool10")(x)
    x = layers.Activation("softmax", name="predictions")(x)
    return keras.Model(inputs, x, name="small")


@pytest.fixture(scope="session")
def small_model(dataset, test_images):
    keras.utils.set_random_seed(0)
    model = build()
    model.compile(
        optimizer=keras.optimizers.Adam(3e-3),
        loss="sparse_categorical_crossentropy",
    )
    batches = dataset.train_batches(16)
    model.fit(batches, steps_per_epoch=30, epochs=1, verbose=0)
    # Saturated outputs have no Fisher information.
    logits = keras.Model(model.input, model.get_layer("pool10").output)
    layer = model.get_layer("conv10")
    scale = 1.5 / logits.predict(test_images, verbose=0).std()
    layer.set_weights([scale * weight for weight in layer.get_weights()])
    return model


@pytest.fixture(scope="session")
def images(test_images):
    """Five validation images, and two equal batches of calibration images."""
    return test_images[:25]


@pytest.fixture(scope="session")
def packer(small_model, images):
    """One packer for all bounds: the Fisher information is measured once."""
    return packing.Packer(small_model, images, class_names=list("abcd"))


@pytest.fixture(scope="session")
def by_size(packer):
    return packer.pack(packing.Bound(target_bytes=2_500))


@pytest.fixture(scope="session")
def by_divergence(packer):
    return packer.pack(packing.Bound(max_kl=0.01))


@pytest.fixture(scope="session")
def divergence(small_model):
    """Return a function that computes the divergence without the library."""

    def divergence(packed, images, model=small_model):
        before = model.predict_on_batch(images).astype("float64")
        after = packed.model.predict_on_batch(images)
        ratio = np.log(before + 1e-12) - np.log(after + 1e-12)
        return np.mean(np.sum(before * ratio, axis=1))

    return divergence
