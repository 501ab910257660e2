"""Train a network, resumably: `train`."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

import keras

from keras_squeezenet.data import decode
from keras_squeezenet.pretrained import hub
from keras_squeezenet.training import distillation
from keras_squeezenet.training import distributed
from keras_squeezenet.training import network
from keras_squeezenet.training import requirements
from keras_squeezenet.training import training_recipe
from keras_squeezenet.training import training_run
from keras_squeezenet.training import unlabeled
from keras_squeezenet.training.training_recipe import Recipe
from keras_squeezenet.training.training_result import TrainingResult
from keras_squeezenet.utils import backend
from keras_squeezenet.utils.progress import Progress


@backend.channels_last()
@backend.float32()
@decode.named_errors()
def train(
    model: keras.Model | str | os.PathLike | None,
    data: Any,
    validation: Any = None,
    *,
    test: Any = None,
    recipe: Recipe | None = None,
    teacher: keras.Model | str | os.PathLike | None = None,
    out: str | os.PathLike = "squeezenet_trained",
    name: str | None = None,
    class_names: Sequence[str] | None = None,
    normalization: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    tensorboard: str | os.PathLike | None = None,
    progress: Progress | None = None,
    distribution: distributed.Distribution | None = None,
) -> TrainingResult:
    """Train a classifier and keep its best epoch.

    After each epoch these files are written to `out`, each whole or not at all:

    - `model.keras`, the model at the best epoch so far
    - `history.csv`, a line for each epoch
    - `report.json`, the `TrainingResult` so far
    - `last.npz`, the checkpoint to resume from, which is also written every
      ten minutes within an epoch

    At the end `README.md` is written, the model card.

    On a CPU, a run that was killed at any moment and resumed ends with the same
    weights, bit for bit, as one that was never interrupted.

    Args:
        model: Functional `keras.Model` from normalized images to
            probabilities of the classes, which is left unchanged, or the path
            of a `.keras` file. For the name or any other file of weights, a
            network is built that starts from them; for `None`, one with random
            weights: see `build`.
        data: the training set: `(images, labels)` or `(images, labels,
            weights)`, arrays as `Model.fit` takes them; batches of them, as a
            `tf.data.Dataset`, a `keras.utils.PyDataset` or another object with
            `len()`; or a `data.ImageDataset`. Labels are integers; one-hot or
            soft labels, rows that sum to 1; or several labels of an image, rows
            of 0 and 1, for a network that ends with a sigmoid. Sample weights
            multiply the loss of their images. With a teacher, labels may be
            left out: images alone, a `tf.data.Dataset` of batches of them, or a
            folder as `data.load` loads it with `labeled=False`. Their labels
            are the classes that the teacher finds.
        validation, test: the validation and the test set, as arrays or batches
            without weights, of soft labels the most probable class counts; or
            the test set of a `data.ImageDataset`, whose classes are matched by
            name with those of the training set. Those of `data` are the
            defaults, if it is an `ImageDataset`; its validation set may be
            split off its training images (`recipe.validation_share`).
        recipe: defaults to `Recipe()`.
        teacher: a network of the same classes whose outputs the model learns
            too, by `recipe.distillation`, as `models.load` takes it. It sees
            the same augmented images, in its own size and normalization. For
            images without labels `recipe.distillation` is 1 unless stated.
            Defaults to `None`: the model learns the labels alone.
        out: the output folder.
        name, class_names: the names of the data set and of its classes, in
            their order, in the report. Default to those of an `ImageDataset`,
            or to `"images"` and numbers.
        normalization: the normalization of the images, a key of
            `normalizations.NORMALIZATIONS`: `"caffe"` as `preprocess_input`
            returns them, `"raw"` for RGB from 0 to 255, ... Every file of the
            model keeps it, and an `ImageDataset` applies it. Defaults to that
            of the model, or to `"caffe"`; then arrays and batches are checked.
        overwrite: whether to replace the files of an earlier run.
        resume: whether to resume a run of the same arguments from its last
            checkpoint, if there is one.
        tensorboard: a folder for TensorBoard's logs; `None` for no logs.
        progress: defaults to a silent one.
        distribution: the devices and workers to train on, from `distribute`.
            Every worker calls this function with the same arguments, and `out`
            is a folder that they share. Only the first worker writes, evaluates
            and shows progress. Each worker draws `mixup`, `cutmix` and dropout
            for its part of a batch; all else is computed as by one worker.
            Defaults to `None`: one device.

    Returns:
        A `TrainingResult`.

    Raises:
        ValueError: if the model does not fit the images, a validation or test
            set has classes that the training set lacks, the run to resume had
            other arguments, the devices cannot share a batch equally, or the
            workers start with different arguments or weights.
        FileExistsError: if the output folder is not empty.
        InUseError: if another process writes to the output folder.
        DiskError: if the disk does not take a file.
        NonFiniteLossError: if the loss becomes NaN; it names epoch and step.
        ImportError: if `tensorboard` is given but not installed.
        RuntimeError: with a backend other than TensorFlow.
        WorkerLostError: if another worker is killed or cannot be reached.

    Example:

    >>> digits = data.load("mnist5k")
    >>> recipe = training.Recipe(epochs=4)
    >>> model = training.train(None, digits, recipe=recipe).model
    """
    backend.require_tensorflow("A training run")
    if tensorboard is not None:
        requirements.require_tensorboard(tensorboard)
    recipe = training_recipe.with_teacher(
        recipe or Recipe(), teacher, is_labeled=unlabeled.is_labeled(data)
    )
    keras.utils.set_random_seed(recipe.seed)
    distribution = distribution or distributed.Distribution()
    out = pathlib.Path(out).expanduser()
    model = hub.local(model)
    run = training_run.Run(recipe, out, progress or Progress(), distribution)
    with run.owned():
        known = network.normalization_of(model, normalization)
        if teacher is not None:
            run.teacher = distillation.load(teacher, known)
        data = run.take_data(
            {"train": data, "validation": validation, "test": test},
            model,
            class_names,
            known,
        )
        run.take_model(model, data, name, class_names, normalization)
        with distribution.watched(run.out / training_run.LAST_FILE):
            run.begin(overwrite, resume)
            run.fit(tensorboard)
            return run.finish()
