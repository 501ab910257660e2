"""Accuracy of a network on labeled images, overall and by class."""

import dataclasses
import functools
import logging
import os
import random
from collections.abc import Iterable
from collections.abc import Sequence

import keras
import numpy as np

from keras_squeezenet import classifier
from keras_squeezenet import imagenet
from keras_squeezenet import normalizations
from keras_squeezenet.data import catalog
from keras_squeezenet.data import csv_list
from keras_squeezenet.data import decode
from keras_squeezenet.data import image_dataset
from keras_squeezenet.data import image_values
from keras_squeezenet.data import splits
from keras_squeezenet.evaluation import labeled_outputs
from keras_squeezenet.evaluation import metrics
from keras_squeezenet.evaluation import timing
from keras_squeezenet.utils import backend
from keras_squeezenet.utils import text
from keras_squeezenet.utils.progress import Progress

TOP = 5
# Images that are kept, to be shown.
SAMPLES = 12

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class EvaluationResult:
    """The measurements of a network on labeled images.

    Attributes:
        model: the name or path of the network.
        image_size: the side of the images in pixels.
        dataset: the name of the data, if it has one.
        split: the part of the data, if it has parts.
        skipped: the paths of the images that could not be read.
        classes: the `(id, name)` of each output; the id is a WordNet id for
            ImageNet, otherwise `None`.
        outputs: the `probabilities` and the `labels` of the images; labels are
            indices of `classes`.
        top: the k of `top_accuracy`.
        samples: some of the images, uint8 RGB, by their places in `outputs`.
        thresholds: those of a network of several labels, otherwise empty. Then
            `outputs` is a `labeled_outputs.SeveralLabels`.
    """

    model: str
    image_size: int
    dataset: str | None
    split: str | None
    skipped: list[str]
    classes: list[tuple[str | None, str]]
    outputs: labeled_outputs.Evaluation
    batch_size: int
    images_per_second: float
    top: int = TOP
    samples: dict[int, np.ndarray] = dataclasses.field(default_factory=dict)
    thresholds: tuple[float, ...] = ()

    @property
    def accuracy(self) -> float:
        """The top-1 accuracy, or the mean average precision, from 0 to 1."""
        return self.outputs.accuracy

    @property
    def top_accuracy(self) -> float | None:
        """The top-k accuracy, or `None` if there are no more than k classes."""
        if len(self.classes) <= self.top or self.thresholds:
            return None
        return self.outputs.top(self.top)

    @property
    def confusion(self) -> np.ndarray:
        """The confusion matrix, with a row for each true class."""
        if self.thresholds:
            raise ValueError(
                "a confusion matrix must be of images with one label. "
                f"Received: {self.model}, a network of several labels"
            )
        return metrics.confusion_matrix(
            self.outputs.labels, self.outputs.predicted, len(self.classes)
        )

    def to_json(self) -> dict:
        """Return everything but the outputs as JSON-compatible values.

        The confusion matrix is the list of its nonzero cells. With several
        labels, there is the average precision and the F1 of each class, and
        their means, instead.
        """
        values = {
            "model": self.model,
            "image_size": self.image_size,
            "dataset": self.dataset,
            "split": self.split,
            "images": len(self.outputs.labels),
            "skipped": self.skipped,
            "batch_size": self.batch_size,
            "images_per_second": self.images_per_second,
        }
        if isinstance(self.outputs, labeled_outputs.SeveralLabels):
            return {**values, **self._several(self.outputs)}
        confusion = self.confusion
        return {
            **values,
            "top1": self.accuracy,
            f"top{self.top}": self.top_accuracy,
            "classes": self._class_rows(confusion),
            "confusion": [
                {
                    "true": true,
                    "predicted": predicted,
                    "images": int(confusion[true, predicted]),
                }
                for true, predicted in np.argwhere(confusion).tolist()
            ],
        }

    def _several(self, outputs):
        measured = outputs.by_class(self.thresholds)
        return {
            "mean_average_precision": self.accuracy,
            "mean_f1": labeled_outputs.mean_f1(measured),
            "classes": [
                {"index": i, "wordnet_id": class_id, "label": name, **row}
                for i, ((class_id, name), row) in enumerate(
                    zip(self.classes, measured)
                )
            ],
        }

    def _class_rows(self, confusion):
        images, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
        recalls, precisions = map(metrics.recalls, (confusion, confusion.T))
        return [
            {
                "index": i,
                "wordnet_id": class_id,
                "label": name,
                "images": int(images[i]),
                "predicted": int(predicted[i]),
                "recall": float(recalls[i]) if images[i] else None,
                "precision": float(precisions[i]) if predicted[i] else None,
            }
            for i, (class_id, name) in enumerate(self.classes)
        ]


