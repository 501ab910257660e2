"""Export a network to the formats that other runtimes take, and try each."""

import dataclasses
import importlib
import os
from collections.abc import Iterable
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_squeezenet import architecture
from keras_squeezenet import classifier
from keras_squeezenet import graph
from keras_squeezenet import imagenet
from keras_squeezenet import metadata
from keras_squeezenet import models
from keras_squeezenet import normalizations
from keras_squeezenet.codec import headers
from keras_squeezenet.codec import sqz
from keras_squeezenet.data import catalog
from keras_squeezenet.data import decode
from keras_squeezenet.data import splits
from keras_squeezenet.evaluation import probability_check
from keras_squeezenet.export import comparison
from keras_squeezenet.export import exportable
from keras_squeezenet.export import formats
from keras_squeezenet.export import photograph_input
from keras_squeezenet.export import web_page
from keras_squeezenet.packing import calibration as calibration_images
from keras_squeezenet.utils import backend
from keras_squeezenet.utils import digests
from keras_squeezenet.utils import files
from keras_squeezenet.utils import suggestions
from keras_squeezenet.utils.progress import Progress

PHOTOGRAPHS = "photographs"
INPUTS = (PHOTOGRAPHS, "preprocessed")


@dataclasses.dataclass(frozen=True)
class ExportedFile:
    """A file or a folder that was written, and how it compares with Keras.

    Attributes:
        format: the name of its format, a key of `formats.FORMATS`.
        name: the name of the file or folder.
        bytes: its size, in all.
        sha256: the digest of its content, in hexadecimal digits.
        normalization: that of the images that it takes, a key of
            `normalizations.NORMALIZATIONS`; `"raw"` for photographs.
        max_difference: the largest difference of a probability from that of
            the Keras model.
        agreement: the share of the images for which it predicts the class that
            the Keras model predicts.
        accuracy: on the test images; `None` without any.
    """

    format: str
    name: str
    bytes: int
    sha256: str
    normalization: str
    max_difference: float
    agreement: float
    accuracy: float | None


@dataclasses.dataclass(frozen=True)
class ExportResult:
    """What `export` wrote and measured.

    Attributes:
        model: the name or path of the network.
        image_size, channels: the side of its images in pixels, and their
            channels.
        classes: the number of its classes.
        calibration_images: how many images calibrated the integers.
        compared_on: the images on which the files were compared with the Keras
            model: `"test"`, `"calibration"` or `"random"` ones.
        compared_images: how many these are.
        accuracy: of the Keras model on the test images; `None` without any.
        files: what was written, in the order in which it was asked for.
    """

    model: str
    image_size: int
    channels: int
    classes: int
    calibration_images: int
    compared_on: str
    compared_images: int
    accuracy: float | None
    files: tuple[ExportedFile, ...]

    def to_json(self) -> dict:
        """Return everything as JSON-compatible values."""
        values = dataclasses.asdict(self)
        return {**values, "files": list(values["files"])}


