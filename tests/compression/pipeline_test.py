import dataclasses
import json
import os
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_squeezenet import SqueezeNet
from keras_squeezenet import SqueezeNetConfig
from keras_squeezenet import compression
from keras_squeezenet import training
from keras_squeezenet.compression import checks
from keras_squeezenet.compression import pipeline
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.evaluation import kernel_statistics
from keras_squeezenet.export import litert
from keras_squeezenet.export import saved_model
from keras_squeezenet.training import optimizers

RECIPE = compression.Recipe(
    prune_epochs=12,
    cluster_epochs=6,
    quantize_epochs=6,
    batch_size=16,
    finetune_learning_rate=1e-3,
    densities={"conv1": 1, "*_squeeze1x1": 1, "*": 0.7},
    bits={"*": 3},
)


def run(model, dataset, recipe, out, **options):
    return compression.compress(
        model, dataset.split_validation(0.25), recipe=recipe, out=out, **options
    )


def run_arrays(model, arrays, recipe, out, **options):
    return compression.compress(
        model, arrays, arrays, recipe=recipe, out=out, **options
    )


@pytest.fixture(scope="module")
def compressed(make_model, dataset, tmp_path_factory):
    """The model, its report and the output folder of one whole run."""
    keras.utils.set_random_seed(0)
    out = tmp_path_factory.mktemp("pipeline") / "out"
    model = make_model()
    optimizers.compile_classifier(keras, model, 160, 1e-3)
    model.fit(dataset.train_batches(16), steps_per_epoch=160, verbose=0)
    result = run(model, dataset, RECIPE, out)
    return result.model, result.report, out


def test_every_artifact_is_written(compressed):
    _, report, out = compressed
    assert sorted(path.name for path in out.iterdir()) == [
        "model.keras",
        "model.sqz",
        "model_float16.tflite",
        "model_float32.tflite",
        "model_int8.tflite",
        "report.html",
        "report.json",
        "report.md",
        "saved_model",
        "saved_model_packed",
        "saved_model_qat",
    ]
    assert json.loads((out / "report.json").read_text()) == report


def test_network_learned_and_lost_little(compressed):
    _, report, _ = compressed
    accuracy = {stage["name"]: stage["accuracy"] for stage in report["stages"]}
    assert list(accuracy) == [
        "dense",
        "pruned",
        "clustered",
        "quantized",
    ]
    assert accuracy["dense"] > 0.9  # 0.25 is chance
    for file in report["files"]:
        assert file["accuracy"] > accuracy["dense"] - 0.1, file["name"]
        assert file["agreement"] > 0.9, file["name"]


def test_every_kernel_of_the_keras_file_is_sparse_and_shared(compressed):
    _, _, out = compressed
    kernels = tf_keras_twin.kernels(
        keras.models.load_model(out / "model.keras")
    )
    assert len(kernels) == 26
    for name, kernel in kernels.items():
        assert len(np.unique(kernel)) <= 8, name
        dense = name == "conv1" or "squeeze" in name
        share = 1 if dense else 0.7
        assert np.count_nonzero(kernel) <= share * kernel.size + 1, name
        if dense:
            assert np.count_nonzero(kernel) > 0.9 * kernel.size, name


def test_every_kernel_of_the_int8_file_is_sparse_and_shared(compressed):
    model, _, out = compressed
    interpreter = litert.LiteRTModel((out / "model_int8.tflite").read_bytes())
    assert interpreter.float_tensors() == []
    kernels = tf_keras_twin.kernels(model)
    found = litert.read_kernels((out / "model_int8.tflite").read_bytes())
    assert found.keys() == kernels.keys()
    for name, kernel in found.items():
        assert kernel.dtype == np.int8
        assert kernel.shape == kernels[name].shape
        assert not np.any(kernel[kernels[name] == 0]), name
        assert kernel_statistics.measure(kernel).distinct_per_channel <= 8, name


def test_artifacts_agree_on_the_test_images(compressed, dataset):
    model, _, out = compressed
    images, _ = next(iter(dataset.test_batches(32)))
    images = np.asarray(images)
    expected = model.predict_on_batch(images)
    loaded = keras.models.load_model(out / "model.keras")
    np.testing.assert_array_equal(expected, loaded.predict_on_batch(images))
    for name in ("saved_model", "saved_model_packed"):
        np.testing.assert_allclose(
            expected, saved_model.load(out / name)(images), atol=1e-6
        )
    int8 = litert.LiteRTModel((out / "model_int8.tflite").read_bytes())
    agree = expected.argmax(-1) == int8(images).argmax(-1)
    assert agree.mean() > 0.9


