import functools
import hashlib
import json
import os
import sys
import types

import keras
import numpy as np
import pytest
import quarters
import short_networks
import tensorflow as tf

from keras_squeezenet import SqueezeNet
from keras_squeezenet import codec
from keras_squeezenet import compression
from keras_squeezenet import training
from keras_squeezenet.compression import artifacts
from keras_squeezenet.compression import checks
from keras_squeezenet.compression import compression_run
from keras_squeezenet.compression import sensitivity
from keras_squeezenet.compression import stage_fit
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.evaluation import kernel_statistics
from keras_squeezenet.export import litert_file
from keras_squeezenet.export import packed_saved_model
from keras_squeezenet.export import saved_model
from keras_squeezenet.training import optimizers

RECIPE = compression.Recipe(
    stages=("prune", "cluster", "quantize"),
    prune_epochs=12,
    cluster_epochs=6,
    quantize_epochs=6,
    batch_size=16,
    finetune_learning_rate=1e-3,
    densities={"conv1": 1, "*_squeeze1x1": 1, "*": 0.7},
    bits={"*": 3},
)
# A short training is enough for most tests.
SHORT = RECIPE.replace(
    prune_epochs=1, cluster_epochs=1, quantize_epochs=1, litert=()
)


@pytest.fixture(scope="module")
def compressed(make_model, dataset, tmp_path_factory):
    """The model, its report and the output folder of one whole run."""
    keras.utils.set_random_seed(0)
    out = tmp_path_factory.mktemp("pipeline") / "out"
    model = make_model()
    optimizers.compile_classifier(keras, model, 160, 1e-3)
    model.fit(dataset.train_batches(16), steps_per_epoch=160, verbose=0)
    images = dataset.split_validation(0.25)
    result = compression.compress(model, images, recipe=RECIPE, out=out)
    return result.model, result.report, out


@pytest.fixture(autouse=True)
def quick(untraced, monkeypatch):
    """All but `compressed` trains eagerly, and writes no SavedModel."""
    for module, name in (
        (artifacts.Written, "add_saved_model"),
        (saved_model, "save"),
        (saved_model, "save_quantized"),
        (packed_saved_model, "save"),
    ):
        monkeypatch.setattr(module, name, lambda *arguments: None)


@pytest.fixture
def compress(make_model, dataset, tmp_path):
    """Return a function that compresses a new model with arrays of images."""
    ((images, labels),) = dataset.epoch_batches(64).as_numpy_iterator()

    def compress(recipe=SHORT, model=None, **options):
        return compression.compress(
            model or make_model(),
            (images, labels),
            (images, labels),
            recipe=recipe,
            out=tmp_path / "out",
            **options,
        )

    return compress


