import dataclasses
import inspect
import os
import re

import keras
import numpy as np
import pytest
from keras import layers
from weight_arrays import assert_same
from weight_arrays import random_weights
from weight_arrays import weights_of
from weight_arrays import write_npz

import keras_squeezenet
from keras_squeezenet import SqueezeNet
from keras_squeezenet import SqueezeNet1_0
from keras_squeezenet import SqueezeNet1_1
from keras_squeezenet import SqueezeNet1_1SimpleBypass
from keras_squeezenet import SqueezeNetComplexBypass
from keras_squeezenet import SqueezeNetConfig
from keras_squeezenet import SqueezeNetSimpleBypass
from keras_squeezenet import Stem
from keras_squeezenet import architecture
from keras_squeezenet import codec
from keras_squeezenet import data
from keras_squeezenet.pretrained import download
from keras_squeezenet.pretrained import registry

BUILDERS = {
    "1.0": SqueezeNet1_0,
    "1.1": SqueezeNet1_1,
    "simple_bypass": SqueezeNetSimpleBypass,
    "complex_bypass": SqueezeNetComplexBypass,
    "1.1_simple_bypass": SqueezeNet1_1SimpleBypass,
}
VARIANTS = architecture.VARIANTS
DESIGN_SPACE = {
    **{f"SR={SR}": SqueezeNetConfig(SR=SR) for SR in (0.25, 1.0)},
    **{
        f"pct_3x3={share}": SqueezeNetConfig(SR=0.5, pct_3x3=share)
        for share in (0.01, 0.375, 0.99)
    },
    "slim": SqueezeNetConfig(
        base_e=16, incr_e=8, freq=3, SR=0.25, stem=Stem(8, 5, 3, "same")
    ),
    "more poolings": SqueezeNetConfig(
        pools=("conv1", "fire2", "fire3", "fire9"), conv10_padding=2
    ),
    "no pooling": SqueezeNetConfig(pools=(), bypass="complex", freq=1),
}
SMALL_IMAGES = {
    f"{name} for small images": config.for_small_images()
    for name, config in VARIANTS.items()
}
SLIM_1_1 = dataclasses.replace(
    VARIANTS["1.1"], base_e=32, incr_e=32, SR=0.25, stem=Stem(32, 3)
)


def with_ids(configs):
    return pytest.mark.parametrize("config", configs.values(), ids=configs)


def images(*shape):
    return np.random.default_rng(1).normal(size=shape).astype("float32")


def run(model, x):
    return keras.tree.map_structure(keras.ops.convert_to_numpy, model(x))


def outputs_of(model, x, *names):
    outputs = [model.get_layer(name).output for name in names]
    return run(keras.Model(model.input, outputs), x)


def layer_names(model, kind=layers.Layer):
    return [layer.name for layer in model.layers if isinstance(layer, kind)]


