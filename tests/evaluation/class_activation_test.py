"""Class activation maps, against other ways to compute what they mean."""

import keras
import numpy as np
import pytest
import quarters
import tensorflow as tf

from keras_squeezenet import SqueezeNet
from keras_squeezenet import evaluation
from keras_squeezenet.evaluation import class_activation
from keras_squeezenet.feature_extraction import FeatureInfo

SIDE = 48
CLASSES = 5


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return rng.normal(scale=50, size=(3, SIDE, SIDE, 3)).astype("float32")


def conv10_model(config="1.1", activation="softmax"):
    return SqueezeNet(
        weights=None,
        config=config,
        classes=CLASSES,
        input_shape=(SIDE, SIDE, 3),
        classifier_activation=activation,
    )


def with_head(*layers):
    """A small convolutional backbone with a head."""
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Rescaling(1 / 64)(inputs)
    x = keras.layers.Conv2D(8, 5, strides=4, activation="relu")(x)
    x = keras.layers.Conv2D(6, 3, strides=2, activation="relu", name="top")(x)
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x)


def average():
    return keras.layers.GlobalAveragePooling2D()


def dense(units=CLASSES, activation=None):
    return keras.layers.Dense(units, activation)


def logits_of(model, images):
    """The inputs of the softmax, by Keras alone."""
    probabilities = model.predict_on_batch(images)
    logits = np.log(probabilities)
    return logits - logits.mean(axis=1, keepdims=True)


@pytest.mark.parametrize("config", ["1.0", "1.1", "complex_bypass"])
def test_mean_of_a_map_is_the_pooled_output(config, randomize, images):
    model = randomize(conv10_model(config))
    maps = evaluation.activation_maps(model, images)
    pool10 = keras.Model(model.input, model.get_layer("pool10").output)
    logits = pool10.predict_on_batch(images)
    assert maps.dtype == "float32" and maps.shape[-1] == CLASSES
    # After the ReLU of `conv10`, which these networks have.
    assert maps.min() == 0
    np.testing.assert_allclose(maps.mean((1, 2)), logits, rtol=1e-4)


HEADS = {
    "dense": lambda: [average(), dense(activation="softmax")],
    "dense and softmax": lambda: [
        average(),
        keras.layers.Dropout(0.5),
        dense(),
        keras.layers.Softmax(),
    ],
    "mixed precision": lambda: [
        average(),
        dense(activation="softmax"),
        keras.layers.Activation("linear"),
    ],
    "normalization": lambda: [
        average(),
        keras.layers.BatchNormalization(),
        dense(activation="softmax"),
    ],
    "no bias": lambda: [
        average(),
        keras.layers.Dense(CLASSES, "softmax", use_bias=False),
    ],
}


@pytest.mark.parametrize("name", HEADS)
def test_mean_of_a_map_of_a_transfer_head_is_the_logit(name, randomize, images):
    model = randomize(with_head(*HEADS[name]()))
    explainer = class_activation.Explainer(model)
    assert explainer.method == "CAM"
    means = explainer.maps(images).mean((1, 2))
    means -= means.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(means, logits_of(model, images), atol=2e-3)


def test_nested_backbone_is_looked_into(randomize, images):
    base = SqueezeNet(
        weights=None, include_top=False, input_shape=(SIDE, SIDE, 3)
    )
    inputs = keras.Input((SIDE, SIDE, 3))
    x = average()(base(inputs, training=False))
    model = randomize(keras.Model(inputs, dense(activation="softmax")(x)))
    maps = evaluation.activation_maps(model, images)
    kernel, bias = model.layers[-1].get_weights()
    expected = base.predict_on_batch(images) @ kernel + bias
    np.testing.assert_allclose(maps, expected, rtol=1e-3, atol=1e-3)


OTHER_HEADS = {
    "hidden layer": lambda: [
        average(),
        dense(7, "relu"),
        dense(activation="softmax"),
    ],
    "maximum": lambda: [
        keras.layers.GlobalMaxPooling2D(),
        dense(activation="softmax"),
    ],
    "activation": lambda: [
        average(),
        keras.layers.Activation("tanh"),
        dense(),
        keras.layers.Activation("softmax"),
    ],
}