@pytest.mark.slow
def test_every_artifact_is_written(compressed):
    _, report, out = compressed
    assert sorted(path.name for path in out.iterdir()) == [
        "README.md",
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
    for file in report["files"]:
        if file["name"].endswith(".tflite"):
            content = (out / file["name"]).read_bytes()
            assert file["sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.slow
def test_network_learned_and_lost_little(compressed):
    _, report, _ = compressed
    accuracy = {stage["name"]: stage["accuracy"] for stage in report["stages"]}
    assert [*accuracy] == ["dense", "pruned", "clustered", "quantized"]
    assert accuracy["dense"] > 0.9  # 0.25 is chance
    for file in report["files"]:
        assert file["accuracy"] > accuracy["dense"] - 0.1, file["name"]
        assert file["agreement"] > 0.9, file["name"]


@pytest.mark.slow
def test_every_kernel_of_every_file_is_sparse_and_shared(compressed):
    model, _, out = compressed
    loaded = keras.models.load_model(out / "model.keras")
    # Adam's moments would make the file three times as large.
    assert not loaded.compiled
    size = (out / "model.keras").stat().st_size
    assert size < 4 * model.count_params() + 300_000
    kernels = tf_keras_twin.kernels(loaded)
    assert len(kernels) == 8
    for name, kernel in kernels.items():
        assert len(np.unique(kernel)) <= 8, name
        kept = np.count_nonzero(kernel)
        if name == "conv1" or "squeeze" in name:
            assert kept > 0.9 * kernel.size, name
        else:
            assert kept <= 0.7 * kernel.size + 1, name
    content = (out / "model_int8.tflite").read_bytes()
    assert litert_file.LiteRTModel(content).float_tensors() == []
    found = litert_file.read_kernels(content)
    assert found.keys() == kernels.keys()
    for name, kernel in found.items():
        assert kernel.dtype == np.int8
        assert not np.any(kernel[kernels[name] == 0]), name
        assert kernel_statistics.measure(kernel).distinct_per_channel <= 8, name


@pytest.mark.slow
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
    int8 = litert_file.LiteRTModel((out / "model_int8.tflite").read_bytes())
    agree = expected.argmax(-1) == int8(images).argmax(-1)
    assert agree.mean() > 0.9


@pytest.mark.slow
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
    compress, monkeypatch
):
    scan = functools.partial(
        sensitivity.scan, densities=(0.5, 0.1), bits=(8, 6, 5, 4)
    )

    def scan_eagerly(*arguments, **options):
        tf.config.run_functions_eagerly(True)
        try:
            return scan(*arguments, **options)
        finally:
            tf.config.run_functions_eagerly(False)

    monkeypatch.setattr(sensitivity, "scan", scan_eagerly)
    result = compress(
        SHORT.replace(
            stages=("prune", "cluster"),
            overall_density=0.5,
            density_split="sensitivity",
            average_bits=5,
            sensitivity_images=8,
        )
    )
    assert len(result.report["sensitivity"]["layers"]) == 8
    kernels = tf_keras_twin.kernels(result.model)
    assert kernel_statistics.overall_density(kernels) == pytest.approx(
        0.5, abs=0.02
    )
    layers = result.report["layers"]
    assert len({round(layer["density"], 1) for layer in layers}) > 1
    average = sum(layer["bits"] * layer["weights"] for layer in layers) / sum(
        layer["weights"] for layer in layers
    )
    assert average <= 5.01


def test_folder_that_is_not_empty_is_refused(compress, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not empty.*--overwrite"):
        compress()
    assert os.listdir(tmp_path / "out") == ["notes.txt"]


def make_larger(model):
    return SqueezeNet(weights=None, input_shape=(32, 32, 3), classes=4)


def make_logits(model):
    return keras.Model(model.input, model.get_layer("pool10").output)


def make_nan(model):
    model.get_layer("conv10").bias.assign([np.nan] * 4)
    return model


@pytest.mark.parametrize(
    "change, options, message",
    [
        (make_larger, {}, r"\(16, 16, 3\).*\(32, 32, 3\)"),
        (None, {"class_names": "ab"}, r"\(None, 2\).*\(None, 4\)"),
        (make_logits, {}, "'pool10' .*End .* with a softmax"),
        (make_nan, {}, "must be finite.* 'conv10'"),
        (None, {"recipe": RECIPE.replace(bits={"fire10_*": 4})}, "fire10_"),
        (
            None,
            {"recipe": RECIPE.replace(densities={"fire10_*": 1})},
            "fire10_",
        ),
        (None, {"recipe": RECIPE.replace(overall_density=0.05)}, "at least"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_work(
    change, options, message, compress, make_model, tmp_path
):
    model = change(make_model()) if change else None
    with pytest.raises(ValueError, match=message):
        compress(model=model, **options)
    assert not (tmp_path / "out").exists()


def test_other_backends_are_refused_before_any_work(compress, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(RuntimeError, match="KERAS_BACKEND=tensorflow"):
        compress()


def test_logs_without_tensorboard_are_refused_before_any_work(
    compress, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ImportError, match=r"\[tensorboard\]"):
        compress(tensorboard=tmp_path / "logs")
    assert not (tmp_path / "out").exists()


def test_loss_that_becomes_nan_names_its_stage(compress, tmp_path):
    recipe = SHORT.replace(stages=("prune",), finetune_learning_rate=1e38)
    with pytest.raises(
        training.NonFiniteLossError, match="^prune: .*in epoch 1"
    ):
        compress(recipe)
    assert os.listdir(tmp_path / "out") == [compression_run.CHECKPOINT_FILE]


def test_twin_that_differs_from_its_model_is_an_error(
    compress, make_model, monkeypatch, randomize
):
    monkeypatch.setattr(
        compression_run.tf_keras_twin, "make_twin", lambda model: make_model()
    )
    with pytest.raises(checks.CheckError, match="the tf_keras twin"):
        compress(model=randomize(make_model()))


def test_file_that_differs_from_its_model_is_an_error(
    compress, tmp_path, monkeypatch
):
    load = artifacts.keras_file.load

    def load_other(path):
        model = load(path)
        model.get_layer("conv10").bias.assign([9, 0, 0, 0])
        return model

    monkeypatch.setattr(artifacts.keras_file, "load", load_other)
    with pytest.raises(checks.CheckError, match="model.keras must"):
        compress(SHORT.replace(stages=()))
    assert os.listdir(tmp_path / "out") == [compression_run.CHECKPOINT_FILE]


@pytest.mark.slow
def test_packed_model_is_what_the_files_contain(
    compress, compressed, dataset, tmp_path, monkeypatch
):
    quarters.pack_few_points(monkeypatch)
    recipe = SHORT.replace(
        stages=("prune", "quantize", "pack"), litert=("int8",), max_kl=0.01
    )
    test = next(dataset.test_batches(32).as_numpy_iterator())
    # The classes of a new model are too close for the agreement.
    trained, _, _ = compressed
    report = compress(recipe, trained, test=test).report
    out = tmp_path / "out"
    *_, quantized, packed = report["stages"]
    assert (packed["kind"], packed["name"]) == ("pack", "packed")
    content = (out / "model.sqz").read_bytes()
    assert packed["bytes"] == len(content) < quantized["bytes"] / 2
    assert packed["gzip_bytes"] is packed["huffman_bytes"] is None
    model = codec.loads(content)
    for one, other in zip(
        model.get_weights(),
        keras.models.load_model(out / "model.keras").get_weights(),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
    packing = report["packing"]
    assert packing["bytes"] == len(content)
    assert 0 < packing["kl"] <= 0.01
    assert (packing["validation_images"], packing["test_images"]) == (64, 32)
    expected = np.mean(model.predict_on_batch(test[0]).argmax(-1) == test[1])
    assert packing["test"]["accuracy"] == packed["accuracy"] == expected
    (int8,) = [file for file in report["files"] if "int8" in file["name"]]
    assert int8["agreement"] > 0.7
    assert "Size and distortion" in (out / "report.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    "order", [("cluster",), ("prune", "quantize"), ("prune", "densify")]
)
def test_subset_of_the_stages_runs(order, compress):
    result = compress(SHORT.replace(stages=order), name="quarters")
    assert [stage["kind"] for stage in result.stages] == ["train", *order]
    assert result.stages[0]["epochs"] == 0
    kernels = tf_keras_twin.kernels(result.model)
    density = kernel_statistics.overall_density(kernels)
    assert (density < 0.8) == (order == ("prune", "quantize"))
    shared = max(len(np.unique(kernel)) for kernel in kernels.values()) <= 8
    assert shared == (order == ("cluster",))


def test_arrays_without_test_images_are_measured_on_validation(compress):
    report = compress(SHORT.replace(stages=())).report
    assert report["dataset"]["test_images"] == 0
    assert report["dataset"]["validation_images"] == 64
    assert report["dataset"]["classes"] == ["0", "1", "2", "3"]
    (stage,) = report["stages"]
    assert stage["accuracy"] == stage["validation_accuracy"]


@pytest.mark.slow
def test_transfer_model_keeps_its_frozen_layers(compress):
    base = SqueezeNet(
        include_top=False,
        weights=None,
        pooling="avg",
        input_shape=(quarters.SIDE, quarters.SIDE, 3),
        config=quarters.TINY,
    )
    head = keras.layers.Dense(4, activation="softmax", name="head")
    model = short_networks.shorten(keras.Model(base.input, head(base.output)))
    for layer in model.layers:
        layer.trainable = not layer.name.startswith(("conv1", "fire2"))
    before = tf_keras_twin.kernels(model)
    recipe = SHORT.replace(keep_frozen=True, densities={"*": 0.5})
    after = tf_keras_twin.kernels(compress(recipe, model).model)
    for name, kernel in after.items():
        if name.startswith(("conv1", "fire2")):
            np.testing.assert_array_equal(kernel, before[name])
        else:
            assert np.mean(kernel == 0) == pytest.approx(0.5, abs=0.01), name
            assert len(np.unique(kernel)) <= 8, name


def test_what_happens_to_frozen_layers_is_said(compress, make_model, caplog):
    caplog.set_level("INFO", "keras_squeezenet")
    model = make_model()
    model.get_layer("conv1").trainable = False
    compress(SHORT.replace(stages=()), model)
    assert "Frozen layers (1, such as 'conv1') are compressed" in caplog.text
    caplog.clear()
    compress(SHORT.replace(stages=(), keep_frozen=True), model, overwrite=True)
    assert "Frozen" not in caplog.text


@pytest.fixture
def validation_accuracies(monkeypatch):
    """The validation accuracies that the run measures, in turn."""
    accuracies = []
    monkeypatch.setattr(
        stage_fit,
        "measure_accuracy",
        lambda model, split, progress=None, task=None: (
            0.5 if task and task.startswith("test") else accuracies.pop(0)
        ),
    )
    return accuracies


def test_best_epoch_is_kept(compress, validation_accuracies):
    # The dense model, and four epochs.
    validation_accuracies += [0.9, 0.5, 0.75, 0.75, 0.25]
    recipe = SHORT.replace(stages=("cluster",), cluster_epochs=4, batch_size=64)
    _, stage = compress(recipe).stages
    assert stage["validation_accuracy"] == 0.75
    assert [epoch["validation_accuracy"] for epoch in stage["history"]] == [
        *(0.5, 0.75, 0.75, 0.25)
    ]
    assert not validation_accuracies


@pytest.mark.slow
def test_stage_that_loses_too_much_is_relaxed(
    compress, validation_accuracies, caplog
):
    # The dense model, pruning at 40%, at 55%, and at 66.25%.
    validation_accuracies += [0.9, 0.5, 0.88, 0.8901]
    report = compress(
        SHORT.replace(
            stages=("prune",), densities={"*": 0.4}, max_accuracy_drop=1.0
        )
    ).report
    _, pruned = report["stages"]
    assert pruned["attempts"] == 3
    assert "'prune' loses 40.00 percentage points" in caplog.messages[0]
    assert caplog.messages[0].endswith("it is relaxed (attempt 2 of 3).")
    assert pruned["density"] == pytest.approx(0.6625, abs=0.001)
    assert report["status"] == "complete"


@pytest.mark.slow
def test_stage_that_always_loses_too_much_ends_with_the_last_good_model(
    compress, tmp_path, validation_accuracies
):
    # The dense model, pruning, and weight sharing twice.
    validation_accuracies += [0.9, 0.9, 0.5, 0.6]
    recipe = SHORT.replace(
        densities={"*": 0.5}, max_accuracy_drop=1.0, max_retries=1
    )
    with pytest.raises(
        compression.AccuracyLossError,
        match="loses 30.00 percentage points .* allows 1.0. Attempts: 2",
    ):
        compress(recipe)
    out = tmp_path / "out"
    report = json.loads((out / "report.json").read_text())
    assert report["status"] == "accuracy_lost"
    assert "'cluster' loses" in report["message"]
    assert [stage["name"] for stage in report["stages"]] == ["dense", "pruned"]
    model = keras.models.load_model(out / "model.keras")
    for kernel in tf_keras_twin.kernels(model).values():
        assert np.mean(kernel == 0) == pytest.approx(0.5, abs=0.02)
    assert compression_run.CHECKPOINT_FILE not in os.listdir(out)


def test_target_that_a_stage_cannot_reach_leaves_the_result_before_it(
    compress, make_model, tmp_path, monkeypatch
):
    quarters.pack_few_points(monkeypatch)
    model = make_model()
    recipe = SHORT.replace(stages=("pack",), target_bytes=100)
    with pytest.raises(
        compression.TargetError,
        match="'pack' cannot reach its target: no file is within "
        "target_bytes=100: .* The result of the stages before it is kept",
    ):
        compress(recipe, model)
    out = tmp_path / "out"
    report = json.loads((out / "report.json").read_text())
    assert report["status"] == "target_missed"
    assert [stage["name"] for stage in report["stages"]] == ["dense"]
    loaded = codec.load(out / "model.sqz")
    np.testing.assert_equal(loaded.get_weights(), model.get_weights())
    assert compression_run.CHECKPOINT_FILE not in os.listdir(out)


def test_time_of_a_stage_is_that_of_all_its_attempts(compress, monkeypatch):
    now, accuracies = [0], [0.9, 0.9, 0.5, 0.9, 0.9]

    def measure(*arguments):
        now[0] += 10
        return accuracies.pop(0)

    clock = types.SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr(compression_run, "time", clock)
    monkeypatch.setattr(stage_fit, "measure_accuracy", measure)
    recipe = SHORT.replace(
        stages=("quantize",), quantize_epochs=0, max_accuracy_drop=1.0
    )
    dense, quantized = compress(recipe).stages
    # On two sets each, and on one in the attempt that lost too much.
    assert (dense["seconds"], quantized["seconds"]) == (20, 30)
    assert quantized["attempts"] == 2


def test_network_is_taken_to_the_image_size_of_the_recipe(
    make_model, dataset, tmp_path
):
    ((images, labels),) = dataset.epoch_batches(64).as_numpy_iterator()
    larger = np.repeat(np.repeat(images, 2, axis=1), 2, axis=2)
    model = make_model()
    result = compression.compress(
        model,
        (larger, labels),
        (larger, labels),
        recipe=SHORT.replace(stages=(), image_size=32, distillation=0.5),
        out=tmp_path / "out",
    )
    assert result.model.input_shape == (None, 32, 32, 3)
    np.testing.assert_equal(result.model.get_weights(), model.get_weights())
    assert result.report["recipe"]["image_size"] == 32
    assert result.report["teacher"]["name"] == model.name
    # The network before it was taken to the size.
    assert model.input_shape == (None, 16, 16, 3)


def test_stages_learn_soft_labels_with_weights(compress, dataset, tmp_path):
    ((x, y),) = dataset.epoch_batches(64).as_numpy_iterator()
    soft = 0.9 * np.eye(4)[y] + 0.025
    recipe = SHORT.replace(
        stages=("cluster",),
        bits={"*": 8},
        class_weight={"0": 2},
        focal=2,
        label_smoothing=0.1,
    )
    result = compression.compress(
        quarters.make_squeezenet(),
        (x, soft, np.ones(64)),
        (x, y),
        recipe=recipe,
        out=tmp_path / "soft",
    )
    _, stage = result.stages
    # An untrained network's, with the weights 2, 1, 1, 1: less than ln(4).
    expected = 1.25 * 0.75**2 * np.log(4)
    assert stage["history"][0]["loss"] == pytest.approx(expected, rel=0.15)


def test_stages_learn_from_the_model_before_compression(compress, make_model):
    model = make_model()
    recipe = SHORT.replace(
        stages=("cluster",), distillation=1, temperature=1, bits={"*": 8}
    )
    result = compress(recipe, model)
    _, stage = result.stages
    # All but the dropout is as in the teacher; by the labels it is ln(4).
    assert stage["history"][0]["loss"] < 0.1
    assert result.report["teacher"]["name"] == model.name


def test_images_without_labels_are_those_of_the_model_before_compression(
    make_model, test_images, tmp_path
):
    model = make_model()
    result = compression.compress(
        model,
        test_images,
        test_images,
        recipe=SHORT.replace(stages=("cluster",)),
        out=tmp_path / "out",
    )
    report = result.report
    assert report["recipe"]["distillation"] == 1
    assert report["teacher"]["name"] == model.name
    assert report["dataset"]["labeled_by_teacher"] == ["train", "validation"]
    dense, clustered = report["stages"]
    assert dense["accuracy"] == 1
    expected, found = (
        each.predict_on_batch(test_images).argmax(axis=1)
        for each in (model, result.model)
    )
    assert clustered["accuracy"] == np.mean(found == expected)
    text = (tmp_path / "out" / "report.md").read_text()
    assert "accuracy on it is agreement with the teacher." in text
    assert "| stage | teacher | density |" in text


@pytest.mark.slow
def test_tensorboard_has_a_run_for_each_stage(compress, tmp_path):
    pytest.importorskip("tensorboard")
    logs = tmp_path / "logs"
    recipe = SHORT.replace(stages=("cluster",), cluster_epochs=2)
    compress(recipe, tensorboard=logs)
    assert os.listdir(logs) == ["clustered"]
    steps = {
        (event.step, value.tag)
        for path in (logs / "clustered").rglob("events.*")
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    }
    assert {(0, "epoch_loss"), (1, "epoch_loss")} <= steps


@pytest.mark.end_to_end
@pytest.mark.slow
@pytest.mark.parametrize("step", [-0.1, 0.1])
def test_filters_that_training_makes_worse_stay_as_they_were_fitted(
    step, compress, make_model, monkeypatch
):
    recipe = SHORT.replace(stages=("prune_filters",), prune_filters_epochs=0)
    keras.utils.set_random_seed(0)
    model = make_model()
    fitted = compress(recipe, model).model
    accuracies = []

    def measure(*arguments):
        accuracies.append(0.5 + step * len(accuracies))
        return accuracies[-1]

    monkeypatch.setattr(stage_fit, "measure_accuracy", measure)
    recipe = recipe.replace(prune_filters_epochs=2)
    trained = compress(recipe, model, overwrite=True).model
    is_same = all(
        np.array_equal(*pair)
        for pair in zip(fitted.get_weights(), trained.get_weights())
    )
    assert is_same == (step < 0)
