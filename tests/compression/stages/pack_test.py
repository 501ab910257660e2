import dataclasses
import types

import keras
import numpy as np
import pytest
import quarters

from keras_squeezenet import codec
from keras_squeezenet.compression import Recipe
from keras_squeezenet.compression import checks
from keras_squeezenet.compression import run_images
from keras_squeezenet.compression.stages import pack
from keras_squeezenet.compression.stages import stage as stage_module
from keras_squeezenet.compression.stages.pack import Pack
from keras_squeezenet.data import splits
from keras_squeezenet.packing import bounds
from keras_squeezenet.packing import code_training
from keras_squeezenet.packing import pack_result
from keras_squeezenet.training import distillation
from keras_squeezenet.training import objectives
from keras_squeezenet.utils import cpu
from keras_squeezenet.utils.progress import Progress


def make_model():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = keras.Input((quarters.SIDE, quarters.SIDE, 3))
    x = layers.Conv2D(8, 4, 4, activation="relu", name="conv1")(inputs)
    x = layers.Conv2D(quarters.CLASSES, 4, name="conv10")(x)
    x = layers.GlobalAveragePooling2D(name="pool10")(x)
    model = keras.Model(inputs, layers.Activation("softmax")(x))
    kernel = model.get_layer("conv10").kernel
    # Saturated outputs have no Fisher information.
    kernel.assign(0.02 * kernel)
    return model


@pytest.fixture
def make_stage(dataset, monkeypatch):
    """Return a function that makes a stage, which evaluates few lambdas."""
    quarters.pack_few_points(monkeypatch)

    def make_stage(recipe, accuracy=0.25, teacher=False):
        made = Pack(make_model(), recipe)
        sets = dataset.split_validation(0.5)
        images = run_images.RunImages(
            splits.training_split(sets, 16),
            splits.evaluation_split(sets.as_test("validation"), 16, "v"),
            splits.evaluation_split(sets.as_test("test"), 16, "t"),
            {"classes": ["0"] * quarters.CLASSES},
            [],
            objectives.Objective(),
            distillation.Teacher(made.model, "it", "caffe")
            if teacher
            else None,
        )
        made.context = stage_module.Context(
            images,
            accuracy,
            {"trained_on": "quarters"},
            Progress(),
        )
        return made

    return make_stage


@pytest.fixture
def packed_stage(make_stage):
    made = make_stage(Recipe(max_kl=0.05))
    made.finish(made.wrap(0, []))
    return made


