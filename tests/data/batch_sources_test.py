import keras
import numpy as np
import pytest

from keras_squeezenet.data import batch_sources

IMAGES = np.arange(6, dtype="float32").reshape(6, 1, 1, 1)
LABELS = np.arange(6)


class Shuffled(keras.utils.PyDataset):
    """Three batches, whose order changes after every epoch."""

    def __init__(self):
        super().__init__()
        self.rng = np.random.default_rng(0)
        self.order = np.arange(3)

    def __len__(self):
        return 3

    def __getitem__(self, index):
        chosen = 2 * self.order[index] + np.arange(2)
        return IMAGES[chosen], LABELS[chosen]

    def on_epoch_end(self):
        self.order = self.rng.permutation(3)


class Iterable:
    """An object with a length that can only be iterated."""

    def __len__(self):
        return 2

    def __iter__(self):
        while True:
            yield [IMAGES[:3].tolist(), LABELS[:3]]


def read(batches):
    return [labels.tolist() for _, labels in batches.as_numpy_iterator()]


def test_batches_of_a_pydataset_are_those_of_its_epochs():
    source = batch_sources.BatchSource(Shuffled(), "train")
    first = source.dataset(0)
    assert first.cardinality() == 3
    assert read(first) == read(first) == [[0, 1], [2, 3], [4, 5]]
    orders = [read(source.dataset(epoch)) for epoch in (1, 2)]
    resumed = batch_sources.BatchSource(Shuffled(), "train")
    assert read(resumed.dataset(2)) == orders[1] != orders[0]


def test_iterator_is_taken_as_far_as_its_length_says():
    source = batch_sources.BatchSource(Iterable(), "train")
    assert read(source.dataset()) == [[0, 1, 2], [0, 1, 2]]


@pytest.mark.parametrize(
    "data, is_one",
    [
        (Shuffled(), True),
        (Iterable(), True),
        ((IMAGES, LABELS), False),
        ([IMAGES, LABELS], False),
        (IMAGES, False),
        ("images", False),
        (iter([(IMAGES, LABELS)]), False),
        (None, False),
    ],
)
def test_batches_have_a_length(data, is_one):
    assert batch_sources.is_batches(data) is is_one


@pytest.mark.parametrize(
    "batches, expected",
    [
        (
            {0: IMAGES, 1: IMAGES}.values(),
            "(images, labels, weights). Received",
        ),
        ({}.values(), "`train` must have images. Received: no batches"),
    ],
)
def test_other_batches_are_refused(batches, expected):
    with pytest.raises(ValueError) as error:
        batch_sources.BatchSource(batches, "train")
    assert expected in str(error.value)
