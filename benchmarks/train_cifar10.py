"""Train a SqueezeNet on CIFAR-10, on any Keras backend.

    KERAS_BACKEND=jax python benchmarks/train_cifar10.py cifar10.npz OUT
        [--variant=1.1] [--seed=0] [--epochs=80] [--batch_size=128]
        [--learning_rate=1e-3] [--weight_decay=0.02] [--cutout=0]
        [--train_images=N] [--pools=LAYERS] [--bypass=simple|complex]

The network is the variant's `for_small_images`. The weights,
`1.1_seed0.weights.h5`, and a line in `results.jsonl` are written to the folder
OUT. All images are read from one file, so that training does not need
TensorFlow Datasets. It is needed once, to write this file:

    python benchmarks/train_cifar10.py cifar10.npz --pack [--data_dir=DIR]
"""

import copy
import dataclasses
import functools
import io
import json
import pathlib
import time

import keras
import numpy as np
from absl import app
from absl import flags
from PIL import Image

from keras_squeezenet import architecture
from keras_squeezenet import squeezenet
from keras_squeezenet.data import splits
from keras_squeezenet.training import epochs
from keras_squeezenet.training import optimizers

_VARIANT = flags.DEFINE_enum(
    "variant", "1.1", list(architecture.VARIANTS), "the network"
)
_SEED = flags.DEFINE_integer("seed", 0, "seed of all random numbers")
_EPOCHS = flags.DEFINE_integer("epochs", 80, "number of epochs")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 128, "images in each batch")
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 1e-3, "peak learning rate")
_WEIGHT_DECAY = flags.DEFINE_float(
    "weight_decay", 0.02, "weight decay of AdamW"
)
_CUTOUT = flags.DEFINE_integer(
    "cutout", 0, "side of the square of Cutout in pixels; 0 for no Cutout"
)
_TRAIN_IMAGES = flags.DEFINE_integer(
    "train_images", None, "number of training images (default: all)"
)
_POOLS = flags.DEFINE_list("pools", None, "layers followed by a max pooling")
_BYPASS = flags.DEFINE_string(
    "bypass", None, "bypass connections: simple or complex, with --pools"
)
_PACK = flags.DEFINE_bool("pack", False, "write the file of all images")
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "data folder of TensorFlow Datasets, with --pack"
)

CLASSES = 10
SIDE = 32
SHIFT = SIDE // 8
TEST_BATCH_SIZE = 500


class TrainBatches(keras.utils.PyDataset):
    """Endless batches of augmented images; each depends on its index only.

    Args:
        images: array of preprocessed images, of shape `(images, 32, 32, 3)`.
        labels: int array of shape `(images,)`.
        batch_size: int.
        seed: int, the seed of the order and the augmentation.
        cutout: int, the side of the gray square in each image; 0 for none.
        **options: as `PyDataset` takes them.
    """

    def __init__(self, images, labels, batch_size, seed, cutout, **options):
        super().__init__(**options)
        border = (SHIFT, SHIFT)
        padded = np.pad(images, ((0, 0), border, border, (0, 0)), "reflect")
        self.padded = np.stack([padded, padded[:, :, ::-1]])
        self.labels = labels
        self.batch_size = batch_size
        self.seed = seed
        self.cutout = cutout
        self.epoch_steps = len(images) // batch_size
        self.first = 0

    def from_epoch(self, epoch):
        """Return the batches from an epoch on."""
        batches = copy.copy(self)
        batches.first = epoch * self.epoch_steps
        return batches

    @property
    def num_batches(self):
        return None

    def __getitem__(self, index):
        index += self.first
        epoch, step = divmod(index, self.epoch_steps)
        order = _order(self.seed, epoch, len(self.labels))
        members = order[step * self.batch_size :][: self.batch_size]
        rng = np.random.default_rng((self.seed, 1, index))
        images = augment(self.padded, members, rng)
        if self.cutout:
            cut_out(images, self.cutout, rng)
        return images, self.labels[members]


@functools.lru_cache(maxsize=2)
def _order(seed, epoch, count):
    return np.random.default_rng((seed, 0, epoch)).permutation(count)


def augment(padded, members, rng):
    """Do in NumPy what the augmentation `flip_crop` does.

    Args:
        padded: array of images with a border of `SHIFT` pixels, original and
            mirrored, of shape `(2, images, 40, 40, 3)`.
        members: int array, the indices of the images.
        rng: `np.random.Generator`.

    Returns:
        An array of shape `(members, 32, 32, 3)`.
    """
    downs, rights = rng.integers(0, 2 * SHIFT + 1, (2, len(members)))
    flips = rng.integers(0, 2, len(members))
    return np.stack(
        [
            padded[flip, member, down : down + SIDE, right : right + SIDE]
            for flip, member, down, right in zip(flips, members, downs, rights)
        ]
    )


