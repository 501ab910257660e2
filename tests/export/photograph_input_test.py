import keras
import numpy as np
import pytest
import quarters
import short_networks

from keras_squeezenet import SqueezeNet
from keras_squeezenet import metadata
from keras_squeezenet import normalizations
from keras_squeezenet.data import image_ops
from keras_squeezenet.export import photograph_input

CLASSES = 4
# Rounding of the folded weights to float32; the probabilities spread over 0.1.
TOLERANCE = 1e-5


def make_squeezenet(side, config, channels=3):
    return short_networks.shorten(
        SqueezeNet(
            weights=None,
            input_shape=(side, side, channels),
            classes=CLASSES,
            config=config,
        )
    )


def make_transfer():
    """A backbone nested in its head, behind augmentation."""
    base = SqueezeNet(
        include_top=False,
        weights=None,
        input_shape=(39, 39, 3),
        pooling="avg",
        config="1.1",
    )
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((39, 39, 3)),
            layers.RandomFlip(),
            base,
            layers.Dense(CLASSES, activation="softmax", name="head"),
        ]
    )


def make_pooled_first():
    inputs = keras.Input((9, 9, 3))
    x = keras.layers.MaxPooling2D()(inputs)
    x = keras.layers.Add()([x, keras.layers.Conv2D(3, 1)(x)])
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(4, "softmax")(x))


# Networks, and whether the normalization is folded into their `conv1`.
NETWORKS = {
    "1.0": (lambda: make_squeezenet(39, "1.0"), True),
    "1.1": (lambda: make_squeezenet(40, "1.1"), True),
    "complex_bypass": (lambda: make_squeezenet(39, "complex_bypass"), True),
    "small_images": (lambda: make_squeezenet(16, quarters.TINY), False),
    "transfer": (make_transfer, True),
    "pooled_first": (make_pooled_first, False),
}


def make_photographs(shape, count=6):
    """Photographs that differ in color, which their classes depend on."""
    rng = np.random.default_rng(0)
    colors = rng.integers(0, 256, (count, 1, 1, shape[-1]))
    noise = rng.integers(-80, 80, (count, *shape))
    return np.clip(colors + noise, 0, 255).astype("float32")


def soften(model):
    """Bring the logits of random weights near each other."""
    last = [layer for layer in model.layers if layer.weights][-1]
    last.set_weights([array / 200 for array in last.get_weights()])


def prepare(model, randomize, normalization, names=("a", "b", "c", "d")):
    randomize(model)
    if normalization in ("caffe", "squeezenet", "raw"):
        soften(model)
    found = metadata.describe(model, normalization, names)
    metadata.attach(model, found)
    return found


def require_same_outputs(model, taking, photographs, normalized):
    expected = model.predict_on_batch(normalized)
    assert np.ptp(expected, axis=0).max() > 0.01
    found = taking.predict_on_batch(photographs)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", NETWORKS)
def test_photographs_give_the_outputs_of_normalized_images(name, randomize):
    make, folds = NETWORKS[name]
    model = make()
    found = prepare(model, randomize, "caffe")
    before = model.get_weights()
    taking = photograph_input.photograph_input(model)
    photographs = make_photographs(model.input_shape[1:])
    normalized = image_ops.normalize(photographs).numpy()
    require_same_outputs(model, taking, photographs, normalized)
    names = [layer.name for layer in taking.layers]
    assert ("normalize_photographs" in names) == (not folds)
    assert metadata.of(taking) == metadata.Metadata(
        "raw", model.input_shape[1], 3, ("a", "b", "c", "d")
    )
    assert metadata.of(model) is found
    np.testing.assert_equal(model.get_weights(), before)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("normalization", normalizations.NORMALIZATIONS)
def test_every_normalization(normalization, padding, randomize):
    inputs = keras.Input((9, 9, 3))
    x = keras.layers.Conv2D(8, 3, padding=padding, use_bias=False)(inputs)
    x = keras.layers.GlobalMaxPooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(4, "softmax")(x))
    prepare(model, randomize, normalization)
    taking = photograph_input.photograph_input(model)
    photographs = make_photographs((9, 9, 3))
    normalized = image_ops.normalize(photographs, normalization).numpy()
    require_same_outputs(model, taking, photographs, normalized)
    assert metadata.of(taking).normalization == "raw"


@pytest.mark.parametrize(
    "normalization, by_hand",
    [
        ("raw", lambda gray: gray),
        ("unit", lambda gray: gray / 255),
        ("tf", lambda gray: gray / 127.5 - 1),
    ],
    ids=["raw", "unit", "tf"],
)
def test_gray_networks_take_gray_photographs(normalization, by_hand, randomize):
    model = make_squeezenet(16, quarters.TINY, channels=1)
    prepare(model, randomize, normalization)
    taking = photograph_input.photograph_input(model)
    photographs = make_photographs((16, 16, 1))
    require_same_outputs(model, taking, photographs, by_hand(photographs))
    assert metadata.of(taking).channels == 1


def test_normalization_is_that_of_preprocess_input_by_default(randomize):
    model = make_pooled_first()
    randomize(model)
    soften(model)
    taking = photograph_input.photograph_input(model)
    photographs = make_photographs((9, 9, 3))
    normalized = photographs[..., ::-1] - np.float32([103.939, 116.779, 123.68])
    require_same_outputs(model, taking, photographs, normalized)


@pytest.mark.parametrize("channels", [1, 4])
def test_other_channels_are_refused_with_what_to_do(channels):
    inputs = keras.Input((9, 9, channels))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(4)(x))
    message = (
        rf"must take RGB images.*Received: inputs of shape \(9, 9, {channels}"
        r"\) and normalization='caffe'. Export it with preprocessed images"
    )
    with pytest.raises(ValueError, match=message):
        photograph_input.photograph_input(model)