@dataclasses.dataclass(frozen=True, eq=False)
class _Examples:
    """Labeled images, normalized as the network takes them.

    Without `class_names`, labels are indices of the network's outputs. With
    `are_indices`, the names may be such indices too.
    """

    images: splits.Split
    name: str | None = None
    class_names: tuple[str, ...] | None = None
    are_indices: bool = False
    split: str | None = None
    skipped: tuple[str, ...] = ()

    def batches(self) -> Iterable:
        """Return the batches of one pass as NumPy arrays."""
        return self.images.batches(0).as_numpy_iterator()


@backend.channels_last()
@decode.named_errors()
def evaluate(
    model: "keras.Model | classifier.Classifier | str | os.PathLike",
    data: splits.Data | str | os.PathLike,
    *,
    split: str = "test",
    batch_size: int = 32,
    top: int = TOP,
    class_names: Sequence[str] | None = None,
    normalization: str | None = None,
    seed: int = 0,
    skip_bad_images: bool = False,
    progress: Progress | None = None,
) -> EvaluationResult:
    """Measure the accuracy of a network on labeled images.

    Classes are matched by name if both the network and the data have names.

    Args:
        model: a `keras.Model`; the path of a `.keras`, `.sqz`, `.tflite` or
            weights file or of a SavedModel folder; the name of pretrained
            weights; or a `classifier.Classifier`.
        data: `(images, labels)` arrays, where the images are normalized and
            the labels are indices of the outputs, or one-hot or soft labels,
            whose most probable class counts; batches of them, as a
            `tf.data.Dataset`, a `keras.utils.PyDataset` or another object with
            `len()`; a `data.ImageDataset`; the
            path of a CSV file with the columns `path` and `label`, whose
            labels are names, WordNet ids or indices of the outputs, and all
            of whose images are used unless it has the column `split`; or
            anything else that `data.load` takes.
        split: the part of an `ImageDataset`: `"test"`, `"validation"` if it
            has one, `"train"`, or `"all"`.
        batch_size: ignored for batches.
        top: the k of the top-k accuracy.
        class_names: names of the network's classes. Defaults to those saved
            with it, otherwise to those of the data in their order.
        normalization: as in `training.train`. A `Classifier` has its own, as
            it has its own names.
        seed, skip_bad_images: as `data.load` takes them.
        progress: what shows the progress. Defaults to `None`: nothing does.

    Raises:
        OSError: if a file does not exist.
        ValueError: if the network is not an image classifier, the classes do
            not match, or an output is not finite.

    Example:

    >>> result = evaluation.evaluate("imagenet", "photographs.csv")
    >>> result.accuracy
    """
    if isinstance(model, classifier.Classifier):
        network = model
        _require_own(network, class_names, normalization)
    else:
        network = classifier.load(
            model, class_names=class_names, normalization=normalization
        )
    progress = progress or Progress()
    with progress.task("load data", None):
        examples = _examples(
            data, network, split, batch_size, seed, skip_bad_images
        )
    image_values.require(
        "data",
        examples.images.values,
        network.normalization,
        is_stated=normalization is not None,
    )
    # An untimed first batch: it prepares the runtime and counts the classes.
    images = next(images for images, _ in examples.batches() if images.size)
    outputs = network.probabilities(images).shape[1]
    network = _named(network, examples, outputs)
    indices = _output_indices(network, examples)
    examples.images.labels.require_classes("data", len(indices))
    take = functools.partial(_take, indices, len(network.thresholds))
    timed = timing.Timed(network.function, len(images))
    sample = _Sample()
    timed_network = dataclasses.replace(network, function=timed)
    steps = examples.images.steps
    with progress.task("evaluate", steps) as advance:
        found = labeled_outputs.evaluate(
            timed_network.probabilities,
            (
                (sample.add(images), take(labels))
                for images, labels in examples.batches()
            ),
            advance,
        )
    _require_finite(network, found.probabilities)
    if network.thresholds and not found.labels.any():
        raise ValueError(
            "an average precision is of labels that occur. Received: no label "
            f"on any of the {len(found.labels):,} images of `data`"
        )
    return EvaluationResult(
        model=network.name,
        image_size=network.image_size,
        dataset=examples.name,
        split=examples.split,
        skipped=list(examples.skipped),
        classes=list(network.classes),
        outputs=found,
        batch_size=timed.batch_size,
        images_per_second=timed.images_per_second,
        top=top,
        samples=sample.as_rgb(network.normalization),
        thresholds=network.thresholds,
    )


