import numpy as np
import pytest
import tensorflow as tf

from keras_squeezenet.compression import Recipe
from keras_squeezenet.compression import checks
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression import tfmot
from keras_squeezenet.compression.stages import prune
from keras_squeezenet.evaluation import kernel_statistics


def densities_of(model, density):
    return {
        name: density
        for name in tf_keras_twin.kernels(model)
        if name != "conv1"
    }


def run(model, densities, fit, steps, **options):
    recipe = Recipe(densities={**densities, "*": 1}, **options)
    stage = prune.Prune(model, recipe)
    trainee = stage.wrap(steps, [])
    fit(trainee, steps, stage.callbacks)
    stage.finish(trainee)


@pytest.mark.parametrize("schedule", ["polynomial", "constant", "iterative"])
def test_every_kernel_gets_its_density_and_conv1_stays_dense(
    schedule, make_model, fit
):
    model = make_model()
    before = tf_keras_twin.kernels(model)
    densities = densities_of(model, 0.25) | {"conv10": 0.1}
    run(model, densities, fit, steps=6, prune_schedule=schedule)
    kernels = tf_keras_twin.kernels(model)
    for name, density in densities.items():
        kept = np.count_nonzero(kernels[name]) / kernels[name].size
        assert kept == pytest.approx(density, abs=1 / kernels[name].size)
    assert np.count_nonzero(kernels["conv1"]) == kernels["conv1"].size
    # It was trained, not only cut.
    assert np.any(kernels["conv1"] != before["conv1"])


@pytest.mark.parametrize("kept_before", [0.1, 1])
def test_weights_of_equal_magnitude_are_kept_as_asked(
    kept_before, make_model, fit
):
    """As in a packed network, whose kernels have few distinct values."""
    model = make_model()
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if layer.weights:
            shape = layer.kernel.shape
            signs = rng.choice([-1, 1], shape) * (
                rng.random(shape) < kept_before
            )
            layer.kernel.assign(signs / 16)
    before = tf_keras_twin.kernels(model)
    run(model, densities_of(model, 0.25), fit, steps=2)
    for name, kernel in tf_keras_twin.kernels(model).items():
        if name == "conv1":
            continue
        kept = np.count_nonzero(kernel)
        if kept_before == 0.1:
            assert np.all(kernel[before[name] != 0]), name
            assert kept <= round(kernel.size / 4), name
        else:
            assert kept == round(kernel.size / 4), name
            # They are not all at one end.
            assert np.count_nonzero(kernel[:, :, : kernel.shape[2] // 2])


def updates(schedule, steps):
    """Return the steps, from 1, at which the masks change, with densities."""
    return [
        (step, 1 - float(schedule(tf.constant(step))[1]))
        for step in range(1, steps + 1)
        if bool(schedule(tf.constant(step))[0])
    ]


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 99, 100, 101, 1250])
@pytest.mark.parametrize("name", ["polynomial", "constant", "iterative"])
def test_last_update_of_the_masks_has_the_final_density(name, steps):
    found = updates(prune.make_schedule(name, 0.33, steps, rounds=4), steps)
    last_step, last_density = found[-1]
    assert last_density == pytest.approx(0.33)
    assert prune.settled_after(name, steps, rounds=4) == last_step
    assert (
        last_step
        <= {
            "polynomial": max(1, steps * prune.PRUNING_SHARE),
            "constant": 1,
            "iterative": 1 + steps * 3 / 4,
        }[name]
    )
    assert len(found) <= prune.MASK_UPDATES + 1


def test_rounds_keep_the_same_share_each():
    schedule = prune.make_schedule("iterative", 1 / 16, 103, rounds=4)
    found = updates(schedule, 103)
    assert [step for step, _ in found] == [1, 26, 51, 76]
    assert [density for _, density in found] == pytest.approx(
        [1 / 2, 1 / 4, 1 / 8, 1 / 16]
    )


def test_two_of_four_input_channels_are_kept(make_model, fit):
    model = make_model()
    kernels = tf_keras_twin.kernels(model)
    names = [
        name
        for name, kernel in kernels.items()
        if prune.fits_pattern(kernel, "2:4")
    ]
    assert "conv1" not in names and len(names) == 7
    run(model, dict.fromkeys(names, 0.5), fit, steps=2, prune_pattern="2:4")
    for name, kernel in tf_keras_twin.kernels(model).items():
        groups = np.moveaxis(kernel, 2, -1).reshape(-1, 4)
        if name in names:
            assert set(np.count_nonzero(groups, axis=1)) == {2}, name


def test_default_frequency_of_tfmot_would_be_noticed(
    make_model, fit, monkeypatch
):
    """A short stage would silently prune nothing."""
    monkeypatch.setattr(
        prune,
        "make_schedule",
        lambda name, density, steps, rounds: tfmot.PolynomialDecay(
            0.0, 1 - density, begin_step=0, end_step=steps
        ),
    )
    model = make_model()
    before = model.get_weights()
    with pytest.raises(checks.CheckError, match="must keep 50.00% .* 100.00%"):
        run(model, densities_of(model, 0.5), fit, steps=6)
    np.testing.assert_equal(before, model.get_weights())


def test_density_of_one_prunes_nothing(make_model, fit):
    model = make_model()
    run(model, densities_of(model, 1.0), fit, steps=2)
    assert kernel_statistics.overall_density(tf_keras_twin.kernels(model)) == 1


def test_kernels_may_have_zeros_before(make_model, fit):
    """Weights from a `.sqz` file have some; a dead filter stays zero."""
    model = make_model()
    layer = model.get_layer("fire2_expand1x1")
    kernel, bias = layer.get_weights()
    kernel[..., :2] = 0
    bias[:2] = -1
    layer.set_weights([kernel, bias])
    run(model, densities_of(model, 1.0), fit, steps=2)
    kept = np.count_nonzero(tf_keras_twin.kernels(model)["fire2_expand1x1"])
    assert kept < kernel.size
