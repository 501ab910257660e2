import keras
import numpy as np
import pytest

from keras_squeezenet.codec import encodings
from keras_squeezenet.evaluation import metrics
from keras_squeezenet.packing import code_training
from keras_squeezenet.packing import rate_distortion

STEPS = 60


def divergence(model, images, arrays):
    coded = keras.models.clone_model(model)
    coded.set_weights([array.to_array() for array in arrays.values()])
    return metrics.divergence(
        model.predict_on_batch(images), coded.predict_on_batch(images)
    )


def entropy(arrays):
    return sum(
        rate_distortion.entropy(array.codes)
        for array in arrays.values()
        if array.codes.ndim > 1
    )


@pytest.fixture(scope="module")
def coarse(trained_model):
    """The weights in few steps."""
    found = {}
    for layer in trained_model.layers:
        for part, weights in zip(("kernel", "bias"), layer.get_weights()):
            largest = max(np.abs(weights).max(), 1e-3)
            step = float(np.float32(largest / (3 if part == "kernel" else 64)))
            codes = np.rint(weights / step).astype("int64")
            found[f"{layer.name}/{part}"] = encodings.UniformArray(codes, step)
    return found


@pytest.fixture(scope="module")
def train(trained_model, test_images, coarse):
    def train(lambda_):
        student = keras.models.clone_model(trained_model)
        trainer = code_training.CodeTrainer(
            trained_model, student, coarse, STEPS
        )
        seen = []
        trainer.train(
            code_training.batches(test_images, STEPS, seed=0),
            lambda_,
            lambda kl: seen.append(kl),
        )
        assert len(seen) == STEPS and np.all(np.isfinite(seen))
        return trainer.arrays()

    return train


@pytest.fixture(scope="module")
def trained(train):
    return train(lambda_=0.0)


def test_training_brings_the_outputs_back(
    trained_model, test_images, coarse, trained
):
    before = divergence(trained_model, test_images, coarse)
    assert divergence(trained_model, test_images, trained) < 0.7 * before


def test_bits_are_fewer_where_they_are_worth_something(
    train, trained_model, test_images, trained
):
    cheaper = train(lambda_=1e-3)
    assert entropy(cheaper) < 0.9 * entropy(trained)
    before = divergence(trained_model, test_images, trained)
    assert divergence(trained_model, test_images, cheaper) > before


def test_steps_and_shapes_stay(coarse, trained):
    assert list(trained) == list(coarse)
    for name, array in trained.items():
        assert array.step == coarse[name].step
        assert array.codes.shape == coarse[name].codes.shape
        assert array.codes.dtype == "int64"


def test_frozen_layers_are_trained_and_the_teacher_is_not(
    train, trained_model, coarse
):
    before = trained_model.get_weights()
    trained_model.trainable = False
    try:
        changed = train(lambda_=0.0)
    finally:
        trained_model.trainable = True
    moved = [
        name
        for name, array in changed.items()
        if np.any(array.codes != coarse[name].codes)
    ]
    assert len(moved) > len(coarse) / 2
    for one, other in zip(before, trained_model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_batches_are_as_many_as_asked_for_and_the_same_for_a_seed(test_images):
    one, other, another = (
        np.stack(list(code_training.batches(test_images, 3, seed)))
        for seed in (0, 0, 1)
    )
    assert one.shape == (3, code_training.BATCH_SIZE, *test_images.shape[1:])
    np.testing.assert_array_equal(one, other)
    assert np.any(one != another)
    # Moved and mirrored.
    originals = {image.tobytes() for image in test_images}
    assert not all(image.tobytes() in originals for image in one[0])