@backend.channels_last()
@decode.named_errors()
def export(
    model: "keras.Model | str | os.PathLike",
    to: str | Iterable[str],
    out: str | os.PathLike,
    calibration: "calibration_images.Data | None" = None,
    test: "splits.Data | str | os.PathLike | None" = None,
    input: str = PHOTOGRAPHS,
    *,
    config: "architecture.SqueezeNetConfig | str | None" = None,
    image_size: int | None = None,
    class_names: Sequence[str] | None = None,
    normalization: str | None = None,
    images: int = 300,
    data_dir: str | os.PathLike | None = None,
    seed: int = 0,
    skip_bad_images: bool = False,
    runtime: str | os.PathLike | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ExportResult:
    """Export a network to one format or several, and try each in its runtime.

    The folder `out` gets a file or a folder for each format, and `export.json`
    with the result. It is written whole or not at all.

    Args:
        model: a `keras.Model`, which is left unchanged; the path of a `.keras`,
            `.sqz` or weights file; or the name of pretrained weights.
        to: the name of a format, or several: keys of `formats.FORMATS`.
        out: the folder to write.
        calibration: images to measure the ranges of integers on, without
            labels, as `packing.pack` takes its data: photographs in a folder, a
            CSV list, the name of a data set, or normalized images. From 100 to
            500 are usual. Only the formats in 8-bit integers need them.
        test: labeled images to measure the accuracy on, as
            `evaluation.evaluate` takes its data. Defaults to `None`: the files
            are compared with the Keras model on the calibration images, or
            else on random ones. Batches that are reshuffled in every pass
            are kept in memory, in the order of one pass.
        input: `"photographs"`: the files take RGB from 0 to 255, uint8; or
            `"preprocessed"`: float32, the output of `preprocess_input`.
            SavedModels have a signature for each.
        config, image_size, class_names, normalization: as `classifier.load`
            takes them.
        images: the largest number of calibration images.
        data_dir, seed, skip_bad_images: as `data.load` takes them.
        runtime: as `web_page.write_web` takes it, for the format `web`.
        overwrite: whether to replace the files of an earlier export.
        progress: what shows the progress. Defaults to `None`: nothing does.

    Raises:
        ValueError: if a format is unknown or needs calibration images that are
            not there, the model is not an image classifier or does not return
            probabilities or logits, the images have another size, or the test
            batches differ in every pass and are too large to be kept in memory.
        ModuleNotFoundError: if a format needs a package that is not installed,
            naming the extra that has it.
        OSError: if a file is missing, or `out` has other files.

    Example:

    >>> result = export.export("imagenet", ["litert", "saved_model"], "out")
    >>> [file.name for file in result.files]
    ["model.tflite", "saved_model"]
    """
    chosen = formats.choose(to, calibration is not None)
    if input not in INPUTS:
        raise ValueError(
            f"`input` must be one of {', '.join(map(repr, INPUTS))}. Received: "
            f"input={input!r}.{suggestions.did_you_mean(input, INPUTS)}"
        )
    files.require_writable(out, overwrite)
    if runtime:
        web_page.find_runtime(runtime)
    progress = progress or Progress()
    network, source = _load_network(
        model, config, image_size, class_names, normalization
    )
    loading = {
        "data_dir": data_dir,
        "image_size": network.image_size,
        "shorter_side": network.shorter_side,
        "skip_bad_images": skip_bad_images,
        "seed": seed,
    }
    arrays = np.zeros((0, *source.input_shape[1:]), "float32")
    if calibration is not None:
        with progress.task("load calibration", None):
            arrays = calibration_images.load_images(
                calibration,
                network,
                images,
                seed,
                normalization is not None,
                data_dir=data_dir,
                skip_bad_images=skip_bad_images,
            )
        _require_size("calibration", arrays.shape, network)
    seen = _of_photographs(network) if input == PHOTOGRAPHS else network
    if test is None:
        reference = comparison.on_images(seen, progress, arrays)
    else:
        with progress.task("load test images", None):
            test = _load_data(test, loading)
        _require_size("test", _shape(test), network)
        test = splits.in_one_order(test, "test")
        reference = comparison.on_labeled(
            seen, progress, data=test, skip_bad_images=skip_bad_images
        )
    some = arrays if len(arrays) else comparison.random_images(network)
    probability_check.require(
        source, source.predict_on_batch(some[: comparison.BATCH_SIZE])
    )
    if network.thresholds:
        _require_formats_of_several(chosen)
    options = {"runtime": runtime, "sqz": _sqz_file(model, source)}
    writer = _Writer(
        network, source, input, options, arrays, reference, progress
    )
    with files.new_folder(out, overwrite) as folder:
        result = ExportResult(
            model=network.name,
            image_size=network.image_size,
            channels=source.input_shape[-1],
            classes=source.output_shape[-1],
            calibration_images=len(arrays),
            compared_on=reference.kind,
            compared_images=len(reference.probabilities),
            accuracy=reference.accuracy,
            files=tuple(writer.write(format, folder) for format in chosen),
        )
        files.write_json(folder / formats.MANIFEST, result.to_json())
    return result


def _load_network(model, config, image_size, class_names, normalization):
    """Return a network as a classifier, and the flat model that it runs."""
    is_model = isinstance(model, keras.Model)
    if isinstance(model, str | os.PathLike):
        _require_exportable(os.path.expanduser(model))
    loaded = models.load(
        model, config=config, image_size=image_size, normalization=normalization
    )
    source = exportable.prepare(loaded, image_size)
    network = classifier.load(
        source if is_model else model,
        image_size=image_size,
        class_names=class_names,
        loaded=source,
    )
    is_imagenet = network.classes == imagenet.imagenet_classes()
    # Metadata leave out ImageNet's names.
    names = [] if is_imagenet else [name for _, name in network.classes]
    metadata.attach(
        source,
        metadata.Metadata(
            network.normalization,
            network.image_size,
            class_names=tuple(names),
            thresholds=network.thresholds,
        ),
    )
    return network, source


def _require_formats_of_several(chosen):
    """Refuse the page, whose network is a .sqz file."""
    if any(format.name == "web" for format in chosen):
        raise ValueError(
            "the format 'web' is for networks of one label for an image, which "
            "end with a softmax. Received: a network that ends with a sigmoid. "
            "Export it to the other formats, which keep its thresholds"
        )


def _require_exportable(path):
    """Refuse the files of other runtimes, which were exported before."""
    if os.path.isdir(path) or path.endswith((".tflite", ".onnx")):
        raise ValueError(
            "a network can be exported from a .keras or .sqz file, a weights "
            f"file, or the name of pretrained weights. Received: {path}, which "
            "was exported before; name the file that it was made from"
        )


def _sqz_file(model, source):
    """Return the path of a .sqz file of the network as it is exported."""
    if isinstance(model, keras.Model):
        return None
    path = os.path.expanduser(model)
    if not path.endswith(".sqz") or not os.path.isfile(path):
        return None
    header = sqz.read_header(path)
    found = header["network"]["layers"], headers.parse(header)
    expected = graph.describe(source)["layers"], metadata.of(source)
    return path if found == expected else None


def _load_data(data, options):
    """Load a data set that is named; a CSV list is left to its user."""
    is_named = isinstance(data, str | os.PathLike) and not catalog.is_csv(data)
    return catalog.load(data, **options) if is_named else data


def _shape(data):
    """Return the shape of the images in data; `None` if they are read here."""
    if isinstance(data, tf.data.Dataset):
        return data.element_spec[0].shape
    return np.shape(data[0]) if isinstance(data, tuple) else None


def _require_size(kind, shape, network):
    side = network.image_size
    if shape and (tuple(shape[1:]) != (side, side, 3) or shape[0] == 0):
        raise ValueError(
            f"the {kind} images must be of the size that the network takes, "
            f"(images, {side}, {side}, 3), and at least one. Received: images "
            f"of shape {tuple(shape)}"
        )


def _of_photographs(network):
    """Return a network that rounds images to the colors of photographs."""
    known = normalizations.get(network.normalization)
    return dataclasses.replace(
        network,
        function=lambda images: network.function(
            known.apply(known.to_rgb(images))
        ),
    )


class _Writer:
    """Writes a network in one format after the other, and compares each."""

    def __init__(
        self, network, source, input, options, calibration, reference, progress
    ):
        self.network = network
        self.source = source
        self.takes_photographs = input == PHOTOGRAPHS
        self.options = options
        self.calibration = calibration
        self.reference = reference
        self.progress = progress

    def write(self, format, folder):
        """Write a format to a folder; return an `ExportedFile`."""
        path = folder / format.file_name
        module = importlib.import_module(f"{__package__}.{format.module}")
        source = self.source
        if format.takes_photographs and self.takes_photographs:
            source = photograph_input.photograph_input(source)
        normalization = metadata.of(source).normalization
        known = normalizations.get(self.network.normalization)

        def to_input(images):
            """Return images of the network as those of the file."""
            if normalization == self.network.normalization:
                return images
            return known.to_rgb(images).astype("float32")

        with (
            self.progress.task(format.name, None),
            files.as_value_error(
                f"{self.network.name} cannot be exported as {format.name}"
            ),
        ):
            write = getattr(module, f"write_{format.name}")
            options = {name: self.options[name] for name in format.options}
            write(source, path, to_input(self.calibration), **options)
            run = module.load(path)
        written = dataclasses.replace(
            self.network,
            name=format.file_name,
            function=lambda images: run(to_input(images)),
        )
        if self.takes_photographs:
            written = _of_photographs(written)
        measured = self.reference.measure(written)
        if format.tolerance and measured["max_difference"] > format.tolerance:
            raise ValueError(
                f"{format.file_name} must return the probabilities of the "
                f"Keras model within {format.tolerance}. Measured: a "
                f"difference of {measured['max_difference']:.2g}. Nothing was "
                "written; please report it"
            )
        content = files.content(path)
        return ExportedFile(
            format=format.name,
            name=format.file_name,
            bytes=len(content),
            sha256=digests.of(content),
            normalization=normalization,
            **measured,
        )
