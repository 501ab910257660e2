import keras
import numpy as np
import pytest

from keras_squeezenet.codec import encodings
from keras_squeezenet.evaluation import metrics
from keras_squeezenet.packing import code_training
from keras_squeezenet.packing import rate_distortion
from keras_squeezenet.utils import cpu

STEPS = 100


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
def coarse(small_model):
    """The weights quantized with large step sizes."""
    found = {}
    for layer in small_model.layers:
        for part, weights in zip(("kernel", "bias"), layer.get_weights()):
            largest = max(np.abs(weights).max(), 1e-3)
            step = float(np.float32(largest / (2 if part == "kernel" else 64)))
            codes = np.rint(weights / step).astype("int64")
            found[f"{layer.name}/{part}"] = encodings.UniformArray(codes, step)
    return found


@pytest.fixture(scope="module", params=["float32", "mixed_bfloat16"])
def precision(request):
    """The dtype policy that training computes in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu, "precision", lambda: request.param)
        yield request.param


@pytest.fixture(scope="module")
def trained(small_model, images, coarse, precision):
    """The arrays after training at two lambdas.

    One trainer is traced for both. Its teacher is frozen, like a backbone.
    """
    before = small_model.get_weights()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_model, "trainable", False)
        trainer = code_training.CodeTrainer(small_model, coarse, STEPS)
    assert trainer.student.layers[1].dtype_policy.name == precision
    assert trainer.student.layers[-1].dtype_policy.name == "float32"
    variables = [*trainer.codes, *trainer.optimizer.variables]
    initial = [variable.numpy() for variable in variables]
    found = {}
    for lambda_ in (0.0, 1e-2):
        for variable, value in zip(variables, initial):
            variable.assign(value)
        seen = []
        trainer.train(
            code_training.batches(images, STEPS, seed=0),
            lambda_,
            lambda kl, seen=seen: seen.append(kl),
        )
        assert len(seen) == STEPS and np.all(np.isfinite(seen))
        found[lambda_] = trainer.arrays()
    for one, other in zip(before, small_model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    return found


def test_training_recovers_the_outputs(small_model, images, coarse, trained):
    before = divergence(small_model, images, coarse)
    assert divergence(small_model, images, trained[0.0]) < 0.7 * before


def test_larger_lambda_gives_fewer_bits(small_model, images, trained):
    assert entropy(trained[1e-2]) < 0.9 * entropy(trained[0.0])
    before, after = (
        divergence(small_model, images, trained[lambda_])
        for lambda_ in (0.0, 1e-2)
    )
    assert after > before


def test_step_sizes_and_shapes_do_not_change(coarse, trained):
    assert list(trained[0.0]) == list(coarse)
    for name, array in trained[0.0].items():
        assert array.step == coarse[name].step
        assert array.codes.shape == coarse[name].codes.shape
        assert array.codes.dtype == "int64"


def test_training_begins_with_the_codes(small_model, coarse, precision):
    trainer = code_training.CodeTrainer(small_model, coarse, steps=1)
    kernels = small_model.get_weights()[::2]
    begun = trainer.codes[::2]
    for name, array in trainer.arrays().items():
        np.testing.assert_array_equal(array.codes, coarse[name].codes)
    # Between codes they are where the original weights are.
    steps = [*trainer.steps.values()][::2]
    for kernel, codes, step in zip(kernels, begun, steps):
        errors = np.abs(kernel / step - codes.numpy())
        inside = codes.numpy() != 0
        assert inside.any() and errors[inside].max() <= 0.101


def test_zeros_stay_zero(coarse, trained):
    for name, array in trained[0.0].items():
        if name.endswith("kernel"):
            zeros = coarse[name].codes == 0
            assert zeros.any() and not array.codes[zeros].any(), name


def test_layers_of_a_frozen_model_are_trained(coarse, trained):
    for name, array in trained[0.0].items():
        if name.endswith("kernel"):
            assert np.any(array.codes != coarse[name].codes), name


def test_seed_determines_as_many_batches_as_steps(test_images):
    one, other, another = (
        np.stack(list(code_training.batches(test_images, 3, seed)))
        for seed in (0, 0, 1)
    )
    assert one.shape == (3, code_training.BATCH_SIZE, *test_images.shape[1:])
    np.testing.assert_array_equal(one, other)
    assert np.any(one != another)
    # The images are cropped and flipped.
    originals = {image.tobytes() for image in test_images}
    assert not all(image.tobytes() in originals for image in one[0])


def test_one_step_trains_frozen_layers_too(
    small_model, images, coarse, precision, monkeypatch
):
    monkeypatch.setattr(code_training, "DRIFT", 2.0)
    monkeypatch.setattr(small_model.layers[1], "trainable", False)
    trainer = code_training.CodeTrainer(small_model, coarse, steps=1)
    trainer.train([images[:8]], lambda_=0.0)
    found = trainer.arrays()
    assert list(found) == list(coarse)
    for name, array in found.items():
        if name.endswith("kernel"):
            assert np.any(array.codes != coarse[name].codes), name


def test_targets_and_weights_of_a_training_set_are_learned(
    small_model, images, coarse, precision
):
    student = keras.models.clone_model(small_model)
    classes = small_model.output_shape[-1]
    # All images shall have the last class, and the second half counts nothing.
    targets = np.eye(classes, dtype="float32")[[classes - 1] * 8 + [0] * 8]
    weights = np.repeat([1.0, 0.0], 8).astype("float32")
    trainer = code_training.CodeTrainer(
        small_model, coarse, 60, keras.losses.categorical_crossentropy
    )
    losses = []
    trainer.train(
        [(images[:16], targets, weights)] * 60,
        0.0,
        lambda loss: losses.append(loss),
    )
    student.set_weights([each.to_array() for each in trainer.arrays().values()])
    outputs = student.predict_on_batch(images[:16])[:, -1]
    before = -np.log(small_model.predict_on_batch(images[:8])[:, -1]).mean()
    # The loss is the mean of all 16 images.
    assert losses[-1] < losses[0] and 2 * losses[-1] < before
    np.testing.assert_allclose(
        losses[-1], -np.log(outputs[:8]).sum() / 16, rtol=0.2
    )
