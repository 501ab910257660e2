"""Early answers: what fine-tuning can say before its long phases.

The pass that computes the features of the frozen backbone also sees what makes
results worthless: images that are in two sets, classes of few images, and a
validation set too small to choose between epochs.
"""

import dataclasses
import itertools
import logging
import math
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_squeezenet.data import catalog
from keras_squeezenet.data import image_dataset
from keras_squeezenet.data import labels as labels_lib
from keras_squeezenet.data import splits
from keras_squeezenet.training import training_recipe

# Images are compared by gray thumbnails of this side, whose correlation is at
# least this for copies that were scaled, compressed again or lightened.
THUMBNAIL_SIDE = 16
SAME = 0.995
# More images of a set are compared in a sample.
MAX_COMPARED = 20_000
COMPARED_AT_A_TIME = 1_000
# Thumbnails that vary less are of plain images, which are all alike.
MIN_CONTRAST = 1e-6
MIN_CLASS_IMAGES = 10
MAX_STANDARD_ERROR = 0.02
# Names of classes in a sentence, and of duplicates in the report.
MAX_NAMES = 5
MAX_PAIRS = 100
SHARES = (0.125, 0.25, 0.5)
# The time of training on an image, in times of computing its features.
TOP_COST = 3
ALL_COST = 6
# The time until a phase trains: its function is traced and compiled.
START_SECONDS = 5

logger = logging.getLogger(__name__)


class Watched:
    """What a pass over a set sees: labels, thumbnails and times."""

    def __init__(self, split: splits.Split, names: Sequence[str] = ()):
        self.split = split
        self._names = names
        self._labels, self._thumbnails, self._seconds = [], [], []

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple]:
        """Yield the batches of the set, and note what they are."""
        started = time.monotonic()
        for images, labels, *weights in self.split.batches(epoch, start):
            yield images, labels, *weights
            self._labels.append(np.asarray(labels))
            self._thumbnails.append(thumbnails(images))
            now = time.monotonic()
            self._seconds.append((now - started) / len(self._labels[-1]))
            started = now

    @property
    def labels(self) -> np.ndarray:
        return np.concatenate(self._labels)

    @property
    def thumbnails(self) -> np.ndarray:
        return np.concatenate(self._thumbnails)

    def name(self, index: int) -> str:
        """Return the name of an image, or what tells it from others."""
        return self._names[index] if self._names else f"number {index}"

    @property
    def seconds_per_image(self) -> float:
        """The median time, without the first batch, which is compiled."""
        return float(np.median(self._seconds[1:] or self._seconds))