def test_model_becomes_what_the_file_decodes_to(packed_stage):
    packed = packed_stage.packed
    assert 0 < packed.point.kl <= 0.05
    decoded = codec.loads(packed.content)
    for one, other in zip(
        packed_stage.model.get_weights(), decoded.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert packed_stage.model.get_layer("conv1").trainable


def test_file_is_measured_on_both_sets(packed_stage):
    packed = packed_stage.packed
    # Half of 64 images calibrate, and half measure; 32 test.
    assert (packed.images, packed.validation_images) == (32, 32)
    assert packed.is_held_out and packed.test_images == 32
    assert packed.point.accuracy_before is not None
    assert packed.test.kl != packed.point.kl


@pytest.mark.parametrize("epochs, teacher", [(10, True), (1, False)])
def test_codes_are_trained_on_the_training_set(
    make_stage, monkeypatch, epochs, teacher
):
    monkeypatch.setattr(code_training, "LEARNING_RATE", 1.0)
    train, seen = code_training.CodeTrainer.train, []

    def see(trainer, batches, *arguments):
        batches = list(batches)
        seen.extend(batches)
        train(trainer, batches, *arguments)

    monkeypatch.setattr(code_training.CodeTrainer, "train", see)
    # An epoch has two steps.
    recipe = Recipe(target_bytes=500, pack_epochs=epochs, distillation=0.5)
    made = make_stage(recipe, teacher=teacher)
    learned, _ = made.context.images.learn(recipe, cpu.precision())
    expected = [batch for i in range(epochs) for batch in learned.batches(i)]
    made.finish(made.wrap(0, []))
    packed = made.packed
    for (one, targets), (other, labels) in zip(seen, expected, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(targets, labels, rtol=1e-5)
        # Of the labels, and of the teacher if there is one.
        assert targets.shape[1] == quarters.CLASSES * (2 if teacher else 1)
    assert made.keeps_ranges != packed.has_trained_codes
    before, *trained = packed.code_training
    assert any(point.kl != before.kl for point in trained)
    assert packed.point.bytes <= 500
    assert packed.point.accuracy >= before.accuracy
    decoded = codec.loads(packed.content)
    for one, other in zip(
        made.model.get_weights(), decoded.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_codes_are_not_trained_without_a_size(packed_stage):
    assert packed_stage.packed.code_training == []


@pytest.mark.parametrize(
    "changes, steps",
    [
        ({"target_bytes": 9}, 2400),
        ({"target_bytes": 9, "pack_epochs": 0}, 0),
        ({"target_bytes": 9, "pack_epochs": 3}, 6),
        ({"target_bytes": 9, "max_train_steps": 5}, 5),
        ({"max_kl": 0.1}, 0),
        ({"max_kl": 0.1, "pack_epochs": 3}, 6),
    ],
)
def test_codes_are_trained_for_enough_steps(make_stage, changes, steps):
    # An epoch has two steps.
    lesson = make_stage(Recipe(**changes))._lesson()
    assert (lesson.steps if lesson else 0) == steps


def test_codes_of_many_images_are_trained_for_as_many_steps(make_stage):
    made = make_stage(Recipe(target_bytes=9))
    images = made.context.images
    many = dataclasses.replace(images.train, steps=70_000)
    made.context = dataclasses.replace(
        made.context, images=dataclasses.replace(images, train=many)
    )
    assert made._lesson().steps == 2400


def test_only_networks_that_do_much_work_have_a_frozen_front(
    make_stage, monkeypatch
):
    made = make_stage(Recipe(target_bytes=9))
    assert not made._lesson().freezes_front
    monkeypatch.setattr(pack, "MAX_MACS", 1_000)
    assert made._lesson().freezes_front
    augmented = make_stage(Recipe(target_bytes=9, augmentation="crop"))
    assert augmented._lesson().is_augmented and not made._lesson().is_augmented


def test_file_that_decodes_to_another_model_is_an_error(
    make_stage, monkeypatch
):
    made = make_stage(Recipe(max_kl=0.05))
    monkeypatch.setattr(pack_result.PackResult, "model", made.model)
    with pytest.raises(checks.CheckError, match="must decode to the model"):
        made.wrap(0, [])


@pytest.mark.parametrize(
    "recipe, before, bound",
    [
        ({"target_bytes": 9}, 0.9, bounds.Bound(target_bytes=9)),
        ({"max_kl": 0.1}, 0.9, bounds.Bound(max_kl=0.1)),
        ({}, 0.9, bounds.Bound(max_kl=0.02)),
        # Of two points that may be lost, half a point is lost before.
        (
            {"max_accuracy_drop": 2.0},
            0.895,
            bounds.Bound(max_accuracy_drop=1.5),
        ),
        ({"max_accuracy_drop": 2.0}, 0.8, bounds.Bound(max_accuracy_drop=0.0)),
        (
            {"max_accuracy_drop": 2.0, "max_kl": 0.1},
            0.9,
            bounds.Bound(max_kl=0.1),
        ),
    ],
)
def test_bound_is_that_of_the_recipe(recipe, before, bound):
    made = Pack(None, Recipe(**recipe))
    made.context = types.SimpleNamespace(accuracy=0.9)
    found = made._bound(types.SimpleNamespace(accuracy=before))
    assert vars(found) == pytest.approx(vars(bound))


def test_relaxed_file_is_larger():
    assert not Pack.can_relax(Recipe(max_accuracy_drop=1.0))
    by_size, by_divergence = Recipe(target_bytes=1000), Recipe(max_kl=0.08)
    assert Pack.can_relax(by_size) and Pack.can_relax(by_divergence)
    assert Pack.relax(by_size, 2).target_bytes == 1562
    assert Pack.relax(by_divergence, 2).max_kl == 0.02