def cut_out(images, side, rng):
    """Set a square of each image to 0, the mean of ImageNet, in place.

    The center of the square is anywhere in the image, so that a part of the
    square may be outside.
    """
    places = np.arange(SIDE)
    down, right = rng.integers(0, SIDE, (2, len(images), 1)) - side // 2
    rows = (places >= down) & (places < down + side)
    columns = (places >= right) & (places < right + side)
    outside = ~(rows[:, :, np.newaxis] & columns[:, np.newaxis])
    images *= outside[..., np.newaxis]


def pack(path, data_dir):
    """Write all images, as encoded files, and their labels to an .npz file."""
    import tensorflow_datasets as tfds

    arrays = {}
    for split in ("train", "test"):
        examples = tfds.load(
            "cifar10",
            split=split,
            data_dir=data_dir,
            decoders={"image": tfds.decode.SkipDecoding()},
        )
        examples = list(examples.as_numpy_iterator())
        files = [example["image"] for example in examples]
        arrays[f"{split}_files"] = np.frombuffer(b"".join(files), "uint8")
        arrays[f"{split}_sizes"] = np.array([len(file) for file in files])
        arrays[f"{split}_labels"] = np.array(
            [example["label"] for example in examples]
        )
    np.savez_compressed(path, **arrays)


def unpack(path, split):
    """Return the preprocessed images of a split, and their labels."""
    with np.load(path) as arrays:
        content = arrays[f"{split}_files"].tobytes()
        ends = np.cumsum(arrays[f"{split}_sizes"])
        labels = arrays[f"{split}_labels"]
    images = np.empty((len(ends), SIDE, SIDE, 3), "uint8")
    for image, start, end in zip(images, (0, *ends), ends):
        image[:] = Image.open(io.BytesIO(content[start:end])).convert("RGB")
    images = squeezenet.preprocess_input(
        images.astype("float32"), data_format="channels_last"
    )
    return images, labels


def build(variant):
    config = architecture.VARIANTS[variant].for_small_images()
    if _POOLS.value:
        config = dataclasses.replace(
            config, pools=tuple(_POOLS.value), bypass=_BYPASS.value
        )
    return squeezenet.SqueezeNet(
        weights=None,
        classes=CLASSES,
        input_shape=(SIDE, SIDE, 3),
        config=config,
    )


def describe_device():
    if keras.backend.backend() == "jax":
        import jax

        return jax.devices()[0].device_kind
    return ", ".join(keras.distribution.list_devices())


def main(argv):
    if len(argv) != (2 if _PACK.value else 3):
        raise app.UsageError("a file must be given, and without --pack OUT too")
    if _PACK.value:
        pack(argv[1], _DATA_DIR.value)
        return
    _, path, out = argv
    keras.utils.set_random_seed(_SEED.value)
    images, labels = unpack(path, "train")
    batches = TrainBatches(
        images[: _TRAIN_IMAGES.value],
        labels[: _TRAIN_IMAGES.value],
        _BATCH_SIZE.value,
        _SEED.value,
        _CUTOUT.value,
        workers=2,
    )
    model = build(_VARIANT.value)
    started = time.monotonic()
    steps = _EPOCHS.value * batches.epoch_steps
    optimizers.compile_classifier(
        keras,
        model,
        steps,
        _LEARNING_RATE.value,
        _WEIGHT_DECAY.value or None,
    )
    state = epochs.State()

    def show():
        epoch = state.history[-1]
        print(
            f"{epoch['epoch']}/{_EPOCHS.value} loss {epoch['loss']:.4f} "
            f"accuracy {epoch['accuracy']:.4f} "
            f"{time.monotonic() - started:.1f} s",
            flush=True,
        )

    epochs.Fit(
        make=lambda restarts: model,
        train=splits.Split(
            batches.from_epoch, batches.epoch_steps, len(images)
        ),
        steps=steps,
        measure=lambda model: 0.0,
        save=show,
        state=state,
        seed=_SEED.value,
    ).run()
    seconds = time.monotonic() - started
    images, labels = unpack(path, "test")
    loss, accuracy = model.evaluate(
        images, labels, batch_size=TEST_BATCH_SIZE, verbose=0
    )
    result = {
        "variant": _VARIANT.value,
        "seed": _SEED.value,
        "epochs": _EPOCHS.value,
        "batch_size": _BATCH_SIZE.value,
        "learning_rate": _LEARNING_RATE.value,
        "weight_decay": _WEIGHT_DECAY.value,
        "cutout": _CUTOUT.value,
        "test_accuracy": accuracy,
        "test_loss": loss,
        "seconds": round(seconds, 1),
        "device": describe_device(),
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
    }
    save(model, result, pathlib.Path(out))


def save(model, result, out):
    """Write the weights, without optimizer state, and the line of results."""
    out.mkdir(parents=True, exist_ok=True)
    trained = build(result["variant"])
    trained.set_weights(model.get_weights())
    trained.save_weights(
        out / f"{result['variant']}_seed{result['seed']}.weights.h5"
    )
    line = json.dumps(result)
    with open(out / "results.jsonl", "a", encoding="utf-8") as file:
        file.write(f"{line}\n")
    print(line)


if __name__ == "__main__":
    app.run(main)