def test_keras_file_holds_no_state_of_the_training(compressed):
    model, _, out = compressed
    size = (out / "model.keras").stat().st_size
    # Adam's moments would make it three times as large.
    assert size < 4 * model.count_params() + 300_000
    assert not keras.models.load_model(out / "model.keras").compiled


def test_report_counts_what_is_in_the_files(compressed):
    model, report, out = compressed
    stages = {stage["name"]: stage for stage in report["stages"]}
    assert stages["dense"]["bytes"] == 4 * model.count_params()
    assert stages["dense"]["density"] == 1
    assert stages["pruned"]["density"] < 0.8
    assert stages["clustered"]["gzip_bytes"] < stages["pruned"]["gzip_bytes"]
    assert stages["pruned"]["gzip_bytes"] < stages["dense"]["gzip_bytes"]
    assert (
        stages["quantized"]["huffman_bytes"]
        < stages["pruned"]["huffman_bytes"]
        < stages["dense"]["huffman_bytes"]
    )
    files = {file["name"]: file for file in report["files"]}
    for name in ("model_int8.tflite", "model.keras"):
        assert files[name]["bytes"] == (out / name).stat().st_size
    coded = files["model.sqz"]["bytes"]
    assert coded < files["saved_model_packed/"]["bytes"] < coded + 60_000
    assert np.sum(report["confusion"]) == report["dataset"]["test_images"] == 32
    assert [layer["name"] for layer in report["layers"]] == list(
        tf_keras_twin.kernels(model)
    )
    assert {layer["bits"] for layer in report["layers"]} <= {2, 3}


@pytest.mark.slow
def test_scan_of_the_layers_sets_their_densities_and_bits(
    make_model, dataset, tmp_path
):
    recipe = RECIPE.replace(
        stages=("prune", "cluster"),
        prune_epochs=4,
        cluster_epochs=1,
        overall_density=0.5,
        density_split="sensitivity",
        average_bits=5,
        sensitivity_images=8,
        litert=("float32",),
    )
    model = make_model()
    result = run(model, dataset, recipe, tmp_path / "out")
    model, report = result.model, result.report
    assert len(report["sensitivity"]["layers"]) == 26
    kernels = tf_keras_twin.kernels(model)
    assert kernel_statistics.overall_density(kernels) == pytest.approx(
        0.5, abs=0.02
    )
    found = {layer["name"]: layer for layer in report["layers"]}
    assert len({round(layer["density"], 1) for layer in found.values()}) > 1
    average = sum(
        layer["bits"] * layer["weights"] for layer in found.values()
    ) / sum(layer["weights"] for layer in found.values())
    assert average <= 5.01


