import dataclasses
import types

import keras
import numpy as np
import pytest

from keras_squeezenet import models
from keras_squeezenet import packing
from keras_squeezenet.codec import sqz
from keras_squeezenet.data import splits
from keras_squeezenet.packing import cached_features
from keras_squeezenet.packing import curve
from keras_squeezenet.packing import lambda_search
from keras_squeezenet.packing import size_training
from keras_squeezenet.utils.progress import Progress

TARGET = 800


def make_lesson(model, dataset, **changes):
    """Return a lesson whose targets are the outputs of a model."""
    split = splits.training_split(dataset, 16)
    return size_training.Lesson(
        **{
            "train": split.map(lambda x, _: (x, model(x, training=False))),
            "loss": keras.losses.kl_divergence,
            "steps": 500,
            **changes,
        }
    )


def kernels(content):
    _, arrays = sqz.load(content)
    return {
        name.removesuffix("/kernel"): array.codes
        for name, array in arrays.items()
        if name.endswith("/kernel")
    }


@pytest.fixture(scope="module")
def trained(packer, small_model, dataset):
    lesson = make_lesson(small_model, dataset)
    return packer.pack(packing.Bound(target_bytes=TARGET), lesson=lesson)


def test_trained_file_has_the_size_and_less_divergence(
    trained, images, divergence
):
    before, first, second, *last = trained.code_training
    point = trained.point
    assert point in last and len(last) == size_training.MEASURED_FILES
    assert 0.9 * TARGET < point.bytes == len(trained.content) <= TARGET
    assert point.kl < before.kl and trained.has_trained_codes
    assert divergence(trained, images[4::5]) == pytest.approx(
        point.kl, abs=1e-5
    )
    assert first.bytes == pytest.approx(1.8 * TARGET, rel=0.15)
    assert second.bytes == pytest.approx(1.3 * TARGET, rel=0.15)


@pytest.fixture(scope="module")
def divided(packer, small_model, dataset):
    """The weights of a file, and the task for what is behind its front."""
    bound = packing.Bound(target_bytes=TARGET)
    _, content = packer.find(bound, size_training.TOLERANCE)
    _, arrays = sqz.load(content)
    task = size_training.Task(
        models.copy(small_model),
        packer.images,
        make_lesson(small_model, dataset),
        packer.measurer,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cached_features, "MAX_SHARE", 0.9)
        task = size_training.behind_front(task, arrays, 0, Progress())
    return arrays, task


def test_layers_at_the_front_keep_their_codes(divided):
    arrays, task = divided
    trained = {layer.name for layer in task.model.layers if layer.weights}
    assert trained == {"conv10"}
    assert {*task.frozen} == {
        name for name in arrays if name.rpartition("/")[0] not in trained
    }
    assert all(task.frozen[name] is arrays[name] for name in task.frozen)


def test_rest_is_trained_and_measured_on_features(divided, packer, small_model):
    arrays, task = divided
    packed = models.copy(small_model)
    size_training.set_weights(packed, arrays)
    whole = packer.measurer.measure(packed)
    assert task.measure(arrays).kl == pytest.approx(whole.kl, rel=0.05)
    features, targets = next(iter(task.lesson.train.batches(0)))
    assert features.shape[1:] == task.model.input_shape[1:]
    np.testing.assert_allclose(
        task.model.predict_on_batch(np.asarray(features)), targets, atol=0.3
    )
    assert task.images.shape[1:] == task.model.input_shape[1:]


def test_network_with_a_frozen_front_stays_within_the_size(
    packer, small_model, dataset, monkeypatch
):
    monkeypatch.setattr(cached_features, "MAX_SHARE", 0.9)
    monkeypatch.setattr(curve, "best", lambda points: points[-1])
    lesson = make_lesson(small_model, dataset, steps=5, freezes_front=True)
    bound = packing.Bound(target_bytes=TARGET)
    _, content = packer.find(bound, size_training.TOLERANCE)
    packed = packer.pack(bound, lesson=lesson)
    assert len(packed.content) <= TARGET
    one, other = kernels(content), kernels(packed.content)
    assert np.any(one["conv10"] != other["conv10"])
    for name in one.keys() - {"conv10"}:
        np.testing.assert_array_equal(one[name], other[name], name)


def test_network_whose_features_take_too_much_memory_is_trained_whole(
    packer, small_model, dataset, monkeypatch
):
    monkeypatch.setattr(cached_features, "MAX_BYTES", 1_000)
    task = size_training.Task(
        small_model,
        packer.images,
        make_lesson(small_model, dataset, freezes_front=True),
        packer.measurer,
    )
    assert size_training.behind_front(task, {}, 0, Progress()) is task


