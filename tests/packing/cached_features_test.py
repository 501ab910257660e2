import keras
import numpy as np
import pytest

from keras_squeezenet.data import splits
from keras_squeezenet.packing import cached_features
from keras_squeezenet.utils import cpu
from keras_squeezenet.utils.progress import Progress


@pytest.fixture
def parts(trained_model):
    front, rest = cached_features.divide(trained_model)
    return trained_model, front, rest


def cache(front, split, count=1, seed=0):
    return cached_features.cache(front, split, count, seed, Progress())


def examples(split, epoch, start=0):
    return [
        [np.asarray(part) for part in batch]
        for batch in split.batches(epoch, start)
    ]


def test_parts_compute_what_the_network_computes(parts, test_images):
    model, front, rest = parts
    share = front.count_params() / model.count_params()
    assert 0 < share <= cached_features.MAX_SHARE
    np.testing.assert_allclose(
        rest.predict_on_batch(front.predict_on_batch(test_images)),
        model.predict_on_batch(test_images),
        atol=1e-6,
    )


def test_front_ends_at_the_last_pooling_that_has_few_weights_before_it():
    chain = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(2, 1),
            keras.layers.MaxPooling2D(name="first"),
            keras.layers.Conv2D(4, 3),
            keras.layers.MaxPooling2D(name="second"),
            keras.layers.Conv2D(16, 3, name="large"),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )
    model = keras.Model(chain.inputs[0], chain.outputs[0])
    front, _ = cached_features.divide(model)
    assert front.layers[-1].name == "second"
    headless = keras.Model(model.input, model.get_layer("second").output)
    front, _ = cached_features.divide(headless)
    assert front.layers[-1].name == "first"
    assert (
        cached_features.divide(keras.Model(front.input, front.output)) is None
    )


@pytest.mark.parametrize(
    "precision, tolerance", [("float32", 1e-2), ("mixed_bfloat16", 5e-2)]
)
def test_validation_set_keeps_its_order(
    parts, dataset, monkeypatch, precision, tolerance
):
    monkeypatch.setattr(cpu, "precision", lambda: precision)
    model, front, rest = parts
    split = splits.evaluation_split(dataset, 16, "validation")
    cached = cache(front, split)
    assert cached.steps == split.steps
    expected, received = examples(split, 0), examples(cached, 0)
    for (images, labels), (features, found) in zip(
        expected, received, strict=True
    ):
        np.testing.assert_array_equal(labels, found)
        np.testing.assert_allclose(
            rest.predict_on_batch(features),
            model.predict_on_batch(images),
            atol=tolerance,
        )
    last, *_ = examples(cached, 3, start=split.steps - 1)
    np.testing.assert_array_equal(last[0], received[-1][0])


def test_training_set_is_shuffled_by_seed_and_epoch(parts, dataset):
    _, front, _ = parts
    cached = cache(front, splits.training_split(dataset, 16))

    def order(epoch, start=0, cached=cached):
        features = [x for x, *_ in examples(cached, epoch, start)]
        return np.concatenate(features).mean(axis=(1, 2, 3))

    assert len(order(0)) == cached.steps * cached.batch_size
    np.testing.assert_array_equal(order(1), order(1))
    np.testing.assert_array_equal(order(1, start=1), order(1)[16:])
    assert not np.array_equal(order(0), order(1))
    np.testing.assert_array_equal(np.sort(order(0)), np.sort(order(1)))


def test_each_pass_is_augmented_otherwise_and_used_in_turn(parts, dataset):
    _, front, _ = parts
    split = splits.training_split(dataset, 16, augmentation="flip_crop")
    cached = cache(front, split, 2)

    def values(epoch):
        return np.sort(
            np.concatenate([x.ravel() for x, *_ in examples(cached, epoch)])
        )

    assert not np.array_equal(values(0), values(1))
    np.testing.assert_array_equal(values(0), values(2))


def test_batches_of_the_user_keep_their_order(parts, dataset):
    _, front, _ = parts
    given = dataset.train_batches(16).take(3).cache()
    split = splits.training_split(given, 16)
    cached = cache(front, split)
    for (_, labels), (_, found) in zip(
        examples(split, 0), examples(cached, 5), strict=True
    ):
        np.testing.assert_array_equal(labels, found)


def test_features_beyond_float16_become_its_largest_number(dataset):
    inputs = keras.Input((dataset.image_size, dataset.image_size, 3))
    front = keras.Model(inputs, keras.layers.Rescaling(1e9)(inputs))
    split = splits.evaluation_split(dataset, 16, "validation")
    features = np.concatenate([x for x, *_ in examples(cache(front, split), 0)])
    assert features.max() == np.finfo("float16").max
    assert features.min() == np.finfo("float16").min


def test_passes_fit_into_memory(parts, monkeypatch):
    _, front, _ = parts
    one = 2 * 100 * np.prod(front.output_shape[1:])
    monkeypatch.setattr(cached_features, "MAX_BYTES", int(2.5 * one))
    assert cached_features.passes(front, 100) == 2
    assert cached_features.passes(front, 300) == 0


def test_network_that_takes_more_than_the_front_s_output_has_none():
    layers = keras.layers
    inputs = keras.Input((16, 16, 3))
    early = layers.Conv2D(2, 1)(inputs)
    pooled = layers.MaxPooling2D()(early)
    late = layers.Conv2D(64, 3, padding="same")(pooled)
    branches = [layers.GlobalAveragePooling2D()(x) for x in (early, late)]
    one, both = late, layers.Concatenate()(branches)
    assert cached_features.divide(keras.Model(inputs, one)) is not None
    assert cached_features.divide(keras.Model(inputs, both)) is None