class Watch:
    """Watches the passes over the sets of a run."""

    def __init__(self):
        self.sets: dict[str, Watched] = {}

    def over(
        self, name: str, split: splits.Split, images: splits.Data
    ) -> splits.Split:
        """Return a set of some images whose next pass is watched."""
        names: Sequence[str] = ()
        if isinstance(images, image_dataset.ImageDataset):
            names = images.test.names
        self.sets[name] = Watched(split, names)
        return dataclasses.replace(split, batches=self.sets[name].batches)

    def answer(
        self,
        class_names: Sequence[str],
        accuracy: float,
        phases: Sequence[training_recipe.Phase],
    ) -> dict:
        """Return `FineTuningResult.early`, without a learning curve.

        `accuracy` is that of the head on the validation set.
        """
        size = self.sets["validation"].split.size
        duplicates = find_duplicates(self.sets)
        is_accuracy = self.sets["validation"].labels.ndim == 1
        warnings = [
            *_few_images(self.sets, class_names),
            *(_small_validation_set(size, accuracy) if is_accuracy else ()),
            *(_describe(found, self.sets) for found in duplicates),
        ]
        return {
            "validation_accuracy": accuracy,
            "standard_error": (
                share_error(accuracy, size) if is_accuracy else None
            ),
            "seconds": round(sum(map(self._seconds, phases)), 1),
            "near_duplicates": duplicates,
            "warnings": warnings,
        }

    def _seconds(self, phase):
        """Estimate the time of a phase by that of the head's passes."""
        train, validation = self.sets["train"], self.sets["validation"]
        steps = phase.recipe.steps(train.split.size // phase.recipe.batch_size)
        trained = steps * min(phase.recipe.batch_size, train.split.size)
        cost = TOP_COST if phase.modules else ALL_COST
        measured = phase.recipe.epochs * validation.split.size
        images = cost * trained + measured
        return START_SECONDS + images * train.seconds_per_image


def say(early: dict, is_agreement: bool = False) -> None:
    """Log what `Watch.answer` returned, and the learning curve.

    `is_agreement` is whether the labels are the classes of a teacher.
    """
    for text in early["warnings"]:
        logger.warning("%s", text)
    accuracy, error = early["validation_accuracy"], early["standard_error"]
    verb = "agrees with the teacher" if is_agreement else "is right"
    text = (
        "The head alone has a mean average precision of "
        f"{accuracy:.1%} on the validation images."
    )
    if error is not None:
        text = (
            f"The head alone {verb} on {accuracy:.1%} of the validation "
            f"images (± {100 * error:.1f} points, standard error)."
        )
    if early["seconds"]:
        text += f" The other phases take about {_duration(early['seconds'])}."
    logger.info("%s", text)
    curve = early.get("learning_curve")
    if curve:
        logger.info(
            "Learning curve of the head: %s.",
            ", ".join(
                f"{point['validation_accuracy']:.1%} with {point['images']:,} "
                "training images"
                for point in curve
            ),
        )


def _duration(seconds):
    if seconds < 90:
        return f"{max(1, round(seconds))} seconds"
    minutes = seconds / 60
    if minutes < 90:
        return f"{round(minutes)} minutes"
    return f"{minutes / 60:.1f} hours"


def thumbnails(images: np.ndarray) -> np.ndarray:
    """Return gray thumbnails of a batch of images, of mean 0 and length 1.

    The scalar product of two is their correlation. Those of plain images are 0.
    """
    gray = tf.reduce_mean(tf.cast(images, "float32"), axis=-1, keepdims=True)
    side = THUMBNAIL_SIDE
    small = tf.image.resize(gray, (side, side), "area").numpy()
    small = small.reshape(len(small), -1)
    small -= small.mean(axis=1, keepdims=True)
    length = np.linalg.norm(small, axis=1, keepdims=True)
    return np.where(length > MIN_CONTRAST, small / np.maximum(length, 1e-9), 0)


def find_copies(one: np.ndarray, other: np.ndarray) -> list[tuple[int, int]]:
    """Return a pair of indices for each of `other`'s images that is in `one`.

    Both are `thumbnails`, of which at most `MAX_COMPARED` evenly spaced ones
    are compared.
    """
    here, there = (
        np.linspace(
            0, len(each), min(len(each), MAX_COMPARED), endpoint=False
        ).astype(int)
        for each in (one, other)
    )
    found = []
    for start in range(0, len(there), COMPARED_AT_A_TIME):
        rows = there[start : start + COMPARED_AT_A_TIME]
        correlations = other[rows] @ one[here].T
        best = correlations.argmax(axis=1)
        same = correlations[np.arange(len(rows)), best] >= SAME
        found += zip(here[best[same]].tolist(), rows[same].tolist())
    return found


def share_error(accuracy: float, images: int) -> float:
    """Return the standard error of an accuracy that some images measure.

    One right and one wrong image are added, since 20 of 20 are not certain.
    """
    share = (accuracy * images + 1) / (images + 2)
    return math.sqrt(share * (1 - share) / images)


def find_duplicates(sets: dict[str, Watched]) -> list[dict]:
    """Return what images are in two of the sets.

    Returns:
        list of dicts: the number of `images` of a `set` that are in another,
        `of`, and the first of the `pairs`: a name in `of`, and one in `set`.
    """
    found = []
    for one, other in itertools.combinations(sets, 2):
        pairs = find_copies(sets[one].thumbnails, sets[other].thumbnails)
        if pairs:
            named = [
                [sets[one].name(first), sets[other].name(second)]
                for first, second in pairs[:MAX_PAIRS]
            ]
            found.append(
                {
                    "set": other,
                    "of": one,
                    "images": len(pairs),
                    "pairs": named,
                }
            )
    return found


def _few_images(sets, class_names):
    counts = {
        name: labels_lib.count(watched.labels, len(class_names))
        for name, watched in sets.items()
    }
    few = counts["train"] < MIN_CLASS_IMAGES
    if few.any():
        yield (
            f"{_classes(class_names, few, counts['train'])} fewer than "
            f"{MIN_CLASS_IMAGES} training images: add some, or leave these "
            "classes out."
        )
    for name in counts:
        none = counts[name] == 0
        if name != "train" and none.any():
            yield (
                f"{_classes(class_names, none)} no image in the {name} set: "
                "its accuracy says nothing about them."
            )


def _classes(class_names, chosen, counts=None):
    indices = np.flatnonzero(chosen)
    shown = [
        class_names[index] + ("" if counts is None else f" ({counts[index]:g})")
        for index in indices[:MAX_NAMES]
    ]
    more = [f"{len(indices) - MAX_NAMES:,} more"] * (len(indices) > MAX_NAMES)
    verb = "has" if len(indices) == 1 else "have"
    return f"{', '.join(shown + more)} {verb}"


def _small_validation_set(images, accuracy):
    error = share_error(accuracy, images)
    if error > MAX_STANDARD_ERROR:
        needed = math.ceil(images * (error / 0.01) ** 2 / 100) * 100
        yield (
            f"The validation set has {images:,} images, too few to choose "
            f"between epochs: accuracies are known to ± {100 * error:.1f} "
            f"points (standard error). About {needed:,} images give ± 1 point."
        )


def _describe(found, sets):
    one, other = (catalog.SETS[found[key]] for key in ("of", "set"))
    count = len(sets[found["set"]].labels)
    (first, second), *_ = found["pairs"]
    return (
        f"{found['images']:,} of {count:,} images of the "
        f"{other} set are near-duplicates of the {one} set, such "
        f"as {second} of {first}. The {other} accuracy is too good: "
        "keep them in one set."
    )


def learning_curve(
    accuracy_of: Callable[[np.ndarray], float],
    images: int,
    accuracy: float,
    seed: int,
) -> list[dict]:
    """Return `images` and `validation_accuracy` for shares of a training set.

    Args:
        accuracy_of: returns the accuracy on the validation set after training
            on the images of some indices.
        images: the size of the training set.
        accuracy: that after training on all of it.
        seed: of the order in which the shares grow.
    """
    order = np.random.default_rng(seed).permutation(images)
    sizes = [max(1, round(share * images)) for share in SHARES]
    accuracies = [accuracy_of(order[:size]) for size in sizes]
    return [
        {"images": size, "validation_accuracy": found}
        for size, found in zip([*sizes, images], [*accuracies, accuracy])
    ]
