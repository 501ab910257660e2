"""The compression pipeline: train, prune, cluster, quantize, export.

Reference:
- [Deep Compression](https://arxiv.org/abs/1510.00149) (Han et al., 2016)
- SqueezeNet paper, section 4.2 and table 2
"""

import functools
import gzip
import time

import keras
import numpy as np
import tf_keras

from keras_squeezenet import kernels as statistics
from keras_squeezenet import outputs
from keras_squeezenet import report
from keras_squeezenet import training
from keras_squeezenet.compression import cluster
from keras_squeezenet.compression import guarantees
from keras_squeezenet.compression import prune
from keras_squeezenet.compression import quantize
from keras_squeezenet.compression import twin as twins
from keras_squeezenet.export import litert
from keras_squeezenet.export import saved_model
from keras_squeezenet.progress import Progress

CALIBRATION_BATCHES = 8
# Float32 sums in another order; the outputs are probabilities.
TOLERANCE = 1e-4

MODEL_FILE = "model.keras"
SAVED_MODEL_FOLDER = "saved_model"
LITERT_FILE = "model_int8.tflite"


def compress(model, dataset, recipe, out, overwrite=False, progress=None):
    """Trains and compresses a model, and writes every form of it.

    After each stage what it promised is measured on its result: the density
    and the number of distinct values of each kernel, and equal outputs of
    each form of the model.

    Args:
        model: `keras.Model`, a flat Functional SqueezeNet from preprocessed
            images to probabilities of the data set's classes. Its weights
            change.
        dataset: `data.ImageDataset`.
        recipe: `Recipe`.
        out: path of the output folder: `model.keras`, `saved_model/`,
            `model_int8.tflite`, `report.json` and `report.md`. It is written
            when all is done, or not at all.
        overwrite: whether to replace these files of an earlier run. Defaults
            to `False`.
        progress: `Progress`, to be told how the work goes on. Defaults to
            a silent one.

    Returns:
        The report, a dict as in `report.json`.

    Raises:
        ValueError: if the model is no SqueezeNet, or has another number of
            classes than the data set, or another image size.
        FileExistsError: if the output folder is not empty.
        NonFiniteLossError: if a loss becomes NaN, naming stage and step.
        RuntimeError: on another backend than TensorFlow.
        GuaranteeError: if a stage falls short of what it promised.
    """
    saved_model.require_tensorflow()
    twins.require_squeezenet(model)
    _require_fit(model, dataset)
    with outputs.new_folder(out, overwrite) as folder:
        pipeline = _Pipeline(model, dataset, recipe, progress or Progress())
        pipeline.train()
        pipeline.prune()
        pipeline.cluster()
        quantized = pipeline.quantize()
        int8_kernels = pipeline.export_litert(quantized, folder)
        pipeline.export_keras(_without_optimizer(model), folder)
        summary = report.make(
            model=model,
            dataset=dataset,
            recipe=recipe,
            stages=pipeline.stages,
            layers=_layers(model, int8_kernels),
            folder=folder,
        )
        report.write(summary, folder)
    return summary


