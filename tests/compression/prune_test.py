import numpy as np
import pytest
import tensorflow as tf

from keras_squeezenet import kernels as statistics
from keras_squeezenet.compression import guarantees
from keras_squeezenet.compression import prune
from keras_squeezenet.compression import tfmot
from keras_squeezenet.compression import twin as twins


def densities_of(model, density):
    return {name: density for name in twins.kernels(model) if name != "conv1"}


def test_every_kernel_gets_its_density_and_conv1_stays_dense(make_model, fit):
    model = make_model()
    before = twins.kernels(model)
    densities = densities_of(model, 0.25) | {"conv10": 0.1}
    prune.prune(model, densities, fit, steps=6)
    kernels = twins.kernels(model)
    for name, density in densities.items():
        kept = np.count_nonzero(kernels[name]) / kernels[name].size
        assert kept == pytest.approx(density, abs=1 / kernels[name].size)
    assert np.count_nonzero(kernels["conv1"]) == kernels["conv1"].size
    # It was trained, not only cut.
    assert np.any(kernels["conv1"] != before["conv1"])


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 99, 100, 101, 1250])
def test_last_update_of_the_masks_has_the_final_density(steps):
    schedule = prune.schedule(0.33, steps)
    updates = [
        (step, float(schedule(tf.constant(step))[1]))
        for step in range(steps)
        if bool(schedule(tf.constant(step))[0])
    ]
    last_step, last_sparsity = updates[-1]
    assert last_sparsity == pytest.approx(0.67)
    assert last_step <= max(1, steps * prune.PRUNING_SHARE)
    assert len(updates) <= 2 * prune.MASK_UPDATES or steps == 1


def test_default_frequency_of_tfmot_would_be_noticed(
    make_model, fit, monkeypatch
):
    """In a short stage it prunes nothing, silently."""
    monkeypatch.setattr(
        prune,
        "schedule",
        lambda density, steps: tfmot.PolynomialDecay(
            0.0, 1 - density, begin_step=0, end_step=steps
        ),
    )
    model = make_model()
    before = model.get_weights()
    with pytest.raises(
        guarantees.GuaranteeError, match="should keep 50.00% .* 100.00%"
    ):
        prune.prune(model, densities_of(model, 0.5), fit, steps=6)
    for expected, received in zip(before, model.get_weights()):
        np.testing.assert_array_equal(expected, received)


def test_density_of_one_prunes_nothing(make_model, fit):
    model = make_model()
    prune.prune(model, densities_of(model, 1.0), fit, steps=2)
    assert statistics.overall_density(twins.kernels(model)) == 1
