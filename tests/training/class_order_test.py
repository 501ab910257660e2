"""The classes of every set are those of the training set, by their names."""

import pytest

from keras_squeezenet import compression
from keras_squeezenet import training
from keras_squeezenet.compression import run_images
from keras_squeezenet.training import class_order
from keras_squeezenet.training import linear_head
from keras_squeezenet.utils.progress import Progress

STATED = ["north", "east", "south", "west"]
STEP = training.Recipe(epochs=1, batch_size=16, max_train_steps=1)


def run_of(function, model, sets, out, **options):
    """Return the result of `train`, `finetune` or `compress`."""
    if function == "compress":
        recipe = compression.Recipe(batch_size=16)
        return run_images.load(
            model, sets, recipe, progress=Progress(), **options
        )
    data, *others = (sets[name] for name in ("train", "validation", "test"))
    options |= {"recipe": STEP, "out": out, "test": others[1]}
    if function == "train":
        return training.train(model, data, others[0], **options)
    return training.finetune(model, data, others[0], phases=(), **options)


@pytest.fixture(params=["train", "finetune", "compress"])
def run(request, make_model, tmp_path, monkeypatch, untraced):
    """Return a function that returns the result of a run with some sets.

    Its network is untrained unless it is given.
    """
    monkeypatch.setattr(linear_head, "STEPS", 300)

    def run(train, validation=None, test=None, model=None, **options):
        sets = {"train": train, "validation": validation, "test": test}
        model = model or make_model(conv10_activation=None)
        out = tmp_path / "out"
        return run_of(request.param, model, sets, out, **options)

    return run


def test_stated_names_are_those_of_the_report(run, dataset):
    found = run(dataset, name="compass", class_names=STATED).dataset
    assert found["name"] == "compass"
    assert found["classes"] == STATED


@pytest.mark.parametrize(
    "stated, message",
    [
        (STATED[:3], "each of the 4 classes of 'quarters'.* Received: 3 names"),
        ("badc", "do not sort them.*: a, b, c, d. Received: b, a, d, c"),
    ],
)
def test_stated_names_that_are_not_those_of_the_classes_are_refused(
    stated, message, dataset
):
    sets = {"train": dataset, "validation": None, "test": None}
    with pytest.raises(ValueError, match=message):
        class_order.of_run(sets, [*stated])
