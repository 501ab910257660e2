"""Post-training rate-distortion quantization of any network on any images.

It needs neither training nor labels. The Fisher information, estimated from a
few hundred images, gives the distortion, and each code minimizes distortion +
lambda * bits. A search over lambda finds the smallest file within a bound on
the divergence or the loss of accuracy, or the most accurate one within a bound
on the size.
"""

import dataclasses
import os

import keras

from keras_squeezenet import architecture
from keras_squeezenet import classifier
from keras_squeezenet import codec
from keras_squeezenet import flattening
from keras_squeezenet import imagenet
from keras_squeezenet import metadata
from keras_squeezenet import models
from keras_squeezenet.data import decode
from keras_squeezenet.data import image_dataset
from keras_squeezenet.evaluation import probability_check
from keras_squeezenet.packing import bounds
from keras_squeezenet.packing import calibration
from keras_squeezenet.packing import image_sets
from keras_squeezenet.packing import measurement
from keras_squeezenet.packing import pack_result
from keras_squeezenet.packing import packer
from keras_squeezenet.pretrained import hub
from keras_squeezenet.utils import backend
from keras_squeezenet.utils.progress import Progress


@backend.channels_last()
@decode.named_errors()
def pack(
    model: keras.Model | str | os.PathLike,
    data: calibration.Data,
    validation: calibration.Data | None = None,
    *,
    test: calibration.Data | None = None,
    target_bytes: int | None = None,
    max_kl: float | None = None,
    max_accuracy_drop: float | None = None,
    finetune: int = 0,
    images: int = image_sets.IMAGES,
    seed: int = 0,
    config: architecture.SqueezeNetConfig | str | None = None,
    class_names: list[str] | str | None = None,
    normalization: str | None = None,
    provenance: dict | None = None,
    data_dir: str | os.PathLike | None = None,
    skip_bad_images: bool = False,
    progress: Progress | None = None,
) -> pack_result.PackResult:
    """Pack a trained model into a small .sqz file.

    Args:
        model: a flat or nested `keras.Model` from images to probabilities,
            which is not changed; the path of a `.keras` model, a `.sqz` file
            or a weights file; the name of pretrained weights such as
            `"imagenet"`; or an address on the hub.
        data: at least 10 images like those that the network will classify,
            to calibrate on. An array of normalized images, float32 of
            shape `(images, height, width, 3)`, alone or in a tuple with
            labels; a `tf.data.Dataset` of batches; a `data.ImageDataset`,
            whose training images are used; the path of a folder of
            photographs, with or without subfolders; or the name of a data set.
        validation: images to measure on, in one of these forms but a path or a
            name; with labels the accuracy is measured too. Defaults to
            `None`: the validation set of an `ImageDataset` of the network's
            classes, or the tenth of its training set that `train` and
            `finetune` set aside with the same `seed`. Of any other data it is
            every fifth image, and the network may have been trained on it.
        test: images to measure the chosen file on once more. Defaults to
            `None`: the test set of such an `ImageDataset`.
        target_bytes: the largest file size. Among the files within it, the
            one with the smallest divergence is chosen.
        max_kl: the largest mean Kullback-Leibler divergence of the outputs,
            in nats, on the validation images. The smallest file within it is
            chosen. Defaults to `0.02` without another bound.
        max_accuracy_drop: how many percentage points of accuracy on the
            validation images, which need labels, may be lost. The smallest
            file within it is chosen.
        finetune: the number of steps of code training, each on a batch of 32
            images.
        images: the largest number of images of `data` to use, evenly spaced.
        seed: the seed of all random numbers.
        config: as `models.load` takes it.
        class_names: as `codec.save` takes `labels`. Defaults to the names
            saved with the model, or `codec.IMAGENET` for 1,000 outputs without
            names.
        normalization: as in `training.train`.
        provenance: as `codec.save` takes it. Defaults to the names of the
            model and the data, where they have one.
        data_dir, skip_bad_images: as `data.load` takes them, for a path or a
            name.
        progress: what shows the progress. Defaults to `None`: nothing does.

    Raises:
        ValueError: if the model does not return probabilities of at least two
            classes, or a class has no name, several bounds are given, no file
            is within the bound, or the accuracy is bounded and the validation
            images have no labels.

    Example:

    >>> packed = packing.pack("imagenet", "photographs/", max_kl=0.02)
    >>> packed.save("squeezenet.sqz")
    """
    if target_bytes is None and max_accuracy_drop is None and max_kl is None:
        max_kl = bounds.MAX_KL
    bound = bounds.Bound(target_bytes, max_kl, max_accuracy_drop)
    backend.require_tensorflow("Packing")
    progress = progress or Progress()
    network, source = _load(model, config, normalization)
    codec.require_labels(network.model, class_names)
    if class_names and class_names != codec.IMAGENET:
        metadata.require_order(
            metadata.of(network.model), class_names, "`class_names`"
        )
        network = _named(network, class_names)
    with progress.task("load images", None):
        sets = image_sets.load(
            data,
            validation,
            test,
            network,
            images,
            seed,
            is_stated=normalization is not None,
            needs_labels=max_accuracy_drop is not None,
            data_dir=data_dir,
            skip_bad_images=skip_bad_images,
        )
    some = sets.calibration[: image_sets.BATCH_SIZE]
    probability_check.require(
        network.model, network.model.predict_on_batch(some)
    )
    with progress.task("measure", None):
        measurer = measurement.Measurer(
            network.model, sets.validation, sets.is_held_out
        )
    packed = packer.Packer(
        network.model,
        sets.calibration,
        _saved_names(network) if class_names is None else class_names,
        _provenance(source, data) if provenance is None else provenance,
        seed,
        progress,
        measurer,
    ).pack(bound, finetune)
    if sets.test is None:
        return packed
    with progress.task("test", None):
        return packed.tested(measurement.Measurer(network.model, sets.test))


def _load(model, config, normalization):
    """Return a `Classifier` of a flat model, and the source of the model."""
    source = model
    if hub.is_address(model):
        located = hub.locate(model)
        model, source = located.path, located.name
    loaded = flattening.flatten(
        models.load(model, config=config, normalization=normalization)
    )
    network = classifier.load(model, loaded=loaded)
    if network.thresholds:
        raise ValueError(
            "packing takes networks of one label for an image, which end with "
            f"a softmax. Received: {network.name!r}, which ends with a sigmoid"
        )
    return dataclasses.replace(network, model=loaded), source


def _named(network, class_names):
    """Return a network with names of its classes, unless it has its own."""
    if metadata.of(network.model).class_names:
        return network
    classes = tuple((None, name) for name in class_names)
    return dataclasses.replace(network, classes=classes)


def _saved_names(network):
    if network.classes == imagenet.imagenet_classes():
        return codec.IMAGENET
    return [name for _, name in network.classes] or None


def _provenance(source, data):
    found = {}
    if hub.is_address(source):
        found["packed_from"] = source
    elif not isinstance(source, keras.Model):
        found["packed_from"] = os.path.basename(source)
    if isinstance(data, str | os.PathLike):
        found["calibration"] = os.path.basename(os.path.normpath(data))
    elif isinstance(data, image_dataset.ImageDataset):
        found["calibration"] = data.name
    return found