def test_folder_that_is_not_empty_is_refused(make_model, dataset, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not empty.*--overwrite"):
        run(make_model(), dataset, RECIPE, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_model_of_another_image_size_is_refused(dataset, tmp_path):
    larger = SqueezeNet(weights=None, input_shape=(32, 32, 3), classes=4)
    with pytest.raises(ValueError, match=r"\(16, 16, 3\).*\(32, 32, 3\)"):
        run(larger, dataset, RECIPE, tmp_path / "out")


def test_model_of_other_classes_is_refused(make_model, dataset, tmp_path):
    fewer = dataclasses.replace(dataset, class_names=("a", "b"))
    with pytest.raises(ValueError, match=r"\(None, 2\).*\(None, 4\)"):
        run(make_model(), fewer, RECIPE, tmp_path / "out")


def test_pattern_that_no_layer_has_is_refused_before_any_work(
    make_model, dataset, tmp_path
):
    for field, number in (("densities", 1), ("bits", 4)):
        recipe = RECIPE.replace(**{field: {"fire10_*": number, "*": number}})
        with pytest.raises(ValueError, match="fire10_"):
            run(make_model(), dataset, recipe, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_model_with_logits_is_refused(make_model, dataset, tmp_path):
    model = make_model()
    logits = keras.Model(model.input, model.get_layer("pool10").output)
    with pytest.raises(ValueError, match="'pool10' .*End .* with a softmax"):
        run(logits, dataset, RECIPE, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_other_backends_are_refused_before_any_work(
    make_model, dataset, tmp_path, monkeypatch
):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(RuntimeError, match="KERAS_BACKEND=tensorflow"):
        run(make_model(), dataset, RECIPE, tmp_path / "out")


def test_model_that_is_nan_is_refused(make_model, dataset, tmp_path):
    model = make_model()
    model.get_layer("conv10").bias.assign([np.nan] * 4)
    with pytest.raises(ValueError, match="must be finite.* 'conv10'"):
        run(model, dataset, RECIPE, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_loss_that_becomes_nan_names_its_stage(make_model, dataset, tmp_path):
    recipe = RECIPE.replace(stages=("densify",), finetune_learning_rate=1e38)
    with pytest.raises(
        training.NonFiniteLossError, match="^densify: .*in epoch 1"
    ):
        run(make_model(), dataset, recipe, tmp_path / "out")
    assert os.listdir(tmp_path / "out") == [pipeline.CHECKPOINT_FILE]


def test_twin_that_differs_from_its_model_is_an_error(
    make_model, dataset, tmp_path, monkeypatch, randomize
):
    monkeypatch.setattr(
        pipeline.tf_keras_twin, "make_twin", lambda model: make_model()
    )
    with pytest.raises(checks.CheckError, match="the tf_keras twin"):
        run(randomize(make_model()), dataset, RECIPE, tmp_path / "out")


@pytest.fixture
def arrays(dataset):
    """Preprocessed images and labels, as for `Model.fit`."""
    batches = dataset.epoch_batches(64)
    ((images, labels),) = batches.as_numpy_iterator()
    return images, labels


# A short training is enough for these tests.
SHORT = RECIPE.replace(
    prune_epochs=1,
    cluster_epochs=1,
    quantize_epochs=1,
    litert=(),
)


def test_file_that_differs_from_its_model_is_an_error(
    make_model, arrays, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        saved_model, "load", lambda path: lambda x: np.zeros((len(x), 4))
    )
    recipe = SHORT.replace(stages=())
    with pytest.raises(checks.CheckError, match="saved_model must"):
        run_arrays(make_model(), arrays, recipe, tmp_path / "out")
    assert os.listdir(tmp_path / "out") == [pipeline.CHECKPOINT_FILE]


@pytest.mark.slow
def test_any_order_and_subset_of_the_stages_runs(make_model, arrays, tmp_path):
    orders = [("cluster",), ("quantize", "prune"), ("prune", "densify")]
    for index, order in enumerate(orders):
        model = make_model()
        result = run_arrays(
            model,
            arrays,
            SHORT.replace(stages=order),
            tmp_path / str(index),
            name="quarters",
        )
        model, report = result.model, result.report
        assert [stage["kind"] for stage in report["stages"]] == [
            "train",
            *order,
        ]
        assert report["stages"][0]["epochs"] == 0
        kernels = tf_keras_twin.kernels(model).values()
        density = sum(map(np.count_nonzero, kernels)) / sum(
            kernel.size for kernel in kernels
        )
        assert (density < 0.8) == (order[-1] == "prune")
        shared = max(len(np.unique(kernel)) for kernel in kernels) <= 8
        assert shared == (order == ("cluster",))


def test_arrays_without_test_images_are_measured_on_validation(
    make_model, arrays, tmp_path
):
    report = run_arrays(
        make_model(), arrays, SHORT.replace(stages=()), tmp_path / "out"
    ).report
    assert report["dataset"]["test_images"] == 0
    assert report["dataset"]["validation_images"] == 64
    assert report["dataset"]["classes"] == ["0", "1", "2", "3"]
    (stage,) = report["stages"]
    assert stage["accuracy"] == stage["validation_accuracy"]


@pytest.mark.slow
def test_transfer_model_keeps_its_frozen_layers(arrays, tmp_path):
    base = SqueezeNet(
        include_top=False,
        weights=None,
        pooling="avg",
        input_shape=(16, 16, 3),
        config=SqueezeNetConfig(
            base_e=16, incr_e=16, SR=0.25, pools=("conv1", "fire4")
        ).for_small_images(),
    )
    head = keras.layers.Dense(4, activation="softmax", name="head")
    model = keras.Model(base.input, head(base.output))
    for layer in model.layers:
        layer.trainable = not layer.name.startswith(("conv1", "fire2"))
    before = tf_keras_twin.kernels(model)
    model = run_arrays(
        model,
        arrays,
        SHORT.replace(keep_frozen=True, densities={"*": 0.5}),
        tmp_path / "out",
    ).model
    for name, kernel in tf_keras_twin.kernels(model).items():
        if name.startswith(("conv1", "fire2")):
            np.testing.assert_array_equal(kernel, before[name])
        else:
            assert np.mean(kernel == 0) == pytest.approx(0.5, abs=0.01), name
            assert len(np.unique(kernel)) <= 8, name


@pytest.fixture
def validation_accuracies(monkeypatch):
    """The validation accuracies that the run measures, in turn."""
    accuracies = []
    monkeypatch.setattr(
        pipeline._Run,
        "_accuracy",
        lambda run, model, split, task=None: (
            0.5 if task and task.startswith("test") else accuracies.pop(0)
        ),
    )
    return accuracies


def test_best_epoch_is_kept(
    make_model, arrays, tmp_path, validation_accuracies
):
    # The dense model, and four epochs.
    validation_accuracies += [0.9, 0.5, 0.75, 0.75, 0.25]
    report = run_arrays(
        make_model(),
        arrays,
        SHORT.replace(stages=("cluster",), cluster_epochs=4),
        tmp_path / "out",
    ).report
    _, stage = report["stages"]
    assert stage["validation_accuracy"] == 0.75
    assert [epoch["validation_accuracy"] for epoch in stage["history"]] == [
        *(0.5, 0.75, 0.75, 0.25)
    ]
    assert not validation_accuracies


@pytest.mark.slow
def test_stage_that_loses_too_much_is_relaxed(
    make_model, arrays, tmp_path, validation_accuracies, caplog
):
    # The dense model, pruning at 40%, at 55%, and at 66.25%.
    validation_accuracies += [0.9, 0.5, 0.88, 0.8901]
    report = run_arrays(
        make_model(),
        arrays,
        SHORT.replace(
            stages=("prune",), densities={"*": 0.4}, max_accuracy_drop=1.0
        ),
        tmp_path / "out",
    ).report
    _, pruned = report["stages"]
    assert pruned["attempts"] == 3
    assert "'prune' loses 40.00 points" in caplog.messages[0]
    assert caplog.messages[0].endswith("it is relaxed (attempt 2 of 3).")
    assert pruned["density"] == pytest.approx(0.6625, abs=0.001)
    assert report["status"] == "complete"


@pytest.mark.slow
def test_stage_that_always_loses_too_much_ends_with_the_last_good_model(
    make_model, arrays, tmp_path, validation_accuracies
):
    # The dense model, pruning, and weight sharing twice.
    validation_accuracies += [0.9, 0.9, 0.5, 0.6]
    out = tmp_path / "out"
    recipe = SHORT.replace(
        stages=("prune", "cluster", "quantize"),
        densities={"*": 0.5},
        max_accuracy_drop=1.0,
        max_retries=1,
    )
    with pytest.raises(
        compression.AccuracyLossError,
        match="loses 30.00 percentage points .* allows 1.0. Attempts: 2",
    ):
        run_arrays(make_model(), arrays, recipe, out)
    report = json.loads((out / "report.json").read_text())
    assert report["status"] == "accuracy_lost"
    assert "'cluster' loses" in report["message"]
    assert [stage["name"] for stage in report["stages"]] == ["dense", "pruned"]
    kernels = tf_keras_twin.kernels(
        keras.models.load_model(out / "model.keras")
    )
    for kernel in kernels.values():
        assert np.mean(kernel == 0) == pytest.approx(0.5, abs=0.02)
    assert pipeline.CHECKPOINT_FILE not in os.listdir(out)


@pytest.mark.slow
def test_tensorboard_has_a_run_for_each_stage(make_model, arrays, tmp_path):
    pytest.importorskip("tensorboard")
    run_arrays(
        make_model(),
        arrays,
        SHORT.replace(stages=("cluster",), cluster_epochs=2),
        tmp_path / "out",
        tensorboard=tmp_path / "logs",
    )
    assert sorted(os.listdir(tmp_path / "logs")) == ["clustered"]
    steps = {
        (event.step, value.tag)
        for path in (tmp_path / "logs" / "clustered").rglob("events.*")
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    }
    assert {(0, "epoch_loss"), (1, "epoch_loss")} <= steps


def test_logs_without_tensorboard_are_refused_before_any_work(
    make_model, arrays, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ImportError, match=r"\[tensorboard\]"):
        run_arrays(
            *(make_model(), arrays, SHORT, tmp_path / "out"),
            tensorboard=tmp_path / "logs",
        )
    assert list(tmp_path.iterdir()) == []
