import keras
import numpy as np
import pytest

from keras_squeezenet import codec
from keras_squeezenet import graph
from keras_squeezenet import models
from keras_squeezenet.compression import Recipe
from keras_squeezenet.compression import channels
from keras_squeezenet.compression import filter_costs
from keras_squeezenet.compression.stages import prune_filters
from keras_squeezenet.evaluation import layer_latencies
from keras_squeezenet.evaluation import layer_trials
from keras_squeezenet.export import litert
from keras_squeezenet.export import litert_file
from keras_squeezenet.utils.progress import Progress

STAGES = ("prune_filters",)


def macs(model):
    description = graph.describe(model)
    traced = channels.trace(description)
    counts = traced.counts(np.full(len(traced.removable), True))
    return filter_costs.total(filter_costs.macs(description), counts)


def run(model, calibration, **options):
    """Return the stage after filters are removed, without training."""
    recipe = Recipe(stages=STAGES, **options)
    stage = prune_filters.PruneFilters(model, recipe)
    stage.chosen = stage.choose(calibration, Progress())
    stage.finish(stage.wrap(0, calibration))
    return stage


@pytest.mark.parametrize("bypass", [None, "simple", "complex"])
def test_network_keeps_its_share_of_the_operations(
    bypass, make_model, calibration
):
    keras.utils.set_random_seed(0)
    model = make_model(bypass=bypass)
    before = model.get_weights()
    stage = run(model, calibration, target_macs=0.5)
    assert 0.4 < macs(stage.model) / macs(model) <= 0.5
    # It is a network of ordinary layers, and the original is left alone.
    assert stage.model.count_params() < model.count_params()
    np.testing.assert_equal(model.get_weights(), before)
    expected = model.predict_on_batch(calibration[0])
    found = stage.model.predict_on_batch(calibration[0])
    uniform = np.full_like(expected, 1 / expected.shape[-1])
    assert divergence(expected, found) < 0.5 * divergence(expected, uniform)


def divergence(expected, received):
    return float(np.mean(np.sum(expected * np.log(expected / received), -1)))


def test_every_file_takes_the_result(make_model, calibration, tmp_path):
    stage = run(make_model(), calibration, target_macs=0.5)
    expected = stage.model.predict_on_batch(calibration[0])
    codec.save(stage.model, tmp_path / "model.sqz")
    loaded = codec.load(tmp_path / "model.sqz")
    np.testing.assert_allclose(
        loaded.predict_on_batch(calibration[0]), expected, atol=1e-6
    )
    models.save(stage.model, tmp_path / "model.keras")
    loaded = models.load(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.predict_on_batch(calibration[0]), expected, atol=1e-6
    )
    content = litert.convert_float32(stage.model)
    np.testing.assert_allclose(
        litert_file.LiteRTModel(content)(calibration[0]), expected, atol=1e-5
    )


def test_parameters_are_a_target_too(make_model, calibration):
    model = make_model()
    stage = run(model, calibration, target_parameters=0.6)
    assert 0.5 < stage.model.count_params() / model.count_params() <= 0.6


def test_latency_is_a_target_by_the_table_of_the_runtime(
    make_model, calibration, monkeypatch
):
    class Latencies:
        rest = 0.1
        blocks = (1, 8)

        def layer(self, name, in_channels, out_channels):
            return 1e-4 * in_channels * -(-out_channels // 8)

    def measure(model, runtime, threads, progress):
        assert (runtime, threads) == ("onnx", 2)
        return Latencies()

    def time_networks(networks, *options):
        assert options[:3] == ("onnx", 2, 1)
        # The first choice is slower than the table says.
        times.append(macs(networks[1]) / macs(networks[0]))
        return [1.0, times[-1] * (1.5 if len(times) == 1 else 1)]

    times = []
    monkeypatch.setattr(layer_latencies, "measure", measure)
    monkeypatch.setattr(layer_trials, "measure", time_networks)
    model = make_model()
    traced = channels.trace(graph.describe(model))
    full = filter_costs.total(
        Latencies(), traced.counts(np.full(len(traced.removable), True))
    )
    target = 0.1 + 0.6 * (full - 0.1)
    options = {
        "target_latency": target,
        "latency_runtime": "onnx",
        "latency_threads": 2,
    }
    stage = run(model, calibration, **options)
    traced = channels.trace(graph.describe(stage.model))
    found = filter_costs.total(
        Latencies(), traced.counts(np.full(len(traced.removable), True))
    )
    assert found <= target
    assert len(times) > 1
    for too_much in (0.1, full):
        recipe = Recipe(
            stages=STAGES, **{**options, "target_latency": too_much}
        )
        with pytest.raises(ValueError, match="`target_latency` must be .* ms"):
            prune_filters.PruneFilters.require_possible(
                model, recipe, Progress()
            )


def test_target_that_leaves_a_layer_without_a_filter_is_refused(make_model):
    recipe = Recipe(stages=STAGES, target_macs=1e-6)
    with pytest.raises(
        ValueError, match="with one filter in each layer .* target_macs=1e-06"
    ):
        prune_filters.PruneFilters.require_possible(
            make_model(), recipe, Progress()
        )


def test_frozen_layers_keep_their_weights(make_model, calibration):
    model = make_model()
    frozen = ("conv1", "fire2_squeeze1x1")
    for name in frozen:
        model.get_layer(name).trainable = False
    stage = run(model, calibration, target_macs=0.8, keep_frozen=True)
    for name in frozen:
        layer = stage.model.get_layer(name)
        np.testing.assert_equal(
            layer.get_weights(), model.get_layer(name).get_weights()
        )
        assert not layer.trainable
    assert stage.model.count_params() < model.count_params()


def test_relaxed_stage_removes_a_quarter_less():
    relax = prune_filters.PruneFilters.relax
    assert relax(Recipe(stages=STAGES, target_macs=0.2), 1).target_macs == (
        pytest.approx(0.4)
    )
    assert relax(Recipe(stages=STAGES), 2).target_macs == (
        pytest.approx(1 - 0.5 * 0.75**2)
    )
    relaxed = relax(Recipe(stages=STAGES, target_latency=1.5), 1)
    assert relaxed.target_latency == pytest.approx(2.0)