@pytest.mark.parametrize("name", OTHER_HEADS)
def test_other_heads_have_the_maps_of_grad_cam(name, randomize, images):
    model = randomize(with_head(*OTHER_HEADS[name]()))
    explainer = class_activation.Explainer(model)
    assert explainer.method == "Grad-CAM"
    maps = explainer.maps(images, [1])[..., 0]
    # The gradient of the log of a probability differs from that of its logit;
    # of a sum of logits minus another, too. Rebuild the logit itself.
    top = keras.Model(model.input, model.get_layer("top").output)
    with tf.GradientTape() as tape:
        x = features = tf.convert_to_tensor(top(images))
        tape.watch(features)
        after = model.layers.index(model.get_layer("top")) + 1
        for layer in model.layers[after:]:
            if layer is model.layers[-1]:
                if not layer.weights:
                    break
                x = x @ layer.kernel + layer.bias
            else:
                x = layer(x)
        logit = x[:, 1]
    weights = tf.reduce_mean(tape.gradient(logit, features), (1, 2))
    expected = np.einsum("bijc,bc->bij", features, weights)
    assert maps.max() > 0
    np.testing.assert_allclose(
        maps, np.maximum(expected, 0), rtol=1e-3, atol=1e-5
    )


def test_grad_cam_of_a_linear_head_is_the_map_of_cam(
    randomize, images, monkeypatch
):
    model = randomize(with_head(average(), dense(), keras.layers.Softmax()))
    maps = evaluation.activation_maps(model, images)
    bias = model.layers[-2].get_weights()[1]
    monkeypatch.setattr(class_activation, "_is_linear", lambda head: False)
    gradients = evaluation.activation_maps(model, images)
    positions = np.prod(maps.shape[1:3])
    expected = np.maximum(maps - bias, 0) / positions
    np.testing.assert_allclose(gradients, expected, rtol=1e-3, atol=1e-5)


def test_grad_cam_says_which_backend_it_needs(monkeypatch):
    model = with_head(*OTHER_HEADS["maximum"]())
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(RuntimeError, match="Grad-CAM, .* needs the TensorFlow"):
        class_activation.Explainer(model)
    assert class_activation.Explainer(conv10_model()).method == "CAM"


def test_classes_may_be_different_for_each_image(randomize, images):
    for model in (
        conv10_model(),
        with_head(average(), dense(activation="softmax")),
        with_head(*OTHER_HEADS["maximum"]()),
    ):
        explainer = class_activation.Explainer(randomize(model))
        maps = explainer.maps(images)
        chosen = explainer.maps(images, [[4, 0], [1, 1], [2, 3]])
        for index, classes in enumerate([[4, 0], [1, 1], [2, 3]]):
            np.testing.assert_allclose(
                chosen[index], maps[index][..., classes], rtol=1e-4
            )


def test_images_are_looked_at_in_batches(randomize, images, monkeypatch):
    model = randomize(conv10_model())
    expected = evaluation.activation_maps(model, images)
    monkeypatch.setattr(class_activation, "BATCH_SIZE", 2)
    received = evaluation.activation_maps(model, images)
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("classes", [[5], [-1], [0.5], 3, [[[1]]]])
def test_bad_classes_are_refused(classes, images):
    with pytest.raises(ValueError, match="integers from 0 to 4, of shape"):
        evaluation.activation_maps(conv10_model(), images, classes)


@pytest.mark.parametrize(
    "shape", [(0, SIDE, SIDE, 3), (SIDE, SIDE, 3), (1, SIDE, 9, 3)]
)
def test_images_of_another_shape_are_refused(shape):
    explainer = class_activation.Explainer(with_head(average(), dense()))
    with pytest.raises(ValueError, match="`images` must have the shape"):
        explainer.maps(np.zeros(shape))


def test_a_network_without_its_top_is_refused():
    model = SqueezeNet(
        weights=None, include_top=False, input_shape=(SIDE, SIDE, 3)
    )
    with pytest.raises(ValueError, match="must be a classifier"):
        class_activation.Explainer(model)


def test_a_head_on_the_maps_of_two_layers_is_refused():
    with pytest.raises(ValueError, match="feature maps of one layer. Received"):
        class_activation.Explainer(quarters.make_two_headed())


