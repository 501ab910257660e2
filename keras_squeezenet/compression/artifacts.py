"""The artifacts of a compression, each read again and compared.

model.keras             the Keras model
model.sqz               the same model in the fewest bytes: as it was packed, or
                        entropy-coded without loss
saved_model/            for TensorFlow
saved_model_packed/     the same, with the coded weights of model.sqz
saved_model_qat/        the same, after quantization-aware training
model_float32.tflite    for LiteRT; float16, int8 and int16x8 likewise
"""

import dataclasses
import gzip

from keras_squeezenet import codec
from keras_squeezenet import keras_file
from keras_squeezenet import metadata
from keras_squeezenet import models
from keras_squeezenet.compression import checks
from keras_squeezenet.compression import preserving_scheme
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression.stages import quantize
from keras_squeezenet.evaluation import labeled_outputs
from keras_squeezenet.evaluation import metrics
from keras_squeezenet.export import litert
from keras_squeezenet.export import litert_file
from keras_squeezenet.export import packed_saved_model
from keras_squeezenet.export import saved_model
from keras_squeezenet.utils import digests
from keras_squeezenet.utils import files

# For float32 sums in another order; the outputs are probabilities.
TOLERANCE = 1e-4

MODEL_FILE = "model.keras"
SQZ_FILE = "model.sqz"
SAVED_MODEL_FOLDER = "saved_model"
PACKED_FOLDER = "saved_model_packed"
QUANTIZED_FOLDER = "saved_model_qat"
LITERT_FILE = "model_{}.tflite"
INT8_FILE = LITERT_FILE.format("int8")
# The first of these that was written stands for the final network.
FINAL_FILES = (INT8_FILE, MODEL_FILE)


def make_quantized(model, ranges, calibration, recipe):
    """Return the tf_keras model that 8-bit artifacts are converted from.

    It is `None` if the recipe has no such artifact. Without trained activation
    ranges they are measured.
    """
    if "quantize" not in recipe.stages and "int8" not in recipe.litert:
        return None
    ranges = ranges or quantize.measure_ranges(model, calibration)
    # Nothing trains it: zeros stay zero and equal weights equal, without help.
    quantized = quantize.wrap(model, ranges, "none")
    metadata.attach(quantized, metadata.of(model))
    return quantized


def provenance(dataset, recipe):
    """Return what a .sqz file says of its making."""
    return {
        "trained_on": dataset["name"],
        "recipe": dataclasses.asdict(recipe),
    }


def write(model, state, recipe, images, folder, progress):
    """Write the artifacts of a recipe to an empty folder; return `Written`.

    `state` and `images` are those of the run that has made the model.
    """
    copy, test = models.copy(model), images.measured
    quantized = make_quantized(model, state.ranges, images.calibration, recipe)
    sources = {"model": copy, "quantized model": quantized}
    written = Written(
        folder,
        test,
        progress,
        {
            name: labeled_outputs.evaluate(
                source.predict_on_batch, test.batches(0)
            )
            for name, source in sources.items()
            if source is not None
        },
    )
    if state.packed:
        packed = state.packed[0].tobytes()
    else:
        made = provenance(images.dataset, recipe)
        packed = codec.dump(copy, provenance=made)
    _write_models(written, copy, packed)
    if "quantize" in recipe.stages:
        saved_model.save_quantized(quantized, folder / QUANTIZED_FOLDER)
        written.add_saved_model(QUANTIZED_FOLDER, "quantized model")
    converters = {
        "float32": lambda: litert.convert_float32(copy),
        "float16": lambda: litert.convert_float16(copy),
        "int8": lambda: litert.convert_int8(quantized),
        "int16x8": lambda: litert.convert_int16x8(copy, images.calibration),
    }
    for kind in recipe.litert:
        with progress.task(f"convert to {kind}", None):
            content = converters[kind]()
        name = LITERT_FILE.format(kind)
        (folder / name).write_bytes(content)
        written.add(
            name,
            litert_file.LiteRTModel(content),
            "quantized model" if kind == "int8" else "model",
            TOLERANCE if kind == "float32" else None,
        )
        if kind == "int8":
            written.int8_kernels = _require_int8(content, model)
    return written


def _write_models(written, model, packed):
    folder = written.folder
    models.save(model, folder / MODEL_FILE)
    loaded = keras_file.load(folder / MODEL_FILE)
    written.add(MODEL_FILE, loaded.predict_on_batch)
    (folder / SQZ_FILE).write_bytes(packed)
    loaded = codec.load(folder / SQZ_FILE)
    checks.require_same_weights(model, loaded, SQZ_FILE)
    written.add(SQZ_FILE, loaded.predict_on_batch)
    with written.progress.task("export SavedModel", None):
        saved_model.save(model, folder / SAVED_MODEL_FOLDER)
        packed_saved_model.save(packed, folder / PACKED_FOLDER)
    written.add_saved_model(SAVED_MODEL_FOLDER)
    written.add_saved_model(PACKED_FOLDER)


class Written:
    """The artifacts that were written, each evaluated.

    `files` are rows of the report, and `evaluations` are by file name.
    `int8_kernels` are by layer name, and empty without the int8 file.
    """

    def __init__(self, folder, test, progress, sources):
        self.folder = folder
        self.test = test
        self.progress = progress
        self.sources = sources
        self.files = []
        self.evaluations = {}
        self.int8_kernels = {}

    @property
    def final(self):
        """The evaluation of the artifact that stands for the final network."""
        return next(
            self.evaluations[name]
            for name in FINAL_FILES
            if name in self.evaluations
        )

    def add_saved_model(self, name, source="model"):
        self.add(name, saved_model.load(self.folder / name), source)

    def add(self, name, predict, source="model", tolerance=TOLERANCE):
        with self.progress.task(f"test {name}", self.test.steps) as advance:
            found = labeled_outputs.evaluate(
                predict, self.test.batches(0), advance
            )
        expected = self.sources[source].probabilities
        if tolerance is not None:
            checks.require_equal(expected, found.probabilities, tolerance, name)
        compared = metrics.compare(expected, found.probabilities)
        content = files.content(self.folder / name)
        self.evaluations[name] = found
        self.files.append(
            {
                "name": name + "/" * (self.folder / name).is_dir(),
                "bytes": len(content),
                "gzip_bytes": len(gzip.compress(content)),
                "sha256": digests.of(content),
                "accuracy": found.accuracy,
                "agreement": compared.agreement,
                "max_difference": compared.max_difference,
                "source": source,
            }
        )


def _require_int8(content, model):
    interpreter = litert_file.LiteRTModel(content)
    kernels = tf_keras_twin.kernels(model)
    if interpreter.float_tensors():
        raise checks.CheckError(
            f"{INT8_FILE} must have integer tensors only. Measured: the "
            f"float tensors {', '.join(interpreter.float_tensors())}"
        )
    found = litert_file.read_kernels(content)
    missing = [name for name in kernels if name not in found]
    if missing:
        raise checks.CheckError(
            f"{INT8_FILE} must have the kernel of every layer. Measured: none "
            f"of {', '.join(missing)}"
        )
    checks.require_zeros_kept(kernels, found, INT8_FILE)
    checks.require_distinct(
        found,
        preserving_scheme.codebook_sizes(kernels),
        INT8_FILE,
        per_channel=True,
    )
    return found
