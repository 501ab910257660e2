"""One order of the batches in every pass, for outputs that are compared."""

import logging

import numpy as np
import tensorflow as tf

from keras_squeezenet.data import lazy_examples

# So many images of two passes are compared.
COMPARED_IMAGES = 256
# The largest size of batches that are kept in memory, in bytes.
KEPT_LIMIT = lazy_examples.CACHE_LIMIT

logger = logging.getLogger(__name__)


def repeats(batches: tf.data.Dataset) -> bool:
    """Return whether two passes begin with the same batches.

    They do not after `shuffle`, which by default reshuffles every pass.
    """
    seen = 0
    for one, other in zip(
        batches.as_numpy_iterator(), batches.as_numpy_iterator()
    ):
        if not all(map(np.array_equal, one, other)):
            return False
        seen += len(one[0])
        if seen >= COMPARED_IMAGES:
            break
    return True


def keep(batches: tf.data.Dataset, name: str) -> tf.data.Dataset:
    """Return the batches of one pass, which are kept in memory.

    Args:
        batches: parts of images, labels and perhaps more.
        name: the name of the set, for errors.

    Raises:
        ValueError: if they are larger than `KEPT_LIMIT`.
    """
    kept, size = batches.cache(), 0
    # A whole pass fills the cache.
    for batch in kept.as_numpy_iterator():
        size += sum(part.nbytes for part in batch)
        if size > KEPT_LIMIT:
            raise ValueError(
                f"`{name}` must have the same batches in every pass, since "
                "the outputs of several networks for them are compared. "
                f"Received: {name}=a `tf.data.Dataset` whose passes differ, of "
                f"more than {KEPT_LIMIT / 2**20:,.0f} MiB, which is too large "
                "to be kept in memory. Shuffle it with "
                "`shuffle(..., reshuffle_each_iteration=False)`, load it with "
                "`image_dataset_from_directory(..., shuffle=False)`, or keep "
                'the order of one pass on the disk: `.cache("FILE")`'
            )
    logger.info(
        "The passes over `%s` differ, as those of a set that is reshuffled: "
        "the batches of one pass are kept in memory (%.1f MiB).",
        name,
        size / 2**20,
    )
    return kept
