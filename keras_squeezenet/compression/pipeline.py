"""The compression pipeline: prune, cluster, quantize, pack, export.

Reference:
- [Deep Compression](https://arxiv.org/abs/1510.00149) (Han et al., 2016)
- SqueezeNet paper, section 4.2 and table 2
"""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

import keras

from keras_squeezenet import flattening
from keras_squeezenet import models
from keras_squeezenet import report
from keras_squeezenet.compression import run_images
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression.compression_recipe import Recipe
from keras_squeezenet.compression.compression_result import CompressionResult
from keras_squeezenet.compression.compression_run import IGNORED_FILES
from keras_squeezenet.compression.compression_run import Run
from keras_squeezenet.data import decode
from keras_squeezenet.training import requirements
from keras_squeezenet.training import training_recipe
from keras_squeezenet.training import training_result
from keras_squeezenet.training import unlabeled
from keras_squeezenet.utils import backend
from keras_squeezenet.utils import files
from keras_squeezenet.utils import ownership
from keras_squeezenet.utils.progress import Progress


@backend.channels_last()
@decode.named_errors()
def compress(
    model: keras.Model | str | os.PathLike,
    data: Any,
    validation: Any = None,
    *,
    test: Any = None,
    recipe: Recipe | None = None,
    teacher: keras.Model | str | os.PathLike | None = None,
    out: str | os.PathLike = "squeezenet_compressed",
    name: str | None = None,
    class_names: Sequence[str] | None = None,
    normalization: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    tensorboard: str | os.PathLike | None = None,
    progress: Progress | None = None,
    trained: training_result.TrainingResult | None = None,
) -> CompressionResult:
    """Compress a trained model in stages, and write its artifacts.

    Each stage keeps its epoch with the best validation accuracy. Its result is
    checked: the density and the number of distinct values of each kernel. Each
    artifact is read again, and its outputs are compared with the model's.

    Args:
        model: `keras.Model`, a flat or nested SqueezeNet with any head, from
            normalized images to probabilities of the classes, which is left
            unchanged; or a path or the name of weights, as `models.load` takes
            them.
        data, validation, name, class_names, normalization: as in
            `training.train`. Validation and test batches that are reshuffled
            in every pass are kept in memory, in the order of one pass.
        test: the test set, as `validation` is given, for the accuracies in the
            report. Defaults to `None`: that of `data`, if it is an
            `ImageDataset`, or else the validation set.
        recipe: defaults to `Recipe()`. With an `image_size` the model is
            taken to images of that size, which the data must have.
        teacher: as in `training.train`, for every stage. Without one, a
            positive `recipe.distillation`, or images without labels, make the
            model before compression the teacher, in its own size.
        out: the output folder, for the artifacts, `report.json`, `report.md`,
            `report.html` and the model card `README.md`. They are written at
            the end; until then the folder has a checkpoint.
        overwrite, resume, tensorboard, progress: as in `training.train`.
        trained: the result of the run that trained `model`, for the report.

    Returns:
        A `CompressionResult`.

    Raises:
        ValueError: if the model is not a SqueezeNet or does not fit the images,
            a validation or test set has classes that the training set lacks,
            or the run to resume had other arguments or another model.
        FileExistsError: if the output folder is not empty.
        NonFiniteLossError: if a loss becomes NaN; it names stage and step.
        ImportError: if `tensorboard` is given but not installed.
        RuntimeError: with a backend other than TensorFlow.
        CheckError: if the result of a stage, or an artifact, misses a target.
        AccuracyLossError: if a stage loses more than
            `recipe.max_accuracy_drop`, even when relaxed. The result of the
            stages before it is written.
        TargetError: if a stage cannot reach a target, such as `target_bytes`.
            If that is known from the start, nothing is written, otherwise the
            result of the stages before it.
    """
    recipe = training_recipe.with_teacher(
        recipe or Recipe(), teacher, True, unlabeled.is_labeled(data)
    )
    out = pathlib.Path(out).expanduser()
    backend.require_tensorflow("Compression")
    model = flattening.flatten(models.load(model, normalization=normalization))
    if recipe.image_size not in (None, model.input_shape[1]):
        # The model knows the images of its own size best.
        teacher = model if teacher is None else teacher
        model = models.resize(model, recipe.image_size)
    tf_keras_twin.require_squeezenet(model)
    requirements.require_one_label(model, "compression")
    if tensorboard is not None:
        requirements.require_tensorboard(tensorboard)
    progress = progress or Progress()
    with ownership.own(out):
        images = run_images.load(
            model,
            {"train": data, "validation": validation, "test": test},
            recipe,
            teacher,
            name=name,
            class_names=class_names,
            normalization=normalization,
            progress=progress,
        )
        run = Run(model, recipe, images, out, progress, tensorboard)
        run.begin(overwrite, resume)
        run.measure_dense(trained)
        lost = run.run_stages()
        with files.new_folder(out, overwrite, IGNORED_FILES) as folder:
            summary, shown = run.export(folder, lost)
            report.write(summary, folder, shown)
        files.sweep(run.checkpoint.parent, IGNORED_FILES)
    if lost:
        raise lost
    return CompressionResult(run.model, summary)