def test_maps_are_placed_where_their_cells_look():
    maps = np.zeros((1, 3, 3, 1))
    maps[0, 1, 2, 0] = 1
    placed = class_activation.resize(maps, (40, 40), FeatureInfo(1, 8, 7.0))
    assert np.argwhere(placed == 1).tolist() == [
        [0, 15, column, 0] for column in range(23, 40)
    ]
    assert placed[0, 11, 30, 0] == 0.5 and placed[0, 7, 30, 0] == 0


def test_maps_without_a_geometry_fill_the_image():
    maps = np.arange(2.0).reshape(1, 1, 2, 1)
    placed = class_activation.resize(maps, (3, 8))[0, ..., 0]
    expected = [0, 0, 1 / 8, 3 / 8, 5 / 8, 7 / 8, 1, 1]
    np.testing.assert_allclose(placed, [expected] * 3)


def test_a_map_of_one_cell_is_the_same_everywhere():
    placed = class_activation.resize(np.full((1, 1, 1, 1), 3.0), (5, 7))
    assert placed.shape == (1, 5, 7, 1) and np.all(placed == 3)


def test_overlay_is_gray_where_low_and_bright_where_high():
    image = np.full((4, 4, 3), (200, 100, 0), "uint8")
    heat = np.zeros((4, 4))
    heat[0, 0] = -1
    heat[3, 3] = 1
    mixed = class_activation.overlay(image, heat)
    gray = 200 * 0.299 + 100 * 0.587
    low = 0.9 * gray + 0.1 * np.array([0, 0, 4])
    high = 0.3 * gray + 0.7 * np.array([252, 255, 164])
    np.testing.assert_allclose(mixed[0, 0], low, atol=0.6)
    np.testing.assert_allclose(mixed[3, 3], high, atol=0.6)


@pytest.mark.parametrize("value", [0.0, -5.0, np.nan, np.inf])
def test_map_without_evidence_shows_the_image_alone(value):
    image = np.full((4, 4, 3), 100, "uint8")
    mixed = class_activation.overlay(image, np.full((2, 2), value))
    assert np.all(np.abs(mixed - 90.0) < 1)


def test_brightness_of_the_colors_rises():
    colors = class_activation.colored(np.linspace(0, 1, 50))
    brightness = colors @ class_activation.BRIGHTNESS
    assert np.all(np.diff(brightness) > 0)


def test_mixed_precision_and_other_defaults_change_nothing(randomize, images):
    model = randomize(conv10_model())
    expected = evaluation.activation_maps(model, images, [2])
    keras.config.set_dtype_policy("mixed_bfloat16")
    keras.config.set_image_data_format("channels_first")
    received = evaluation.activation_maps(model, images, [2])
    np.testing.assert_allclose(received, expected, rtol=1e-5)


def test_maps_of_photographs_lie_where_occlusion_hurts(
    shared_data, photographs
):
    """Gray squares over what the map shows lower the logit the most."""
    from keras_squeezenet import classifier
    from keras_squeezenet.data import image_ops

    weights = "squeezenet_v1.1_caffe_fp32trunk_fp16conv10.npz"
    network = classifier.load(
        shared_data / "weights" / weights, normalization="caffe"
    )
    # An Indian elephant, a lesser panda and a hornbill.
    squares = np.stack([network.read(photographs[i]) for i in (385, 387, 93)])
    images = image_ops.normalize(squares).numpy()
    logits = keras.Model(
        network.model.input, network.model.get_layer("pool10").output
    )
    explainer = class_activation.Explainer(network.model)
    size, step = 56, 57
    places = [(y, x) for y in range(0, 172, step) for x in range(0, 172, step)]
    for image, label in zip(images, (385, 387, 93)):
        heat = explainer.maps(image[None], [label], upsample=True)[0, ..., 0]
        batch = np.repeat(image[None], len(places), axis=0)
        shown = []
        for occluded, (y, x) in zip(batch, places):
            occluded[y : y + size, x : x + size] = 0
            shown.append(heat[y : y + size, x : x + size].mean())
        drops = -logits.predict_on_batch(batch)[:, label]
        assert np.corrcoef(drops, shown)[0, 1] > 0.5
