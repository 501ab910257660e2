"""The formats that networks are exported to, as data."""

import dataclasses
from collections.abc import Iterable
from collections.abc import Sized

from keras_squeezenet.utils import extras
from keras_squeezenet.utils import suggestions

# The list of what `export` has written, in its folder.
MANIFEST = "export.json"


@dataclasses.dataclass(frozen=True)
class Format:
    """What a network is exported to, for one kind of runtime.

    Attributes:
        name: the name of the format, a key of `FORMATS`.
        file_name: the name of the file or folder that is written.
        module: the module of this package that has the functions
            `write_NAME(model, path, calibration)`, with the name of the format,
            and `load(path)`. The model is flat, and `calibration` is a float32
            array of the images that it takes. What is loaded is a function of
            a batch of such images that returns float32 probabilities.
        summary: what it is and what runs it.
        packages: the optional packages that write the format and run it, keys
            of `extras.EXTRAS`.
        needs_calibration: whether calibration images are needed.
        takes_photographs: whether its input may be photographs, uint8 RGB,
            instead of preprocessed images.
        options: the names of further arguments of `write_NAME`, which `export`
            passes by name.
        tolerance: the largest difference of a probability from that of the
            Keras model; `None` where numbers are rounded to fewer bits.
    """

    name: str
    file_name: str
    module: str
    summary: str
    packages: tuple[str, ...] = ()
    needs_calibration: bool = False
    takes_photographs: bool = True
    options: tuple[str, ...] = ()
    tolerance: float | None = 1e-3


LITERT = ("ai_edge_litert",)
ONNX = ("onnx", "onnxruntime")
# An ONNX graph is converted.
OPENVINO = ("openvino", "onnx")
_FORMATS = (
    Format(
        "litert",
        "model.tflite",
        "litert",
        "LiteRT (TensorFlow Lite), float32",
        packages=LITERT,
    ),
    Format(
        "litert_float16",
        "model_float16.tflite",
        "litert",
        "LiteRT, float16 weights: for GPU delegates",
        packages=LITERT,
        tolerance=None,
    ),
    Format(
        "litert_int8",
        "model_int8.tflite",
        "litert",
        "LiteRT, 8-bit integers: phones, boards and CPUs",
        packages=LITERT,
        needs_calibration=True,
        tolerance=None,
    ),
    Format(
        "onnx",
        "model.onnx",
        "onnx_file",
        "ONNX, float32: ONNX Runtime and most other runtimes",
        packages=ONNX,
    ),
    Format(
        "onnx_int8",
        "model_int8.onnx",
        "onnx_file",
        "ONNX, 8-bit integers: ONNX Runtime on CPUs",
        packages=ONNX,
        needs_calibration=True,
        tolerance=None,
    ),
    Format(
        "openvino",
        "model_openvino",
        "openvino_file",
        "OpenVINO, float32: CPUs and GPUs of Intel",
        packages=OPENVINO,
    ),
    Format(
        "openvino_int8",
        "model_openvino_int8",
        "openvino_file",
        "OpenVINO, 8-bit integers: often the fastest on x86",
        packages=(*OPENVINO, "nncf"),
        needs_calibration=True,
        tolerance=None,
    ),
    Format(
        "saved_model",
        "saved_model",
        "saved_model",
        "TensorFlow, TensorFlow Serving and its C API",
        takes_photographs=False,
    ),
    Format(
        "packed_saved_model",
        "saved_model_packed",
        "saved_model",
        "the same, entropy-coded: for TensorFlow 2 and 1",
        takes_photographs=False,
    ),
    Format(
        "web",
        "web",
        "web_page",
        "a page for the browser; pack the network first",
        takes_photographs=False,
        options=("sqz", "runtime"),
    ),
)
# The formats whose layers `evaluation.layer_latencies` times.
LATENCY_RUNTIMES = (
    *("litert", "litert_int8", "onnx", "onnx_int8"),
    *("openvino", "openvino_int8"),
)
FORMATS: dict[str, Format] = {format.name: format for format in _FORMATS}


def choose(names: str | Iterable[str], is_calibrated: bool) -> list[Format]:
    """Return the formats with these names, each once, if they can be written.

    Args:
        names: keys of `FORMATS`.
        is_calibrated: whether there are calibration images.

    Raises:
        ValueError: if there is no name, or an unknown one, or if a format needs
            calibration images that are not there.
        ModuleNotFoundError: if a format needs a package that is not installed,
            naming the extra that has it.
    """
    names = [names] if isinstance(names, str) else list(names)
    known = ", ".join(FORMATS)
    if not names:
        raise ValueError(
            f"a format must be given, one or several of {known}. Received: none"
        )
    for name in names:
        if name not in list(FORMATS):
            raise ValueError(
                f"a network can be exported to {known}. Received: {name!r}."
                f"{suggestions.did_you_mean(name, FORMATS)}"
            )
    chosen = [FORMATS[name] for name in dict.fromkeys(names)]
    for format in chosen:
        extras.require(format.packages, f"the format {format.name}")
        if format.needs_calibration and not is_calibrated:
            raise ValueError(
                f"the format {format.name} needs photographs to measure the "
                "ranges of its integers on. Received: none. Pass a folder, a "
                "CSV file or the name of a data set with --calibration "
                "(`calibration` in Python): 100 to 500 photographs of the kind "
                "that the network is for, without labels"
            )
    return chosen


def require_images(calibration: Sized) -> None:
    """Raise a `ValueError` where there is no image to calibrate with."""
    if not len(calibration):
        raise ValueError(
            "`calibration` must have at least one image, to measure the "
            "activation ranges. Received: none"
        )
