"""Write a data set of two classes: the airplanes and birds of CIFAR-10.

    python benchmarks/two_classes.py TFDS FOLDER [--images=5000]

TFDS is the folder where TensorFlow Datasets keeps CIFAR-10. FOLDER gets PNG
files of 32x32 pixels in train, validation and test, each with the sub-folders
airplane and bird: the first training images, the last 2,000, and the 2,000 test
images.
"""

import pathlib

import tensorflow_datasets as tfds
from absl import app
from absl import flags
from PIL import Image

from keras_squeezenet.utils import files

VALIDATION_IMAGES = 2000
_IMAGES = flags.DEFINE_integer(
    "images", 5000, "the training images", 1, 10_000 - VALIDATION_IMAGES
)
CLASSES = {0: "airplane", 2: "bird"}


def main(argv):
    if len(argv) != 3:
        raise app.UsageError("TFDS and FOLDER must be given")
    _, source, folder = argv
    files.require_writable(folder)
    train, test = (list(load(source, split)) for split in ("train", "test"))
    sets = {
        "train": train[:-VALIDATION_IMAGES][: _IMAGES.value],
        "validation": train[-VALIDATION_IMAGES:],
        "test": test,
    }
    for name, examples in sets.items():
        for number, (pixels, label) in enumerate(examples):
            path = pathlib.Path(folder, name, CLASSES[label], f"{number}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)


def load(folder, split):
    """Yield the pixels and the label of each image of the two classes."""
    examples = tfds.load(
        "cifar10", split=split, data_dir=folder, download=False
    )
    for example in tfds.as_numpy(examples):
        if example["label"] in CLASSES:
            yield example["image"], int(example["label"])


if __name__ == "__main__":
    app.run(main)
