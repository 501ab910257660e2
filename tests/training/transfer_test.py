"""Networks that learn other classes phase by phase."""

import dataclasses
import json
import types

import keras
import numpy as np
import pytest
import quarters
import tensorflow as tf

from keras_squeezenet import SqueezeNet
from keras_squeezenet import compression
from keras_squeezenet import data
from keras_squeezenet import training
from keras_squeezenet.data import decode
from keras_squeezenet.data import splits
from keras_squeezenet.training import early_answers
from keras_squeezenet.training import finetuning_run
from keras_squeezenet.training import linear_head
from keras_squeezenet.training import trainer
from keras_squeezenet.training import training_run
from keras_squeezenet.utils.progress import Progress

PHASES = tuple(
    dataclasses.replace(phase, recipe=phase.recipe.replace(epochs=1))
    for phase in training.PHASES
)


@pytest.fixture
def finetune(make_model, dataset, tmp_path, monkeypatch, untraced):
    """Return a function that fine-tunes and returns model and report."""

    # Enough for the few features of the tests.
    monkeypatch.setattr(linear_head, "STEPS", 300)

    def finetune(phases=PHASES, images=dataset, model=None, **options):
        keras.utils.set_random_seed(0)
        model = model or make_model(conv10_activation=None)
        options = {"out": tmp_path / "out", **options}
        result = training.finetune(model, images, phases=phases, **options)
        return result.model, result.to_json()

    return finetune


def weights_of(model, name):
    return model.get_layer(name).get_weights()[0]


def test_head_is_fitted_to_the_features_of_the_frozen_backbone(
    finetune, dataset
):
    model, report = finetune(phases=())
    (head,) = report["phases"]
    assert head["name"] == report["kept"] == "head"
    # Even random features tell the quarters apart; a guess would have 0.25.
    assert head["test_accuracy"] > 0.6
    images, labels = next(iter(dataset.test_batches(32)))
    predicted = model.predict_on_batch(images).argmax(axis=-1)
    assert np.mean(predicted == labels) == head["test_accuracy"]


def test_head_learns_rows_as_numbers_and_weights_of_classes(
    finetune, dataset, tmp_path
):
    (images, labels), *_ = dataset.train_batches(64).take(1)
    x, y = np.asarray(images), np.asarray(labels)
    rows, shares = np.eye(4, dtype="float32")[y], []
    weights = np.where(y == 1, 4.0, 0.0)
    for name, data_, recipe in (
        ("numbers", (x, y), None),
        ("rows", (x, rows), None),
        ("weighted", (x, rows, weights), None),
        ("balanced", (x, y), training.Recipe(class_weight={"1": 1000})),
    ):
        model, _ = finetune(
            (), data_, validation=(x, y), out=tmp_path / name, recipe=recipe
        )
        predicted = model.predict_on_batch(x).argmax(axis=1)
        shares.append(np.mean(predicted == 1))
        if name == "numbers":
            kernel = weights_of(model, "conv10")
        if name == "rows":
            np.testing.assert_array_equal(kernel, weights_of(model, "conv10"))
    assert min(shares[2:]) > 1.5 * shares[0]


@pytest.mark.end_to_end
@pytest.mark.slow
def test_head_of_photographs_of_flowers(shared_data, tmp_path):
    flowers = data.load(shared_data / "flowers12", image_size=224)
    path = "squeezenet_v1.1_caffe_fp32trunk_fp16conv10.npz"
    model = training.build(
        224, len(flowers.class_names), weights=shared_data / "weights" / path
    )
    result = training.finetune(model, flowers, phases=(), out=tmp_path / "out")
    assert result.phases[0]["test_accuracy"] > 0.92


