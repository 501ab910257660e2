import keras
import numpy as np
import pytest
import quarters

from keras_squeezenet import graph
from keras_squeezenet.compression import channels


def describe(x, outputs):
    return graph.describe(keras.Model(x, outputs))


def conv(filters, name, **options):
    return keras.layers.Conv2D(filters, 1, name=name, **options)


def smaller(model, traced, kept):
    """Return the network with the kept channels, and their weights."""
    description, weights = channels.remove(
        graph.describe(model),
        {name: model.get_layer(name).get_weights() for name in traced.outputs},
        traced,
        kept,
    )
    built = graph.build(keras, description)
    for name, arrays in weights.items():
        built.get_layer(name).set_weights(arrays)
    return built


def test_concatenation_shifts_the_second_inputs():
    x = keras.Input((4, 4, 3))
    joined = keras.layers.Concatenate()([conv(2, "a")(x), conv(3, "b")(x)])
    traced = channels.trace(describe(x, conv(4, "c")(joined)))
    a, b = traced.outputs["a"], traced.outputs["b"]
    assert traced.inputs["c"].tolist() == [*a, *b]
    assert len({*a, *b}) == 5


def test_addition_ties_channels_and_a_later_one_ties_more():
    x = keras.Input((4, 4, 3))
    a, b, c = (conv(2, name)(x) for name in "abc")
    added = keras.layers.Add()([a, b])
    again = keras.layers.Add()([added, c])
    traced = channels.trace(describe(x, conv(4, "d")(again)))
    assert traced.outputs["a"].tolist() == traced.outputs["b"].tolist()
    assert traced.outputs["a"].tolist() == traced.outputs["c"].tolist()
    assert traced.inputs["d"].tolist() == traced.outputs["a"].tolist()
    assert len(set(traced.outputs["a"])) == 2


def test_inputs_and_classes_stay():
    x = keras.Input((4, 4, 3))
    hidden = conv(2, "a")(x)
    softened = conv(5, "b", activation="softmax")(hidden)
    traced = channels.trace(describe(x, conv(4, "c")(softened)))
    assert not traced.removable[traced.inputs["a"]].any()
    assert not traced.removable[traced.outputs["c"]].any()
    # A softmax depends on all channels.
    assert not traced.removable[traced.outputs["b"]].any()
    assert traced.removable[traced.outputs["a"]].all()


def test_vectors_are_joined_along_their_only_axis():
    x = keras.Input((4, 4, 3))
    vectors = [
        keras.layers.GlobalAveragePooling2D()(conv(2, name)(x)) for name in "ab"
    ]
    joined = keras.layers.Concatenate(axis=1)(vectors)
    head = keras.layers.Dense(4, name="head")(joined)
    traced = channels.trace(describe(x, head))
    assert len(set(traced.inputs["head"])) == 4


def test_images_joined_side_by_side_share_their_channels():
    x = keras.Input((4, 4, 3))
    joined = keras.layers.Concatenate(axis=1)(
        [conv(2, "a")(x), conv(2, "b")(x)]
    )
    traced = channels.trace(describe(x, conv(4, "c")(joined)))
    assert traced.inputs["c"].tolist() == traced.outputs["b"].tolist()
    assert traced.outputs["a"].tolist() == traced.outputs["b"].tolist()


@pytest.mark.parametrize("bypass", [None, "simple", "complex"])
def test_channels_that_are_zero_can_be_removed_without_a_difference(bypass):
    model = quarters.make_squeezenet(bypass=bypass, conv10_padding=1)
    traced = channels.trace(graph.describe(model))
    rng = np.random.default_rng(0)
    kept = ~traced.removable | (rng.random(len(traced.removable)) < 0.5)
    for name, outputs in traced.outputs.items():
        kernel, bias = model.get_layer(name).get_weights()
        bias = rng.normal(size=bias.shape) * 0.1
        model.get_layer(name).set_weights(
            [kernel * kept[outputs], bias * kept[outputs]]
        )
    removed = smaller(model, traced, kept)
    images = rng.normal(size=(2, 16, 16, 3)).astype("float32") * 50
    np.testing.assert_allclose(
        removed.predict_on_batch(images),
        model.predict_on_batch(images),
        atol=1e-6,
    )
    assert removed.count_params() < 0.4 * model.count_params()


def test_bypasses_tie_whole_chains():
    model = quarters.make_squeezenet(bypass="simple")
    traced = channels.trace(graph.describe(model))
    # fire3 adds the output of fire2 to its own.
    assert (
        traced.outputs["fire2_expand1x1"].tolist()
        == traced.outputs["fire3_expand1x1"].tolist()
    )
    free = channels.trace(graph.describe(quarters.make_squeezenet()))
    assert not np.isin(
        free.outputs["fire2_expand1x1"], free.outputs["fire3_expand1x1"]
    ).any()


def test_layers_that_are_kept_keep_all_their_channels():
    x = keras.Input((4, 4, 3))
    outputs = conv(4, "c")(conv(3, "b")(conv(2, "a")(x)))
    traced = channels.trace(describe(x, outputs))
    channels.keep(traced, ["b"])
    # Those of `a` are the inputs of `b`.
    assert not traced.removable.any()
