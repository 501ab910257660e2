import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_squeezenet.data import mixing

SIDE = 16


def seed_of(index):
    # The function is traced again for each number that is not an array.
    return np.array([0, index], "int32")


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (6, SIDE, SIDE, 3), "uint8")


@pytest.mark.parametrize("mixup,cutmix", [(0.5, 0.0), (0.0, 1.0)])
def test_labels_are_mixed_as_the_images_are(mixup, cutmix):
    """Images of one level each: their sums tell their shares."""
    levels = np.arange(1, 9, dtype="float32")
    images = np.ones((8, SIDE, SIDE, 3), "float32")
    images *= levels[:, None, None, None]
    mixed, labels = mixing.mix(
        images, np.eye(8, dtype="float32"), seed_of(2), mixup, cutmix
    )
    np.testing.assert_allclose(labels.numpy().sum(1), 1, rtol=1e-5)
    assert (labels.numpy().max(1) < 0.999).any()
    expected = labels.numpy() @ levels
    np.testing.assert_allclose(
        mixed.numpy().mean((1, 2, 3)), expected, rtol=1e-5
    )


def test_each_batch_is_mixed_in_one_of_two_ways(batch):
    images = batch.astype("float32")
    # Pasting leaves whole numbers.
    pasted = []
    for index in range(20):
        mixed, _ = mixing.mix(
            images, np.eye(6, dtype="float32"), seed_of(index), 0.9, 1.0
        )
        pasted.append(bool((mixed.numpy() % 1 == 0).all()))
    assert 3 < sum(pasted) < 17


def test_nothing_is_mixed_unless_asked_for(batch):
    mixed, labels = mixing.mix(batch, np.eye(6), seed_of(1))
    np.testing.assert_array_equal(mixed, batch)
    np.testing.assert_array_equal(labels, np.eye(6))


def test_mixtures_follow_from_their_seed_alone(batch):
    images, labels = batch.astype("float32"), np.eye(6, dtype="float32")
    first, other, again = (
        mixing.mix(images, labels, seed_of(index), 0.2, 0.5)[0].numpy()
        for index in (3, 4, 3)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("mixup,cutmix", [(0.5, 0.0), (0.0, 1.0)])
def test_shares_are_distributed_as_in_keras(mixup, cutmix):
    """The quarters of the shares of 200 batches."""
    layer = keras.layers.MixUp(mixup) if mixup else keras.layers.CutMix(cutmix)
    images = tf.zeros((32, 32, 32, 1))

    def quarters(shares):
        return np.histogram(shares, 4, (0, 1))[0] / np.size(shares)

    keras.utils.set_random_seed(0)
    expected = [
        np.ravel(layer.get_random_transformation(images)["mix_weight"])
        for _ in range(200)
    ]
    labels = tf.eye(32)
    own = [
        np.diag(mixing.mix(images, labels, seed_of(index), mixup, cutmix)[1])
        for index in range(200)
    ]
    np.testing.assert_allclose(quarters(own), quarters(expected), atol=0.06)
