"""Write folders for OpenVINO, float32 or int8, and run them."""

import contextlib
import io
import logging
import os
import pathlib
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from keras_squeezenet import metadata
from keras_squeezenet import normalizations
from keras_squeezenet.export import formats

if TYPE_CHECKING:
    import keras


@contextlib.contextmanager
def _without_telemetry():
    """Import OpenVINO and NNCF as in continuous integration.

    Otherwise they send which function is used to their authors.
    """
    before = os.environ.get("CI")
    os.environ["CI"] = "true"
    try:
        yield
    finally:
        del os.environ["CI"]
        if before is not None:
            os.environ["CI"] = before


with _without_telemetry():
    import openvino
    from openvino import passes

MODEL_FILE = "model.xml"
# Where OpenVINO's Model API looks for the names of the classes.
LABELS = ["model_info", "labels"]


def write_openvino(
    model: "keras.Model",
    path: str | os.PathLike,
    calibration: np.ndarray | None = None,
) -> None:
    """Write a folder with `model.xml` and `model.bin` that computes in float32.

    It maps `images` to `probabilities` as the result of `onnx_graph.build`
    does. The metadata of the model are in the folder.

    Args:
        model: an image classifier, as `flattening.flatten` takes it.
        path: path of the folder, which must not exist.
        calibration: not used.

    Raises:
        ValueError: if the model has another structure.
    """
    _write(path, convert(model), model)


def write_openvino_int8(
    model: "keras.Model", path: str | os.PathLike, calibration: np.ndarray
) -> None:
    """Write a folder as `write_openvino` does, that computes in int8.

    NNCF quantizes kernels with a scale for each output channel, and activations
    with one for each tensor. Kernels that take images have 7 bits, as
    `saturation` explains.

    Args:
        model: an image classifier, as `flattening.flatten` takes it.
        path: path of the folder, which must not exist.
        calibration: float32 images as the model takes them, on which the ranges
            of the activations are measured.

    Raises:
        ValueError: if the model has another structure, or there is no image.
    """
    _write(path, quantize(model, calibration), model)


def convert(model: "keras.Model") -> openvino.Model:
    """Return a model as `write_openvino` writes it, without labels."""
    # It loads Keras, which running a file does without.
    from keras_squeezenet.export import onnx_graph

    content = onnx_graph.build(model).SerializeToString()
    # Unlike `openvino.convert_model`, they have no telemetry.
    converted = openvino.Core().read_model(content)
    folding = passes.Manager()
    # NNCF takes only constants for biases.
    folding.register_pass(passes.ConstantFolding())
    folding.run_passes(converted)
    converted.set_friendly_name(model.name)
    return converted


def quantize(
    model: "keras.Model", calibration: np.ndarray, **options: Any
) -> openvino.Model:
    """Return what `write_openvino_int8` writes, without labels.

    `options` are those of `nncf.quantize`.
    """
    formats.require_images(calibration)
    nncf = import_nncf()
    converted = convert(model)
    dtype = converted.input(0).element_type.to_dtype()
    images = calibration.astype(dtype)
    # It prints a progress bar.
    with contextlib.redirect_stdout(io.StringIO()):
        return nncf.quantize(
            converted,
            nncf.Dataset([image[None] for image in images]),
            **{**_quantization(nncf, model, len(images)), **options},
        )


def _quantization(nncf, model, count):
    """Return the options of `nncf.quantize` that lose least."""
    from nncf.quantization import range_estimator

    from keras_squeezenet.export import photograph_input

    ranges = range_estimator.RangeEstimatorParametersSet.HISTOGRAM
    return {
        "subset_size": count,
        "fast_bias_correction": False,
        "advanced_parameters": nncf.AdvancedQuantizationParameters(
            activations_range_estimator_params=ranges,
            overflow_fix=_overflow_fix(nncf, model),
        ),
        # Otherwise it would be the only layer with 7 bits.
        "ignored_scope": nncf.IgnoredScope(
            patterns=[f"^{photograph_input.NORMALIZE}"], validate=False
        ),
    }


def _overflow_fix(nncf, model):
    """Return which kernels have 7 bits: those that take images, or all."""
    from keras_squeezenet.export import saturation

    images = saturation.narrow_layers(model, bounded=())
    if saturation.narrow_layers(model) == images:
        return nncf.OverflowFix.FIRST_LAYER
    return nncf.OverflowFix.ENABLE


def save(converted: openvino.Model, path: str | os.PathLike) -> None:
    """Write a folder of a model without metadata, which `load` takes."""
    folder = pathlib.Path(path)
    folder.mkdir()
    openvino.save_model(converted, folder / MODEL_FILE, compress_to_fp16=False)


def load(path: str | os.PathLike) -> Callable[[np.ndarray], np.ndarray]:
    """Load a folder as a function of a batch of images.

    The images are arrays of numbers of any type, which are rounded if the
    network takes integers. The function returns float32.

    Raises:
        OSError: if the folder has no `model.xml`.
        ValueError: if it has not one input and one output. OpenVINO raises
            other exceptions if it is damaged.
    """
    return load_shaped(path)[0]


def load_shaped(
    path: str | os.PathLike, num_threads: int = 0
) -> tuple[Callable[[np.ndarray], np.ndarray], tuple[int | None, ...]]:
    """Load a folder as `load` does; return the shape of its input too.

    Sizes that may be any are `None` in the shape. `num_threads=0` leaves the
    number of threads to OpenVINO.
    """
    core = openvino.Core()
    loaded = core.read_model(pathlib.Path(path, MODEL_FILE))
    if len(loaded.inputs) != 1 or len(loaded.outputs) != 1:
        raise ValueError(
            "a network for OpenVINO must have one input and one output. "
            f"Received: {len(loaded.inputs)} and {len(loaded.outputs)}"
        )
    # Some CPUs would otherwise compute in bfloat16.
    options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
    if num_threads:
        options["INFERENCE_NUM_THREADS"] = num_threads
    compiled = core.compile_model(loaded, "CPU", options)
    (images,) = loaded.inputs
    dtype = images.element_type.to_dtype()
    photographs = normalizations.get(normalizations.RAW)

    def predict(batch):
        batch = np.asarray(batch)
        if dtype == np.uint8 != batch.dtype:
            batch = photographs.to_rgb(batch)
        (probabilities,) = compiled(batch.astype(dtype)).values()
        return probabilities

    shape = images.partial_shape
    return predict, tuple(
        size.get_length() if size.is_static else None for size in shape
    )


def _write(path, converted, model):
    found = metadata.of(model)
    labels = metadata.labels(found, model.output_shape[-1])
    if labels:
        # They are separated by spaces.
        words = " ".join(label.replace(" ", "_") for label in labels)
        converted.set_rt_info(words, LABELS)
    save(converted, path)
    metadata.write(path, found)


def import_nncf() -> ModuleType:
    """Import NNCF, without its telemetry and its notes."""
    with _without_telemetry():
        import nncf
    # `nncf.set_log_level` would silence the handlers of the root logger.
    logging.getLogger("nncf").setLevel(logging.ERROR)
    return nncf
