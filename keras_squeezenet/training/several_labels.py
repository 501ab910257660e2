"""The thresholds of a network of several labels, and what they reach."""

import dataclasses
import functools
import itertools
import logging
from collections.abc import Sequence

import keras
import numpy as np

from keras_squeezenet import metadata
from keras_squeezenet.data import splits
from keras_squeezenet.evaluation import labeled_outputs

logger = logging.getLogger(__name__)


def choose(
    model: keras.Model,
    validation: splits.Split,
    tested: labeled_outputs.SeveralLabels | None,
    class_names: Sequence[str],
) -> list[dict]:
    """Choose thresholds on the validation set, and add them to the metadata.

    Args:
        model: the trained network, with its `metadata`.
        validation: the validation set.
        tested: the outputs for the test set, if there is one.
        class_names: the names of the classes, in the order of the outputs.

    Returns:
        `TrainingResult.several_labels`.
    """
    chosen = labeled_outputs.evaluate(
        model.predict_on_batch, validation.batches(0)
    )
    assert isinstance(chosen, labeled_outputs.SeveralLabels)
    thresholds = chosen.best_thresholds()
    few = chosen.labels.sum(axis=0) < labeled_outputs.MIN_POSITIVE
    if few.any():
        _say_few(", ".join(itertools.compress(class_names, few)))
    known = metadata.of(model) or metadata.describe(model)
    metadata.attach(
        model, dataclasses.replace(known, thresholds=tuple(thresholds))
    )
    return [
        {"label": name, **row}
        for name, row in zip(
            class_names, (tested or chosen).by_class(thresholds)
        )
    ]


@functools.cache
def _say_few(names: str) -> None:
    """Warn once, and not in every phase of fine-tuning."""
    logger.warning(
        "%s: fewer than %d validation images have the label, too few to choose "
        "a threshold by. It stays %g.",
        *(names, labeled_outputs.MIN_POSITIVE, metadata.THRESHOLD),
    )


def require_measurable(
    validation: splits.Split,
    test: splits.Split | None,
    class_names: Sequence[str],
) -> None:
    """Raise a `ValueError` unless a threshold of each class can be chosen.

    Some image of the validation set must have its label, and some must not.
    Some image of the test set must have a label.
    """
    if not validation.labels.several:
        return
    if test and not test.labels.count(len(class_names)).any():
        raise ValueError(
            "an average precision is of labels that occur. Received: no label "
            f"on any of the {test.size:,} images of the test set"
        )
    counts = validation.labels.count(len(class_names))
    bad = (counts == 0) | (counts == validation.size)
    if bad.any():
        first = int(np.argmax(bad))
        raise ValueError(
            "the thresholds of several labels are chosen on the validation "
            "set, where some images must have each label and some must not. "
            f"Received: {int(counts[first]):,} of {validation.size:,} images "
            f"with {class_names[first]!r}. Give a larger validation set "
            "(--validation_share), or leave the label out"
        )
