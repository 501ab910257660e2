import dataclasses
import json

import keras
import numpy as np
import pytest

from keras_squeezenet import compression
from keras_squeezenet import kernels as statistics
from keras_squeezenet import training
from keras_squeezenet.compression import guarantees
from keras_squeezenet.compression import pipeline
from keras_squeezenet.compression import twin as twins
from keras_squeezenet.export import litert
from keras_squeezenet.export import saved_model

RECIPE = compression.Recipe(
    train_epochs=20,
    prune_epochs=12,
    cluster_epochs=6,
    quantize_epochs=6,
    batch_size=16,
    finetune_learning_rate=1e-3,
    target_density=0.7,
    number_of_clusters=8,
)


@pytest.fixture(scope="module")
def compressed(make_model, dataset, tmp_path_factory):
    """The model, its report and the output folder of one whole run."""
    keras.utils.set_random_seed(0)
    out = tmp_path_factory.mktemp("pipeline") / "out"
    model = make_model()
    report = compression.compress(model, dataset, RECIPE, out)
    return model, report, out


def test_every_form_of_the_model_is_written(compressed):
    _, report, out = compressed
    assert sorted(path.name for path in out.iterdir()) == [
        "model.keras",
        "model_int8.tflite",
        "report.json",
        "report.md",
        "saved_model",
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
        "int8 LiteRT",
    ]
    assert accuracy["dense"] > 0.9  # 0.25 is chance
    assert accuracy["int8 LiteRT"] > accuracy["dense"] - 0.1


def test_every_kernel_of_the_keras_file_is_sparse_and_shared(compressed):
    _, _, out = compressed
    kernels = twins.kernels(keras.models.load_model(out / "model.keras"))
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
    kernels = twins.kernels(model)
    for name, kernel in interpreter.kernels(kernels).items():
        assert kernel.dtype == np.int8
        assert kernel.shape == kernels[name].shape
        assert not np.any(kernel[kernels[name] == 0]), name
        assert statistics.measure(kernel).distinct_per_channel <= 8, name


def test_forms_agree_on_the_test_images(compressed, dataset):
    model, _, out = compressed
    images, _ = next(iter(dataset.test_batches(32)))
    images = np.asarray(images)
    expected = model.predict_on_batch(images)
    loaded = keras.models.load_model(out / "model.keras")
    np.testing.assert_array_equal(expected, loaded.predict_on_batch(images))
    np.testing.assert_allclose(
        expected, saved_model.load(out / "saved_model")(images), atol=1e-6
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
        stages["int8 LiteRT"]["bytes"]
        == (out / "model_int8.tflite").stat().st_size
    )
    assert [layer["name"] for layer in report["layers"]] == list(
        twins.kernels(model)
    )
    assert {layer["bits"] for layer in report["layers"]} <= {2, 3}


def test_folder_that_is_not_empty_is_refused(make_model, dataset, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not empty.*--overwrite"):
        compression.compress(make_model(), dataset, RECIPE, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_model_of_another_image_size_is_refused(make_model, dataset, tmp_path):
    larger = dataclasses.replace(dataset, image_size=32)
    with pytest.raises(ValueError, match=r"\(None, 32, 32, 3\).*16, 16, 3"):
        compression.compress(make_model(), larger, RECIPE, tmp_path / "out")


def test_model_of_other_classes_is_refused(make_model, dataset, tmp_path):
    fewer = dataclasses.replace(dataset, class_names=("a", "b"))
    with pytest.raises(ValueError, match=r"\(None, 2\).*\(None, 4\)"):
        compression.compress(make_model(), fewer, RECIPE, tmp_path / "out")


def test_model_that_puts_out_logits_is_refused(make_model, dataset, tmp_path):
    model = make_model()
    logits = keras.Model(model.input, model.get_layer("pool10").output)
    with pytest.raises(ValueError, match="end it with a softmax.*'pool10'"):
        compression.compress(logits, dataset, RECIPE, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_other_backends_are_refused_before_any_work(
    make_model, dataset, tmp_path, monkeypatch
):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(RuntimeError, match="KERAS_BACKEND=tensorflow"):
        compression.compress(make_model(), dataset, RECIPE, tmp_path / "out")


def test_loss_that_is_nan_stops_and_leaves_nothing(
    make_model, dataset, tmp_path
):
    model = make_model()
    model.get_layer("conv10").bias.assign([np.nan] * 4)
    with pytest.raises(
        training.NonFiniteLossError, match="^train: .* nan at step 1 of"
    ):
        compression.compress(model, dataset, RECIPE, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_interrupt_leaves_nothing(make_model, dataset, tmp_path, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", interrupt)
    with pytest.raises(KeyboardInterrupt):
        compression.compress(make_model(), dataset, RECIPE, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_twin_that_differs_from_its_model_is_an_error(
    make_model, dataset, tmp_path, monkeypatch
):
    monkeypatch.setattr(pipeline.twins, "make_twin", lambda model: make_model())
    recipe = dataclasses.replace(RECIPE, train_epochs=1)
    with pytest.raises(guarantees.GuaranteeError, match="the tf_keras twin"):
        compression.compress(make_model(), dataset, recipe, tmp_path / "out")


def test_file_that_differs_from_its_model_is_an_error(
    make_model, dataset, tmp_path, monkeypatch
):
    model = make_model()
    run = pipeline._Pipeline(model, dataset, RECIPE, pipeline.Progress())
    monkeypatch.setattr(
        saved_model, "load", lambda path: lambda images: np.zeros((16, 4))
    )
    with pytest.raises(guarantees.GuaranteeError, match="saved_model should"):
        run.export_keras(model, tmp_path)
