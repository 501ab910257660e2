"""Measure the start of a training on data that do not fit in memory.

    python benchmarks/large_data.py make FOLDER [--images=200000]
    python benchmarks/large_data.py train DATASET

The first command writes small JPEG files of 100 classes: to FOLDER/files in a
folder for each class, and to FOLDER/large_shapes/1.0.0 as TensorFlow Datasets
does, in 16 shards. The second one trains 20 steps on one of the two, and shows
when the data are loaded and the first step is done, and the peak memory.
"""

import contextlib
import io
import os
import resource
import tempfile
import time

import numpy as np
import tensorflow_datasets as tfds
from absl import app
from absl import flags
from PIL import Image

from keras_squeezenet import data
from keras_squeezenet import training
from keras_squeezenet.utils.progress import Progress

CLASSES = 100
SIDE = 64
TEST_IMAGES = 2000
STEPS = 20
SHARDS = 16

_IMAGES = flags.DEFINE_integer("images", 200_000, "the training images")


def main(argv):
    if len(argv) != 3 or argv[1] not in ("make", "train"):
        raise app.UsageError("make FOLDER or train DATASET must be given")
    if argv[1] == "make":
        make(argv[2])
    else:
        train(argv[2])


def encoded(index):
    """Return a JPEG file: colors, and a square whose place is the class."""
    rng = np.random.default_rng(index)
    colors = Image.fromarray(rng.integers(0, 256, (6, 6, 3), "uint8"))
    image = colors.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    row, column = divmod(index % CLASSES, 10)
    left, top = 8 + 4 * column, 8 + 4 * row
    image.paste((255, 255, 255), (left, top, left + 8, top + 8))
    file = io.BytesIO()
    image.save(file, "JPEG")
    return file.getvalue()


class LargeShapes(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """The images as a data set of TensorFlow Datasets."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        names = [f"{number:02}" for number in range(CLASSES)]
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=(SIDE, SIDE, 3), encoding_format="jpeg"
                    ),
                    "label": tfds.features.ClassLabel(names=names),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        return {
            split: self._generate_examples(indices)
            for split, indices in splits().items()
        }

    def _generate_examples(self, indices):
        for index in indices:
            file = io.BytesIO(encoded(index))
            yield index, {"image": file, "label": index % CLASSES}


def splits():
    images = _IMAGES.value
    return {
        "train": range(images),
        "test": range(images, images + TEST_IMAGES),
    }


def make(folder):
    for split, indices in splits().items():
        for index in indices:
            name = f"{index % CLASSES:02}"
            path = os.path.join(folder, "files", split, name, f"{index}.jpg")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(encoded(index))
    LargeShapes(data_dir=folder).download_and_prepare(
        download_config=tfds.download.DownloadConfig(num_shards=SHARDS)
    )


class Steps(Progress):
    """Shows when the first and the last step are done."""

    def __init__(self, show):
        self._show = show
        self._steps = 0

    @contextlib.contextmanager
    def task(self, name, steps):
        def advance(**metrics):
            self._steps += 1
            if self._steps in (1, STEPS):
                self._show(f"step {self._steps}")

        yield advance


def train(dataset):
    started = time.perf_counter(), time.process_time()

    def show(what):
        seconds = time.perf_counter() - started[0]
        cpu = time.process_time() - started[1]
        # In kB on Linux.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f"{what:8} {seconds:7.1f} s, CPU {cpu:6.1f} s, {peak:.2f} GB")

    show("start")
    images = data.load(dataset, image_size=SIDE)
    show("loaded")
    recipe = training.RECIPES["default"].replace(
        max_train_steps=STEPS, validation_share=0.01
    )
    with tempfile.TemporaryDirectory() as out:
        training.train(
            None,
            images,
            recipe=recipe,
            out=os.path.join(out, "model"),
            progress=Steps(show),
        )
    show("end")


if __name__ == "__main__":
    app.run(main)