def test_model_is_not_changed(packer, small_model, dataset):
    weights = small_model.get_weights()
    lesson = make_lesson(small_model, dataset, steps=2)
    packed = packer.pack(packing.Bound(target_bytes=TARGET), lesson=lesson)
    assert len(packed.content) <= TARGET
    for one, other in zip(weights, small_model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_file_without_training_is_kept_where_no_trained_one_is_better(
    packer, small_model, dataset
):
    def backwards(targets, received):
        return -keras.losses.kl_divergence(targets, received)

    lesson = make_lesson(small_model, dataset, loss=backwards, steps=20)
    packed = packer.pack(packing.Bound(target_bytes=TARGET), lesson=lesson)
    assert packed.point == packed.code_training[0]
    assert not packed.has_trained_codes and len(packed.content) <= TARGET


@pytest.mark.parametrize("step", [1.02, 0.98])
def test_lambda_keeps_the_size(step, monkeypatch):
    """Of codes that become longer, or shorter, by themselves."""
    size, sizes = 1_000.0, []

    class Trainer:
        def __init__(self, *arguments):
            self.bytes = size

        def train(self, batches, lambda_, advance):
            # Codes become shorter in proportion to the logarithm of lambda.
            excess = np.log10(lambda_ / size_training.FIRST_LAMBDA)
            self.bytes *= step * 0.98**excess

        def arrays(self):
            sizes.append(self.bytes)
            return self.bytes

    monkeypatch.setattr(size_training.code_training, "CodeTrainer", Trainer)
    monkeypatch.setattr(size_training.models, "copy", lambda model: model)
    lesson = size_training.Lesson(None, None, steps=100)
    trainer = size_training.SizeTrainer(
        size_training.Task(None, None, lesson, None),
        lambda codes: range(round(codes)),
        round(size),
        0,
        Progress(),
    )
    packed = types.SimpleNamespace(codes=size)
    [*trainer._train(packed, size, 100, None)]
    assert len(sizes) == size_training.CORRECTIONS
    # Without a correction it would be half as large again, or two thirds.
    assert sizes[-1] == pytest.approx(size, rel=0.06)


@pytest.mark.parametrize(
    "augmented, steps, passes",
    [(False, 1_000, 1), (True, 7, 1), (True, 11, 2), (True, 1_000, 125)],
)
def test_features_are_computed_for_some_epochs(augmented, steps, passes):
    train = types.SimpleNamespace(steps=2)
    lesson = size_training.Lesson(train, None, steps, is_augmented=augmented)
    assert lesson.passes == passes


def test_round_whose_file_cannot_be_made_ends_the_training(
    packer, small_model, dataset, monkeypatch
):
    lesson = make_lesson(small_model, dataset, steps=2)
    trainer = size_training.SizeTrainer(
        size_training.Task(small_model, packer.images, lesson, packer.measurer),
        lambda codes: b"x" * 10_000,
        TARGET,
        0,
        Progress(),
    )
    monkeypatch.setattr(lambda_search, "MAX_LAMBDA", 1e-6)
    assert [*trainer.rounds()] == []


@pytest.mark.parametrize("steps", [1, 2, 3, 6, 1_200])
def test_rounds_share_the_steps(steps, monkeypatch):
    lesson = size_training.Lesson(None, None, steps)
    trainer = size_training.SizeTrainer(
        size_training.Task(None, None, lesson, None), len, 100, 0, Progress()
    )
    trained = []

    def train(packed, size, count, advance):
        trained.append((size, count))
        return [packed]

    file = size_training.File(90, 1e-7, {})
    monkeypatch.setattr(trainer, "_pack", lambda size: file)
    monkeypatch.setattr(trainer, "_train", train)
    monkeypatch.setattr(size_training, "set_weights", lambda *_: None)
    assert {*trainer.rounds()} == {file}
    sizes, counts = zip(*trained)
    assert sum(counts) == steps and 0 not in counts
    assert sizes[-1] == 100 and counts[-1] == max(counts)


def test_batches_go_on_from_epoch_to_epoch(small_model, dataset):
    lesson = make_lesson(small_model, dataset)
    lesson = dataclasses.replace(lesson, steps=lesson.train.steps + 1)
    batches = lesson.batches()
    found = [next(batches)[0] for _ in range(lesson.steps)]
    first, *_ = lesson.train.batches(1)
    np.testing.assert_array_equal(found[-1], first[0])