def ceil_mode_pooling(x):
    """Caffe's 3x3 max pooling with stride 2: windows end at the border."""
    height, width = (int(np.ceil((side - 3) / 2)) + 1 for side in x.shape[1:3])
    rows = [
        [
            x[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max(axis=(1, 2))
            for j in range(width)
        ]
        for i in range(height)
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def assert_pools_in_ceil_mode(config, model, x):
    bypassed = {fire.name for fire in config.fires if fire.bypass}
    names = []
    for layer in config.pools:
        if layer != "conv1":
            layer += "_bypass" if layer in bypassed else "_concat"
        names += [layer, architecture.pool_name(layer.partition("_")[0])]
    found = outputs_of(model, x, *names)
    for before, after in zip(found[::2], found[1::2], strict=True):
        np.testing.assert_array_equal(after, ceil_mode_pooling(before))
        assert after.any()


@with_ids({**VARIANTS, **DESIGN_SPACE, **SMALL_IMAGES})
def test_model_has_the_convolutions_of_its_config(config):
    model = SqueezeNet(weights=None, input_shape=(64, 64, 3), config=config)
    kernels = {
        layer.name: tuple(layer.kernel.shape)
        for layer in model.layers
        if isinstance(layer, layers.Conv2D)
    }
    assert kernels == {
        layer.name: layer.kernel_shape
        for layer in architecture.convolutions(config)
    }
    assert model.count_params() == architecture.count_parameters(config)


@with_ids(VARIANTS)
def test_features_have_the_parameters_of_the_config(config):
    model = SqueezeNet(
        include_top=False,
        weights=None,
        input_shape=(None, None, 1),
        config=config,
    )
    channels_left_out = 2 * config.stem.kernel_size**2 * config.stem.filters
    parameters = architecture.count_parameters(config, classes=None)
    assert model.count_params() == parameters - channels_left_out


@pytest.mark.parametrize(
    "builder, name, parameters",
    [
        (SqueezeNet, "squeezenet", 1_235_496),
        (SqueezeNet1_0, "squeezenet1_0", 1_248_424),
        (SqueezeNet1_1, "squeezenet1_1", 1_235_496),
        (SqueezeNetSimpleBypass, "squeezenet_simple_bypass", 1_248_424),
        (SqueezeNetComplexBypass, "squeezenet_complex_bypass", 1_589_672),
        (SqueezeNet1_1SimpleBypass, "squeezenet1_1_simple_bypass", 1_235_496),
    ],
)
def test_default_model_is_that_of_the_paper(builder, name, parameters):
    model = builder(weights=None)
    assert model.name == name
    assert model.input_shape == (None, 227, 227, 3)
    assert model.output_shape == (None, 1000)
    assert model.count_params() == parameters
    features = builder(weights=None, include_top=False, name="features")
    assert features.name == "features"


@pytest.mark.parametrize("builder", BUILDERS.values())
def test_signature_is_that_of_keras_applications(builder):
    def parameters(function):
        signature = inspect.signature(function).parameters.values()
        return [
            (each.name, each.kind, each.name == "name" or each.default)
            for each in signature
        ]

    assert parameters(builder) == parameters(keras.applications.VGG16)


def test_squeezenet_adds_a_keyword_only_config():
    fixed = inspect.signature(SqueezeNet1_1).parameters
    *parameters, config = inspect.signature(SqueezeNet).parameters.values()
    assert [each.name for each in parameters] == list(fixed)
    assert config.name == "config"
    assert config.kind is inspect.Parameter.KEYWORD_ONLY
    assert config.default == "1.1"


def test_layers_have_the_names_of_the_paper():
    def fire(index):
        return [
            f"fire{index}_{part}"
            for part in ("squeeze1x1", "expand1x1", "expand3x3", "concat")
        ]

    model = SqueezeNet1_1(weights=None, input_shape=(224, 224, 3))
    assert model.get_layer("drop9").rate == 0.5
    assert layer_names(model)[1:] == [
        *["conv1", "pool1"],
        *[*fire(2), *fire(3), "pool3"],
        *[*fire(4), *fire(5), "pool5"],
        *[*fire(6), *fire(7), *fire(8), *fire(9)],
        *["drop9", "conv10", "pool10", "predictions"],
    ]


@pytest.mark.parametrize(
    "variant, added, convolved",
    [
        ("1.0", (), ()),
        ("simple_bypass", (3, 5, 7, 9), ()),
        ("complex_bypass", range(2, 10), (2, 4, 6, 8)),
        ("1.1_simple_bypass", (3, 5, 7, 9), ()),
    ],
)
def test_bypass_layers_have_the_names_of_their_modules(
    variant, added, convolved
):
    model = BUILDERS[variant](weights=None)
    bypasses = [name for name in layer_names(model) if "bypass" in name]
    assert sorted(bypasses) == sorted(
        [f"fire{i}_bypass" for i in added]
        + [f"fire{i}_bypass1x1" for i in convolved]
    )


def test_simple_bypass_adds_the_input_of_the_module(randomize):
    model = randomize(
        SqueezeNetSimpleBypass(weights=None, input_shape=(48, 48, 3))
    )
    x, expanded, y, x_pooled, expanded_pooled, y_pooled = outputs_of(
        model,
        images(1, 48, 48, 3),
        *["fire2_concat", "fire3_concat", "fire3_bypass"],
        *["pool4", "fire5_concat", "fire5_bypass"],
    )
    np.testing.assert_array_equal(y, x + expanded)
    np.testing.assert_array_equal(y_pooled, x_pooled + expanded_pooled)


def test_complex_bypass_convolves_the_input_of_the_module(randomize):
    model = randomize(
        SqueezeNetComplexBypass(weights=None, input_shape=(48, 48, 3))
    )
    x, expanded, bypass, y = outputs_of(
        model,
        images(1, 48, 48, 3),
        *["pool1", "fire2_concat", "fire2_bypass1x1", "fire2_bypass"],
    )
    kernel, bias = model.get_layer("fire2_bypass1x1").get_weights()
    np.testing.assert_allclose(
        bypass, np.maximum(x @ kernel[0, 0] + bias, 0), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_array_equal(y, expanded + bypass)


def test_fire_module_squeezes_and_expands_with_relus(randomize):
    model = randomize(SqueezeNet1_1(weights=None, input_shape=(32, 32, 3)))
    squeezed, expand1x1, expand3x3, y = outputs_of(
        model,
        images(1, 32, 32, 3),
        *["fire2_squeeze1x1", "fire2_expand1x1", "fire2_expand3x3"],
        "fire2_concat",
    )
    assert squeezed.min() == expand1x1.min() == expand3x3.min() == 0
    np.testing.assert_array_equal(
        y, np.concatenate([expand1x1, expand3x3], axis=-1)
    )
    kernel, bias = model.get_layer("fire2_expand3x3").get_weights()
    padded = np.pad(squeezed, ((0, 0), (1, 1), (1, 1), (0, 0)))
    height, width = squeezed.shape[1:3]
    convolved = bias + sum(
        padded[:, i : i + height, j : j + width] @ kernel[i, j]
        for i in range(3)
        for j in range(3)
    )
    np.testing.assert_allclose(
        expand3x3, np.maximum(convolved, 0), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("height, width", [(45, 45), (46, 48), (50, 47)])
def test_pooling_is_exactly_in_ceil_mode(variant, height, width, randomize):
    shape = (height, width, 3)
    model = randomize(BUILDERS[variant](weights=None, input_shape=shape))
    assert_pools_in_ceil_mode(VARIANTS[variant], model, images(2, *shape))


def test_pooling_is_exactly_in_ceil_mode_for_every_side(randomize):
    config = SqueezeNetConfig(
        base_e=8, incr_e=0, SR=0.5, stem=Stem(4, 1, 1), pools=("conv1",)
    )
    for height, width in zip(range(2, 14), range(14, 2, -1), strict=True):
        shape = (height, width, 3)
        model = SqueezeNet(weights=None, input_shape=shape, config=config)
        assert_pools_in_ceil_mode(config, randomize(model), images(1, *shape))


@pytest.mark.parametrize(
    "variant, side, padded",
    [
        ("1.0", 227, ["conv10_pad"]),
        ("1.0", 224, ["pool4_pad", "conv10_pad"]),
        ("1.1", 227, ["pool3_pad", "pool5_pad"]),
        ("1.1", 224, []),
        ("simple_bypass", 227, ["conv10_pad"]),
        ("complex_bypass", 227, ["conv10_pad"]),
    ],
)
def test_nothing_is_padded_that_needs_no_padding(variant, side, padded):
    model = BUILDERS[variant](weights=None, input_shape=(side, side, 3))
    assert layer_names(model, layers.ZeroPadding2D) == padded


@pytest.mark.parametrize("variant", ["1.0", "1.1", "complex_bypass"])
def test_unknown_sides_change_no_output(variant, randomize):
    builder = BUILDERS[variant]
    dynamic = randomize(builder(weights=None, include_top=False))
    assert dynamic.input_shape == (None, None, None, 3)
    for height, width in ((48, 48), (49, 62), (37, 71)):
        shape = (height, width, 3)
        static = builder(weights=None, include_top=False, input_shape=shape)
        static.set_weights(dynamic.get_weights())
        expected = run(static, images(1, *shape))
        assert expected.any()
        np.testing.assert_array_equal(run(dynamic, images(1, *shape)), expected)


@pytest.mark.parametrize("variant", ["1.0", "1.1"])
@pytest.mark.parametrize("side", [224, 227])
def test_features_have_the_sides_of_the_architecture(variant, side):
    model = BUILDERS[variant](weights=None, input_shape=(side, side, 3))
    for name, expected in architecture.feature_sides(
        VARIANTS[variant], side
    ).items():
        if name.startswith("fire"):
            name += "_concat"
        shape = model.get_layer(name).output.shape
        assert shape[1:3] == (expected, expected), name


@with_ids({**VARIANTS, **SMALL_IMAGES, "slim": DESIGN_SPACE["slim"]})
def test_smallest_image_is_the_smallest_with_an_output(config):
    # The sides are unknown here, so that the builder cannot refuse them.
    model = SqueezeNet(include_top=False, weights=None, config=config)

    def output_side(side):
        try:
            return model.compute_output_shape((1, side, side, 3))[1]
        # Older versions of Keras return a side below 1.
        except ValueError:
            return 0

    side = architecture.min_side(config)
    assert output_side(side) == 1
    assert output_side(side - 1) < 1


@pytest.mark.parametrize("variant", ["1.0", "simple_bypass", "complex_bypass"])
def test_average_includes_a_border_of_the_biases_of_conv10(variant, randomize):
    model = randomize(BUILDERS[variant](weights=None, input_shape=(80, 80, 3)))
    conv10, pool10 = outputs_of(model, images(1, 80, 80, 3), "conv10", "pool10")
    _, bias = model.get_layer("conv10").get_weights()
    border = np.ones(conv10.shape[1:3], bool)
    border[1:-1, 1:-1] = False
    assert border.sum() == 20
    relu = np.broadcast_to(np.maximum(bias, 0), (20, 1000))
    np.testing.assert_array_equal(conv10[0, border], relu)
    assert not np.allclose(conv10[0, ~border], relu[:16])
    np.testing.assert_allclose(pool10, conv10.mean(axis=(1, 2)), rtol=1e-4)


def test_average_of_v1_1_includes_the_features_alone(randomize):
    model = randomize(SqueezeNet1_1(weights=None, input_shape=(64, 64, 3)))
    features, conv10, pool10 = outputs_of(
        model, images(1, 64, 64, 3), "drop9", "conv10", "pool10"
    )
    assert conv10.shape[1:3] == features.shape[1:3]
    np.testing.assert_allclose(pool10, conv10.mean(axis=(1, 2)), rtol=1e-4)


@pytest.mark.parametrize("activation, negative", [("relu", 0), (None, 1)])
def test_relu_after_conv10_can_be_left_out(activation, negative, randomize):
    config = SqueezeNetConfig(conv10_activation=activation)
    model = SqueezeNet(weights=None, input_shape=(32, 32, 3), config=config)
    (conv10,) = outputs_of(randomize(model), images(1, 32, 32, 3), "conv10")
    assert (conv10.min() < 0) == negative


def test_weights_start_with_the_variance_of_the_authors_solver():
    model = SqueezeNetComplexBypass(weights=None)
    for layer in model.layers:
        if not layer.weights:
            continue
        kernel, bias = layer.get_weights()
        assert (bias == (3 if layer.name == "conv10" else 0)).all()
        std = 0.01 if layer.name == "conv10" else kernel[..., 0].size ** -0.5
        assert kernel.std() == pytest.approx(std, rel=0.1), layer.name


def test_conv10_without_relu_starts_without_bias():
    config = SqueezeNetConfig(conv10_activation=None)
    model = SqueezeNet(weights=None, input_shape=(32, 32, 3), config=config)
    assert not model.get_layer("conv10").get_weights()[1].any()


@pytest.mark.parametrize("bypass", architecture.BYPASSES)
def test_network_without_pooling_starts_linear(bypass):
    config = SqueezeNetConfig(base_e=8, incr_e=8, pools=(), bypass=bypass, SR=1)
    model = SqueezeNet(False, None, input_shape=(32, 32, 3), config=config)

    def features(x):
        pairs = run(model, x)
        return pairs[..., ::2] - pairs[..., 1::2]

    x, y = images(2, 1, 32, 32, 3)
    expected = features(x) + features(y)
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(features(x + y), expected, atol=1e-5)


@pytest.mark.parametrize("filters", [1, 3, 4])
def test_odd_numbers_of_filters_have_initial_weights_too(filters):
    config = SqueezeNetConfig(base_e=2 * filters, incr_e=0, SR=0.5)
    model = SqueezeNet(False, None, input_shape=(64, 64, 1), config=config)
    for layer in model.layers:
        for weight in layer.get_weights()[:1]:
            assert np.abs(weight).sum(axis=(0, 1, 2)).all(), layer.name


@with_ids(
    {
        name: config
        for name, config in {**DESIGN_SPACE, **SMALL_IMAGES}.items()
        if "=" not in name or name in ("SR=1.0", "pct_3x3=0.99")
    }
)
def test_points_of_the_design_space_tell_images_apart(config, randomize):
    model = SqueezeNet(
        weights=None,
        input_shape=(64, 64, 3),
        classes=10,
        classifier_activation=None,
        config=config,
    )
    logits = run(randomize(model), images(2, 64, 64, 3))
    assert logits.shape == (2, 10)
    assert np.isfinite(logits).all()
    assert not np.allclose(logits[0], logits[1], rtol=0.01)


@pytest.fixture(scope="module")
def digits():
    dataset = data.load("mnist5k", image_size=32)
    (images, labels), *_ = dataset.epoch_batches(512).take(1)
    return np.asarray(images), np.asarray(labels)


def losses_of_fits(config, seeds, digits, epochs):
    """The losses of the last epoch of `compile` and `fit` as users write them.

    A network is traced once for all seeds.
    """

    def build(seed):
        keras.utils.set_random_seed(seed)
        return SqueezeNet(
            weights=None, input_shape=(32, 32, 3), classes=10, config=config
        )

    losses = []
    model = build(0)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    fresh = [np.asarray(value) for value in model.optimizer.variables]
    for seed in seeds:
        model.set_weights(build(seed).get_weights())
        for variable, value in zip(model.optimizer.variables, fresh):
            variable.assign(value)
        history = model.fit(*digits, epochs=epochs, verbose=0).history
        losses.append(history["loss"][-1])
    return losses


def test_plain_fit_leaves_the_plateau(digits):
    # At 0.9 ln(10) = 2.07 a network has left it. Independent filters and a
    # conv10 without bias are still above 2.1.
    losses = losses_of_fits(SLIM_1_1, range(3), digits, epochs=5)
    assert max(losses) < 1.9, losses


@pytest.mark.end_to_end
@pytest.mark.slow
@pytest.mark.parametrize("name", ["1.0", "1.1"])
def test_plain_fit_of_a_variant_leaves_the_plateau(name, digits):
    losses = losses_of_fits(VARIANTS[name], range(3), digits, epochs=10)
    assert max(losses) < 2.07, losses


def test_small_images_leave_a_4x4_map():
    config = VARIANTS["1.1"].for_small_images()
    model = SqueezeNet(
        weights=None, input_shape=(32, 32, 3), classes=10, config=config
    )
    assert model.get_layer("conv1").output.shape == (None, 32, 32, 64)
    assert model.get_layer("conv10").output.shape == (None, 4, 4, 10)
    padded = layer_names(model, layers.ZeroPadding2D)
    assert padded == ["pool1_pad", "pool3_pad", "pool5_pad"]


@pytest.mark.parametrize("activation", [None, "softmax", "sigmoid"])
def test_classifier_activation_is_that_of_the_logits(activation, randomize):
    model = SqueezeNet1_1(
        weights=None,
        input_shape=(32, 32, 3),
        classes=10,
        classifier_activation=activation,
    )
    logits, predictions = outputs_of(
        randomize(model), images(2, 32, 32, 3), "pool10", "predictions"
    )
    expected = keras.activations.get(activation)(logits)
    np.testing.assert_allclose(predictions, expected, rtol=1e-4)
    assert np.ptp(logits) > 0.1


@pytest.mark.parametrize("pooling", [None, "avg", "max"])
def test_pooling_reduces_the_features(pooling, randomize):
    arguments = {"weights": None, "include_top": False}
    features = randomize(SqueezeNet1_1(**arguments))
    model = randomize(SqueezeNet1_1(**arguments, pooling=pooling))
    x = images(2, 64, 80, 3)
    expected = run(features, x)
    assert expected.shape == (2, 3, 4, 512)
    if pooling == "avg":
        expected = expected.mean(axis=(1, 2))
    elif pooling == "max":
        expected = expected.max(axis=(1, 2))
    np.testing.assert_allclose(run(model, x), expected, rtol=1e-4)


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.filterwarnings("ignore:This model usually expects 1 or 3")
def test_input_may_have_other_channels(channels):
    shape = (32, 32, channels)
    model = SqueezeNet1_1(weights=None, input_shape=shape, classes=10)
    assert model.get_layer("conv1").kernel.shape == (3, 3, channels, 64)
    assert run(model, images(1, *shape)).shape == (1, 10)


@pytest.mark.parametrize("variant", ["1.1", "complex_bypass"])
def test_channels_first_model_has_the_same_shapes(variant):
    builder = BUILDERS[variant]
    last = builder(weights=None, input_shape=(224, 227, 3))
    keras.config.set_image_data_format("channels_first")
    first = builder(weights=None, input_shape=(3, 224, 227))
    assert first.count_params() == last.count_params()
    assert layer_names(first)[1:] == layer_names(last)[1:]
    for layer in last.layers:
        if len(layer.output.shape) != 4:
            continue
        batch, height, width, channels = layer.output.shape
        same = first.layers[last.layers.index(layer)]
        assert same.output.shape == (batch, channels, height, width)


def test_channels_first_defaults_put_the_channels_first():
    keras.config.set_image_data_format("channels_first")
    features = SqueezeNet1_0(weights=None, include_top=False)
    assert features.input_shape == (None, 3, None, None)
    assert features.output_shape == (None, 512, None, None)
    assert SqueezeNet1_0(weights=None).input_shape == (None, 3, 227, 227)


def test_predecessors_of_the_input_tensor_belong_to_the_model(randomize):
    inputs = keras.Input((64, 64, 4), name="image")
    x = layers.Conv2D(3, 1, name="predecessor")(inputs)
    model = SqueezeNet1_1(weights=None, include_top=False, input_tensor=x)
    assert layer_names(model)[:3] == ["image", "predecessor", "conv1"]
    assert [tensor.name for tensor in model.inputs] == ["image"]
    assert run(randomize(model), [images(1, 64, 64, 4)]).any()


def test_input_tensor_decides_the_sides():
    inputs = keras.Input((64, 80, 3))
    model = SqueezeNet1_1(weights=None, input_tensor=inputs)
    assert model.input_shape == (None, 64, 80, 3)
    assert layer_names(model, layers.ZeroPadding2D) == []
    assert model.get_layer("conv10").output.shape == (None, 3, 4, 1000)


@pytest.mark.parametrize(
    "variant, shape, minimum",
    [
        ("1.0", (20, 64, 3), 21),
        ("1.1", (64, 16, 3), 17),
        ("1.1", (None, 16, 3), 17),
        ("1.1", (16, None, 3), 17),
    ],
)
@pytest.mark.parametrize("include_top", [True, False])
def test_too_small_input_tensor_is_refused(
    variant, shape, minimum, include_top
):
    message = (
        f"Input size must be at least {minimum}x{minimum}; Received: "
        f"input_tensor of shape {(None, *shape)}"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        BUILDERS[variant](include_top, None, input_tensor=keras.Input(shape))


@pytest.mark.parametrize(
    "arguments",
    [
        {"weights": "nowhere.weights.h5"},
        {"weights": "ImageNet"},
        {"weights": "imagenet", "classes": 10},
        {"weights": None, "input_shape": (None, None, 3)},
        {"weights": None, "input_shape": (64, 64)},
        {
            "weights": "imagenet",
            "input_shape": (64, 64, 1),
            "include_top": False,
        },
    ],
    ids=str,
)
def test_errors_are_those_of_keras_applications(arguments):
    with pytest.raises(ValueError) as expected:
        keras.applications.VGG16(**arguments)
    with pytest.raises(ValueError) as received:
        SqueezeNet(**arguments)
    # A suggestion may follow.
    message, _, _ = str(received.value).partition(" Did you mean")
    assert message == str(expected.value)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"classes": 10}, "`classes` should be 1000.  Received classes=10"),
        (
            {"weights": "cifar10", "config": "1.1"},
            "`classes` should be 10.  Received classes=1000",
        ),
        ({"weights": "cifar10"}, "config='1.0'"),
        ({"weights": "imagenet_dsb"}, "Did you mean 'imagenet_dsd'?"),
        (
            {"weights": "imagenet_dsd", "config": "1.1"},
            "Received: weights='imagenet_dsd', config='1.1'",
        ),
        (
            {"classifier_activation": "relu"},
            "Only `None` and `softmax` activations are allowed",
        ),
        (
            {"input_shape": (64, 64, 1)},
            "must have 3 channels; Received `input_shape=(64, 64, 1)`",
        ),
        (
            {"input_shape": (64, 64, 1), "include_top": False},
            "must have 3 channels; Received `input_shape=(64, 64, 1)`",
        ),
        (
            {"input_tensor": keras.KerasTensor((None, 64, 64, 4))},
            "must have 3 channels; Received `input_shape=(64, 64, 4)`",
        ),
        (
            {"input_shape": (20, 64, 3)},
            "Input size must be at least 21x21; Received: "
            "input_shape=(20, 64, 3)",
        ),
        (
            {"input_shape": (16, 64, 3), "weights": None, "config": "1.1"},
            "Input size must be at least 17x17; Received: "
            "input_shape=(16, 64, 3)",
        ),
        (
            {"input_shape": (64, None, 3)},
            "If `include_top` is True, you should specify a static "
            "`input_shape`. Received: input_shape=(64, None, 3)",
        ),
        (
            {"include_top": False, "pooling": "sum"},
            "should be one of `None`, 'avg', 'max'.  Received: pooling='sum'",
        ),
        (
            {"config": "2.0"},
            "`config` must be one of '1.0', '1.1', 'simple_bypass', "
            "'complex_bypass', '1.1_simple_bypass', or a `SqueezeNetConfig`. "
            "Received: config='2.0'",
        ),
        (
            {"config": "complex_bypass"},
            "There are no weights 'imagenet' for this network. Pretrained "
            "weights are: 1.0: 'imagenet_dsd'",
        ),
        (
            {"config": SMALL_IMAGES["1.0 for small images"]},
            "Received: weights='imagenet', config=SqueezeNetConfig(",
        ),
    ],
    ids=str,
)
def test_wrong_argument_is_refused_before_anything_is_downloaded(
    arguments, message, monkeypatch
):
    monkeypatch.setattr(
        download, "read", lambda file: pytest.fail("this is a download")
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        SqueezeNet(**{"weights": "imagenet", "config": "1.0", **arguments})


@pytest.fixture
def published(mirror, publish):
    """Return a function that publishes random weights for an entry.

    No other weights are available.
    """

    def published(source):
        arrays = random_weights(source.config, source.classes)
        path = mirror / f"{source.name}_{source.variant}.npz"
        write_npz(path, arrays)
        publish(path, source.name, source.variant)
        return arrays

    return published


@pytest.mark.parametrize(
    "source", registry.ENTRIES, ids=lambda source: source.card
)
def test_named_weights_are_loaded_at_any_size(source, published):
    arrays = published(source)
    model = BUILDERS[source.variant](
        weights=source.name,
        input_shape=(64, 80, 3),
        classes=source.classes,
        classifier_activation=None,
    )
    assert model.input_shape == (None, 64, 80, 3)
    assert model.output_shape == (None, source.classes)
    found = weights_of(model)
    # Into conv1, the normalization is folded.
    assert_same({**found, "conv1": ()}, {**arrays, "conv1": ()})
    # Only these were trained with zeros around conv10.
    assert ("conv10_pad" in layer_names(model)) == (
        not source.variant.startswith("1.1")
        and source.name not in ("imagenet_torchvision", "imagenet_imgclsmob")
    )


def test_named_weights_serve_a_transfer_head(published):
    arrays = published(registry.find("imagenet_dsd"))
    config = dataclasses.replace(
        VARIANTS["1.0"], conv10_activation=None, conv10_padding=0
    )
    model = SqueezeNet(weights="imagenet_dsd", config=config)
    kernel, _ = model.get_layer("conv10").get_weights()
    np.testing.assert_array_equal(kernel, arrays["conv10"][0])
    # The padding is that of `config`.
    assert layer_names(model, layers.ZeroPadding2D) == []
    features = SqueezeNet(
        weights="imagenet_dsd", config=config, include_top=False, classes=10
    )
    kernel, _ = features.get_layer("fire9_expand3x3").get_weights()
    np.testing.assert_array_equal(kernel, arrays["fire9_expand3x3"][0])


def test_features_of_v1_1_take_the_smaller_file_unless_the_whole_is_here(
    published, mirror, shared_data, monkeypatch
):
    source = registry.find("imagenet", "1.1")
    expected, _ = published(source)["fire9_expand3x3"]
    monkeypatch.setenv("KERAS_SQUEEZENET_MIRROR", str(shared_data / "weights"))
    small = SqueezeNet1_1(include_top=False)
    assert os.listdir(download.cache_folder()) == [source.no_top.name]
    assert source.no_top.size == 3_032_184
    monkeypatch.setenv("KERAS_SQUEEZENET_MIRROR", str(mirror))
    SqueezeNet1_1()
    whole = SqueezeNet1_1(include_top=False)
    of_small, of_whole = (
        model.get_layer("fire9_expand3x3").get_weights()[0]
        for model in (small, whole)
    )
    assert not np.array_equal(of_small, expected)
    np.testing.assert_array_equal(of_whole, expected)


def test_weights_of_the_package_give_the_network_that_was_trained():
    model = SqueezeNet1_1(weights="cifar10", classes=10)
    entry = registry.find("cifar10")
    expected = codec.load(download.fetch(entry.file))
    noise = 60 * images(2, 32, 32, 3)
    assert model.input_shape == (None, 32, 32, 3)
    np.testing.assert_allclose(run(model, noise), run(expected, noise), 1e-4)
    features = SqueezeNet(
        include_top=False,
        weights="cifar10",
        input_shape=(48, 48, 3),
        pooling="avg",
        config=entry.config,
    )
    assert features.output_shape == (None, 512)


@pytest.mark.parametrize("frozen", [True, False])
def test_transfer_head_is_trained_with_fit(frozen):
    base = SqueezeNet1_1(
        weights=None, include_top=False, input_shape=(64, 64, 3), pooling="avg"
    )
    base.trainable = not frozen
    head = layers.Dense(3, activation="softmax", name="head")
    model = keras.Model(base.input, head(base.output))
    model.compile(
        optimizer=keras.optimizers.SGD(0.1),
        loss="sparse_categorical_crossentropy",
    )
    weights = {
        name: model.get_layer(name).get_weights()[0]
        for name in ("conv1", "fire9_expand3x3", "head")
    }
    history = model.fit(
        images(6, 64, 64, 3), np.arange(6) % 3, batch_size=6, verbose=0
    )
    assert np.isfinite(history.history["loss"]).all()
    changed = {
        name
        for name, before in weights.items()
        if (model.get_layer(name).get_weights()[0] != before).any()
    }
    assert changed == ({"head"} if frozen else set(weights))


@pytest.mark.parametrize("kind", ["array", "tensor"])
def test_preprocessing_reverses_the_channels_and_centers_them(kind):
    x = np.array([[[[10.0, 20.0, 30.0]]]], "float32")
    expected = [30 - 103.939, 20 - 116.779, 10 - 123.68]
    for data_format, axes in (
        ("channels_last", (0, 1, 2, 3)),
        ("channels_first", (0, 3, 1, 2)),
    ):
        image = x.transpose(axes).copy()
        if kind == "tensor":
            image = keras.ops.convert_to_tensor(image)
        y = keras_squeezenet.preprocess_input(image, data_format)
        assert tuple(y.shape) == tuple(image.shape)
        y = keras.ops.convert_to_numpy(y).ravel()
        np.testing.assert_allclose(y, expected, rtol=1e-6)