class _Sample:
    """A random sample of a stream of images (Vitter's algorithm R)."""

    def __init__(self):
        self.images, self.seen = {}, 0
        self.random = random.Random(0)

    def add(self, images):
        """Sample from a batch; return the batch."""
        for index, image in enumerate(images, start=self.seen):
            place = self.random.randrange(index + 1)
            if index >= SAMPLES > place:
                del self.images[list(self.images)[place]]
            if index < SAMPLES or place < SAMPLES:
                # A copy, not a view of the whole batch.
                self.images[index] = np.array(image)
        self.seen += len(images)
        return images

    def as_rgb(self, normalization):
        """Return the images as uint8 RGB, by their places in the stream."""
        to_rgb = normalizations.get(normalization).to_rgb
        return {place: to_rgb(image) for place, image in self.images.items()}


def _require_own(network, class_names, normalization):
    """Refuse to state for a classifier what it does not have."""
    names = tuple(name for _, name in network.classes)
    own = {"class_names": names, "normalization": network.normalization}
    for argument, stated in (
        ("class_names", class_names and tuple(class_names)),
        ("normalization", normalization),
    ):
        if stated and stated != own[argument]:
            raise ValueError(
                f"`{argument}` must be that of the `Classifier`, "
                f"{text.shown(own[argument])}. Received: {argument}="
                f"{text.shown(stated)}. Give it to `classifier.load`"
            )


def _examples(data, network, split, batch_size, seed, skip_bad_images):
    is_csv = isinstance(data, str | os.PathLike) and catalog.is_csv(data)
    if is_csv:
        data = csv_list.load_all(
            data, network.image_size, skip_bad_images, network.shorter_side
        )
    elif isinstance(data, str | os.PathLike):
        data = catalog.load(
            data,
            image_size=network.image_size,
            skip_bad_images=skip_bad_images,
            seed=seed,
            shorter_side=network.shorter_side,
        )
    several = bool(network.thresholds)
    if not isinstance(data, image_dataset.ImageDataset):
        images = splits.evaluation_split(
            data, batch_size, "data", several=several
        )
        return _Examples(images)
    images = dataclasses.replace(
        data.as_test(split), normalization=network.normalization
    )
    return _Examples(
        splits.evaluation_split(images, batch_size, "data", several=several),
        name=data.name,
        class_names=data.class_names,
        are_indices=is_csv,
        split=split if (data.train, data.validation) != (None, None) else None,
        skipped=data.skipped,
    )


def _named(network, examples, outputs):
    """Return the network with class names: its own, the data's, or indices."""
    if network.classes:
        return network
    names = examples.class_names
    if names is None or examples.are_indices:
        names = [str(index) for index in range(outputs)]
    if len(names) != outputs:
        raise ValueError(
            f"{network.name} must have one output for each of the "
            f"{len(names)} classes of {examples.name!r}. Received: a network "
            f"with {outputs} outputs; pass its `class_names`"
        )
    logger.info(
        "%s has no class names: its outputs are assumed to be the classes "
        "of the data, in their order",
        network.name,
    )
    classes = tuple((None, name) for name in names)
    return dataclasses.replace(network, classes=classes)


def _output_indices(network, examples):
    """Return the index of the output for each class of the data."""
    ids, names = zip(*network.classes)
    if examples.class_names is None:
        return np.arange(len(names))
    keys = [names, ids]
    if examples.are_indices:
        keys.append([str(index) for index in range(len(names))])
    return np.array(imagenet.match(examples.class_names, *keys))


def _take(indices, several, labels):
    """Return labels by the network's outputs: their indices, or rows.

    `several` is the number of outputs of a network of several labels, or 0.
    """
    if not several:
        return indices[labels]
    rows = np.zeros((len(labels), several), "float32")
    rows[:, indices] = labels
    return rows


def _require_finite(network, probabilities):
    bad = int(np.sum(~np.isfinite(probabilities).all(axis=1)))
    if bad:
        raise ValueError(
            f"the outputs of {network.name} must be finite. Received: NaN or "
            f"infinity for {bad:,} of {len(probabilities):,} images"
        )