class _Pipeline:
    """A model on its way, and what was measured after each stage."""

    def __init__(self, model, dataset, recipe, progress):
        self.model = model
        self.dataset = dataset
        self.recipe = recipe
        self.progress = progress
        self.stages = []
        self.epoch_steps = max(1, dataset.train_size // recipe.batch_size)
        self.batches = dataset.train_batches(recipe.batch_size, recipe.seed)
        self.calibration = [
            np.asarray(images)
            for images, _ in self.batches.take(CALIBRATION_BATCHES)
        ]
        _require_probabilities(model, self.calibration[0])

    def train(self):
        started = time.monotonic()
        steps = self._steps(self.recipe.train_epochs)
        if steps:
            self._fit(
                self.model,
                steps,
                name="train",
                namespace=keras,
                learning_rate=self.recipe.learning_rate,
            )
        twin = twins.make_twin(self.model)
        self._require_same_outputs(twin.predict_on_batch, "the tf_keras twin")
        self._finish("dense", started)

    def prune(self):
        started = time.monotonic()
        densities = {
            layer: self.recipe.target_density
            for layer in twins.kernels(self.model)
            if layer != "conv1" and not layer.endswith("_squeeze1x1")
        }
        prune.prune(
            self.model,
            densities,
            self._twin_fit("prune", 1),
            self._steps(self.recipe.prune_epochs),
        )
        self._finish("pruned", started)

    def cluster(self):
        started = time.monotonic()
        cluster.cluster(
            self.model,
            self._clusters(),
            self._twin_fit("cluster", 1 / 2),
            self._steps(self.recipe.cluster_epochs),
        )
        self._finish("clustered", started)

    def quantize(self):
        started = time.monotonic()
        quantized = quantize.quantize(
            self.model,
            self._clusters(),
            self.calibration,
            self._twin_fit("quantize", 1 / 5),
            self._steps(self.recipe.quantize_epochs),
        )
        self._finish("quantized", started)
        return quantized

    def export_litert(self, quantized, folder):
        """Writes the int8 LiteRT file, and measures the file itself."""
        started = time.monotonic()
        with self.progress.task("convert to LiteRT", None):
            content = litert.convert_int8(quantized)
        (folder / LITERT_FILE).write_bytes(content)
        interpreter = litert.LiteRTModel(content)
        kernels = interpreter.kernels(twins.kernels(self.model))
        if interpreter.float_tensors():
            raise guarantees.GuaranteeError(
                f"{LITERT_FILE} should have integer tensors only. Measured: "
                f"{', '.join(interpreter.float_tensors())}"
            )
        guarantees.require_zeros_kept(
            twins.kernels(self.model), kernels, LITERT_FILE
        )
        guarantees.require_distinct(
            kernels, self._clusters(), LITERT_FILE, per_channel=True
        )
        self._finish("int8 LiteRT", started, interpreter, kernels, content)
        return kernels

    def export_keras(self, model, folder):
        """Writes the Keras 3 model and its SavedModel."""
        model.save(folder / MODEL_FILE)
        loaded = keras.models.load_model(folder / MODEL_FILE)
        self._require_same_outputs(loaded.predict_on_batch, MODEL_FILE)
        with self.progress.task("export SavedModel", None):
            saved_model.save(model, folder / SAVED_MODEL_FOLDER)
        self._require_same_outputs(
            saved_model.load(folder / SAVED_MODEL_FOLDER), SAVED_MODEL_FOLDER
        )

    def _steps(self, epochs):
        return self.recipe.steps(epochs, self.epoch_steps)

    def _clusters(self):
        size = self.recipe.number_of_clusters
        return dict.fromkeys(twins.kernels(self.model), size)

    def _fit(
        self, model, steps, callbacks=(), *, name, namespace, learning_rate
    ):
        with self.progress.task(name, steps) as advance:
            try:
                training.train(
                    namespace,
                    model,
                    self.batches,
                    steps,
                    self.epoch_steps,
                    learning_rate,
                    advance,
                    callbacks,
                )
            except training.NonFiniteLossError as error:
                raise training.NonFiniteLossError(f"{name}: {error}") from error

    def _twin_fit(self, name, share):
        return functools.partial(
            self._fit,
            name=name,
            namespace=tf_keras,
            learning_rate=self.recipe.finetune_learning_rate * share,
        )

    def _finish(self, name, started, predict=None, kernels=None, content=None):
        """Measures a stage's result; by default the model's weights."""
        predict = predict or self.model.predict_on_batch
        kernels = kernels or twins.kernels(self.model)
        content = content or _weight_bytes(self.model)
        seconds = time.monotonic() - started
        batches = self.dataset.test_batches(self.recipe.batch_size)
        with self.progress.task(
            f"test {name}", -(-self.dataset.test_size // self.recipe.batch_size)
        ) as advance:
            accuracy = training.accuracy(predict, batches, advance)
        self.stages.append(
            {
                "name": name,
                "accuracy": accuracy,
                "density": statistics.overall_density(kernels),
                "seconds": seconds,
                "bytes": len(content),
                "gzip_bytes": len(gzip.compress(content)),
            }
        )

    def _require_same_outputs(self, predict, what):
        images = self.calibration[0]
        guarantees.require_equal(
            self.model.predict_on_batch(images),
            predict(images),
            TOLERANCE,
            what,
        )


def _require_fit(model, dataset):
    expected = (None, dataset.image_size, dataset.image_size, 3)
    if model.input_shape != expected:
        raise ValueError(
            f"the model should take images of shape {expected}, as "
            f"{dataset.name!r} has them. Received: a model that takes "
            f"{model.input_shape}"
        )
    expected = (None, len(dataset.class_names))
    if model.output_shape != expected:
        raise ValueError(
            f"the model should put out the shape {expected}: one probability "
            f"for each class of {dataset.name!r}. Received: a model that puts "
            f"out {model.output_shape}"
        )


def _require_probabilities(model, images):
    sums = np.sum(model.predict_on_batch(images), axis=-1)
    # A network that is NaN already is left to the first step to report.
    if np.any(np.abs(sums - 1) > 0.01):
        raise ValueError(
            "the model should put out probabilities: end it with a softmax. "
            f"Received: outputs of {model.layers[-1].name!r} that add up to "
            f"{sums[0]:.3f} for an image"
        )


def _without_optimizer(model):
    """Returns a copy of a model that writes no state of its training."""
    copy = keras.Model.from_config(model.get_config())
    copy.set_weights(model.get_weights())
    return copy


def _weight_bytes(model):
    return b"".join(
        keras.ops.convert_to_numpy(weight).tobytes() for weight in model.weights
    )


def _layers(model, int8_kernels):
    """Returns what was measured on each kernel, as rows of the report."""
    rows = []
    for name, kernel in twins.kernels(model).items():
        measured = statistics.measure(kernel)
        int8 = statistics.measure(int8_kernels[name])
        rows.append(
            {
                "name": name,
                "shape": list(measured.shape),
                "weights": kernel.size,
                "density": measured.density,
                "distinct_values": measured.distinct,
                "bits": measured.bits,
                "int8_density": int8.density,
                "int8_distinct_values_per_channel": int8.distinct_per_channel,
            }
        )
    return rows