@pytest.mark.slow
def test_features_and_a_dense_layer_are_trained_as_with_any_application(
    shared_data,
):
    flowers = data.load(shared_data / "flowers12", image_size=96)
    path = "squeezenet_v1.1_caffe_fp32trunk_fp16conv10.npz"
    features = SqueezeNet(
        include_top=False,
        weights=shared_data / "weights" / path,
        input_shape=(96, 96, 3),
        pooling="avg",
    )
    features.trainable = False
    x = keras.layers.Dense(12, "softmax")(features.output)
    model = keras.Model(features.input, x)
    model.compile(
        keras.optimizers.Adam(1e-3),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(
        flowers.train_batches(32), steps_per_epoch=22, epochs=3, verbose=0
    )
    found = model.evaluate(
        flowers.test_batches(32), verbose=0, return_dict=True
    )
    # A guess would have 0.08.
    assert found["accuracy"] > 0.5


def test_head_sees_the_border_that_conv10_pads(finetune, make_model, dataset):
    model = make_model(conv10_activation=None, conv10_padding=1)
    images = dataset.as_test("train").test_batches(16)
    split = splits.evaluation_split(images, 16, "train")
    features, labels = linear_head.features(model, split, Progress())
    assert features.shape == (64, model.get_layer("conv10").input.shape[-1])
    np.testing.assert_array_equal(
        labels, np.concatenate([labels for _, labels in images])
    )
    kernel, bias = model.get_layer("conv10").get_weights()
    logits = keras.Model(model.input, model.get_layer("pool10").output)
    expected = np.concatenate([logits.predict_on_batch(x) for x, _ in images])
    np.testing.assert_allclose(
        features @ kernel[0, 0] + bias, expected, rtol=1e-3, atol=1e-4
    )


def test_early_answers_come_before_the_phases(finetune, monkeypatch, caplog):
    caplog.set_level("INFO", "keras_squeezenet")
    said = []

    def train(model, *arguments, **options):
        said.append(caplog.text)
        measured = dict.fromkeys(finetuning_run.MEASURED, 0.0)
        measured["recipe"] = {"epochs": 1}
        return types.SimpleNamespace(
            model=model, dataset={}, to_json=lambda: measured
        )

    monkeypatch.setattr(trainer, "train", train)
    monkeypatch.setattr(linear_head, "STEPS", 20)
    monkeypatch.setattr(early_answers, "SHARES", (0.5,))
    _, report = finetune(phases=PHASES[:1], learning_curve=True)
    early, (head, _) = report["early"], report["phases"]
    # Of 64 training images a tenth is the validation set.
    assert [point["images"] for point in early["learning_curve"]] == [29, 58]
    accuracy = early["validation_accuracy"]
    assert accuracy == head["validation_accuracy"]
    assert accuracy == early["learning_curve"][-1]["validation_accuracy"]
    assert 0 < early["standard_error"] < 0.25
    assert early["seconds"] > 0
    assert "set has 6 images, too few to choose between epochs" in said[0]
    assert f"right on {accuracy:.1%} of the validation images" in said[0]
    assert f"{accuracy:.1%} with 58 training images." in said[0]


def test_phases_train_what_they_should(finetune, make_model, tmp_path):
    model, report = finetune()
    assert [phase["name"] for phase in report["phases"]] == [
        *("head", "top", "all")
    ]
    keras.utils.set_random_seed(0)
    start = make_model(conv10_activation=None)
    top, everything = (
        keras.models.load_model(tmp_path / "out" / name / "model.keras")
        for name in ("top", "all")
    )
    for name in ("conv1", "fire5_expand3x3"):
        np.testing.assert_array_equal(
            weights_of(top, name), weights_of(start, name)
        )
        assert (weights_of(everything, name) != weights_of(top, name)).any()
    for name in ("fire6_squeeze1x1", "fire9_expand1x1", "conv10"):
        assert (weights_of(top, name) != weights_of(start, name)).any()
    assert all(layer.trainable for layer in model.layers)


def test_what_is_kept_is_the_best_phase(finetune, monkeypatch, tmp_path):
    found = iter((0.5, 0.25))
    weights = []

    def train(model, *arguments, **options):
        model.set_weights([w + 1 for w in model.get_weights()])
        weights.append(model.get_weights())
        measured = dict.fromkeys(finetuning_run.MEASURED, 1.0)
        measured["validation_accuracy"] = next(found)
        measured["recipe"] = {"epochs": 1}
        return types.SimpleNamespace(
            model=model, dataset={}, to_json=lambda: measured
        )

    monkeypatch.setattr(trainer, "train", train)
    monkeypatch.setattr(finetuning_run.Run, "_accuracy", lambda *_: 0.5)
    early = {"warnings": [], "seconds": 0}
    early |= {"validation_accuracy": 0.5, "standard_error": 0.1}
    monkeypatch.setattr(early_answers.Watch, "answer", lambda *_: early)
    model, report = finetune()
    assert report["kept"] == "top"
    np.testing.assert_equal(model.get_weights(), weights[0])
    written = json.loads((tmp_path / "out" / "report.json").read_text())
    assert written == report


@pytest.fixture
def finetune_tiny(finetune):
    """The same for a network of two layers, which is quicker."""

    def finetune_tiny(phases, **options):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((quarters.SIDE, quarters.SIDE, 3))
        x = keras.layers.Rescaling(1 / 64)(inputs)
        x = keras.layers.Conv2D(
            8, quarters.SIDE, activation="relu", name="conv1"
        )(x)
        x = keras.layers.Conv2D(quarters.CLASSES, 1, name="conv10")(x)
        x = keras.layers.GlobalAveragePooling2D()(x)
        model = keras.Model(inputs, keras.layers.Softmax()(x), name="tiny")
        return finetune(phases, model=model, **options)

    return finetune_tiny


@pytest.fixture
def taught_phase():
    """A phase that learns its teacher alone."""
    recipe = training.Recipe(
        epochs=4, batch_size=8, learning_rate=1e-2, distillation=1
    )
    return training.Phase("all", None, recipe)


def test_teacher_teaches_the_phases_after_the_head(
    finetune_tiny, taught_phase, test_images, tmp_path
):
    teacher = quarters.make_teacher(sharpness=0.002)
    expected = teacher.predict_on_batch(test_images)

    def distance(folder):
        model = keras.models.load_model(folder / "all" / "model.keras")
        outputs = model.predict_on_batch(test_images)
        return np.abs(outputs - expected).mean()

    labels = taught_phase.recipe.replace(distillation=None)
    finetune = finetune_tiny
    _, report = finetune([dataclasses.replace(taught_phase, recipe=labels)])
    assert report["teacher"] is None
    taught = tmp_path / "taught"
    _, report = finetune([taught_phase], teacher=teacher, out=taught)
    assert report["teacher"]["name"] == "wise"
    head, phase = report["phases"]
    assert phase["recipe"]["distillation"] == 1
    assert "cross_entropy" in phase["history"][0]
    assert "Teacher: wise, " in (taught / "README.md").read_text()
    assert distance(taught) < 0.8 * distance(tmp_path / "out")


def test_share_of_a_teacher_is_a_half_unless_stated(finetune_tiny, monkeypatch):
    shares = []

    def train(*arguments, recipe, **options):
        shares.append(recipe.distillation)
        raise quarters.Killed

    monkeypatch.setattr(trainer, "train", train)
    with pytest.raises(quarters.Killed):
        finetune_tiny(PHASES, teacher=quarters.make_teacher())
    assert shares == [0.5]


@pytest.mark.parametrize(
    "phases, teacher, expected",
    [
        ((), {}, "phases after the head, and there must be one"),
        (PHASES, {"classes": 3}, r"teacher must have outputs of shape .*4\)"),
        (None, None, "`distillation` needs a teacher"),
    ],
)
def test_teacher_that_cannot_teach_is_refused_before_anything_is_trained(
    phases, teacher, expected, finetune_tiny, taught_phase, tmp_path
):
    if teacher is not None:
        teacher = quarters.make_teacher(**teacher)
    if phases is None:
        phases = [taught_phase]
    with pytest.raises(ValueError, match=expected):
        finetune_tiny(phases, teacher=teacher)
    assert not (tmp_path / "out").exists()


def test_run_is_resumed_with_its_own_teacher_only(finetune_tiny, taught_phase):
    recipe = taught_phase.recipe.replace(max_train_steps=1)
    phases = [dataclasses.replace(taught_phase, recipe=recipe)]
    finetune_tiny(phases, teacher=quarters.make_teacher())
    other = quarters.make_teacher(sharpness=0.01)
    with pytest.raises(ValueError, match="all teacher was .*Received: "):
        finetune_tiny(phases, teacher=other, resume=True)


def test_head_learns_the_classes_of_the_teacher_without_labels(
    finetune_tiny, test_images, tmp_path, caplog
):
    caplog.set_level("INFO", "keras_squeezenet")
    teacher = quarters.make_teacher()
    model, report = finetune_tiny(
        (), images=test_images, validation=test_images, teacher=teacher
    )
    assert report["dataset"]["labeled_by_teacher"] == ["train", "validation"]
    (head,) = report["phases"]
    predicted, expected = (
        each.predict_on_batch(test_images).argmax(axis=1)
        for each in (model, teacher)
    )
    assert np.mean(predicted == expected) == head["validation_accuracy"] > 0.6
    assert "The head alone agrees with the teacher on" in caplog.text
    with pytest.raises(ValueError, match="without labels need a teacher"):
        finetune_tiny((), images=test_images, validation=test_images)


@pytest.mark.end_to_end
@pytest.mark.slow
def test_compression_takes_the_model_as_it_is(finetune, dataset, tmp_path):
    finetune(phases=())
    model = keras.models.load_model(tmp_path / "out" / "model.keras")
    compression.compress(
        model,
        dataset,
        recipe=compression.Recipe(
            stages=("prune",), max_train_steps=2, litert=()
        ),
        out=tmp_path / "compressed",
    )
    assert (tmp_path / "compressed" / "model.sqz").exists()


@pytest.mark.end_to_end
@pytest.mark.slow
@pytest.mark.parametrize("is_taught", [False, True])
def test_killed_run_is_resumed_to_the_same_end(
    is_taught, finetune, monkeypatch, tmp_path
):
    options = {"teacher": quarters.make_teacher()} if is_taught else {}
    expected, report = finetune(**options)
    train = trainer.train

    def killed_in_the_last_phase(*arguments, **passed):
        if passed["out"].name == "all":
            raise quarters.Killed
        return train(*arguments, **passed)

    other = tmp_path / "other"
    with monkeypatch.context() as context:
        context.setattr(trainer, "train", killed_in_the_last_phase)
        with pytest.raises(quarters.Killed):
            finetune(out=other, **options)
    assert not (other / "model.keras").exists()
    resumed, again = finetune(out=other, resume=True, **options)
    assert again["kept"] == report["kept"]
    np.testing.assert_equal(resumed.get_weights(), expected.get_weights())


def test_arrays_will_do(finetune, dataset):
    images, labels = (
        np.concatenate(parts) for parts in zip(*dataset.test_batches(32))
    )
    phases = [
        dataclasses.replace(
            phase, recipe=phase.recipe.replace(augmentation=None)
        )
        for phase in PHASES
    ]
    _, report = finetune(phases, (images, labels), validation=(images, labels))
    assert report["dataset"]["train_images"] == 32
    assert report["phases"][0]["test_accuracy"] is None


def test_damaged_image_is_named(finetune, dataset):
    def fail(image):
        raise decode.UnreadableImageError("bad.jpg cannot be read")

    def damaged(image, label):
        found = tf.numpy_function(fail, [image], image.dtype)
        return tf.ensure_shape(found, image.shape), label

    test = data.Examples(dataset.test.elements.map(damaged))
    with pytest.raises(decode.UnreadableImageError, match="bad.jpg cannot be"):
        finetune((), dataclasses.replace(dataset, test=test))


def test_another_backend_is_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(RuntimeError, match="run needs the TensorFlow backend"):
        training.finetune("imagenet", None)


@pytest.mark.parametrize(
    "last",
    [
        keras.layers.BatchNormalization(name="last"),
        keras.Sequential([keras.layers.Dense(2)], name="last"),
    ],
    ids=["normalization", "nested model"],
)
def test_head_without_an_activation_of_its_own_is_refused(last, make_model):
    model = make_model()
    model = keras.Model(model.input, last(model.layers[-2].output))
    with pytest.raises(ValueError, match="'conv10'.*Received: 'last'"):
        linear_head.require_linear(model)


def test_relu_behind_the_head_is_refused(make_model, dataset, tmp_path):
    with pytest.raises(
        ValueError, match="'conv10' without an activation.*relu"
    ):
        training.finetune(
            make_model(conv10_activation="relu"), dataset, out=tmp_path
        )


@pytest.mark.parametrize("resume", [False, True])
def test_earlier_run_is_not_replaced(resume, finetune, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model.keras").write_text("mine")
    with pytest.raises(FileExistsError, match="not empty"):
        finetune(resume=resume)
    assert (tmp_path / "out" / "model.keras").read_text() == "mine"


def test_phases_of_an_earlier_run_are_not_resumed(
    finetune, monkeypatch, tmp_path
):
    def killed(*arguments, out, **options):
        raise quarters.Killed

    earlier = tmp_path / "out" / "all" / training_run.LAST_FILE
    earlier.parent.mkdir(parents=True)
    earlier.touch()
    monkeypatch.setattr(trainer, "train", killed)
    with pytest.raises(quarters.Killed):
        finetune(overwrite=True)
    assert not earlier.exists()
    # The folder of a phase without a checkpoint does not prevent it.
    with pytest.raises(quarters.Killed):
        finetune(resume=True)


def test_model_of_other_classes_is_refused_before_anything_is_trained(
    dataset, tmp_path
):
    model = training.build(16, 3, quarters.TINY)
    with pytest.raises(ValueError, match=r"outputs of shape \(None, 4\)"):
        training.finetune(model, dataset, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
