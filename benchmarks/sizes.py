"""Compare methods to compress ImageNet weights: size and loss of accuracy.

    pip install zstandard brotli
    python benchmarks/sizes.py WEIGHTS PHOTOGRAPHS [--targets=380000,325000]
        [--bits=6,5,4] [--finetune=STEPS] [--seed=0]

PHOTOGRAPHS is a folder with one photograph of each class, whose file names are
in the order of the classes. Of every ten photographs five calibrate, without
their labels, and two choose among the files. The other three are reported on,
in four views: the center crop after the shorter side is resized to 256 pixels,
and the center crop of the shorter side, both mirrored too. Changes are paired
differences with their standard errors, in percentage points.
"""

import gzip
import lzma
import os
import pathlib

import brotli
import numpy as np
import rich.console
import zstandard
from absl import app
from absl import flags

from keras_squeezenet import classifier
from keras_squeezenet import codec
from keras_squeezenet import models
from keras_squeezenet import report
from keras_squeezenet import squeezenet
from keras_squeezenet.cli import terminal
from keras_squeezenet.codec import encodings
from keras_squeezenet.compression import huffman_size
from keras_squeezenet.compression import kmeans
from keras_squeezenet.data import image_files
from keras_squeezenet.data import image_ops
from keras_squeezenet.data import image_reader
from keras_squeezenet.evaluation import metrics
from keras_squeezenet.packing import bounds
from keras_squeezenet.packing import image_sets
from keras_squeezenet.packing import measurement
from keras_squeezenet.packing import packer

_TARGETS = flags.DEFINE_list(
    "targets",
    ["376000", "325000", "285000", "262000", "240000"],
    "sizes to pack to, in bytes",
)
_BITS = flags.DEFINE_list("bits", ["6", "5", "4"], "bits of k-means codebooks")
_FINETUNE = flags.DEFINE_integer(
    "finetune", 0, "steps of code training after each target"
)
_SEED = flags.DEFINE_integer(
    "seed", 0, "seed of the labels that are drawn from the outputs"
)
BATCH_SIZE = 50
COMPRESSORS = {
    "gzip 9": lambda content: gzip.compress(content, 9),
    "zstd 19": lambda content: zstandard.compress(content, 19),
    "xz 9e": lambda content: lzma.compress(
        content, preset=9 | lzma.PRESET_EXTREME
    ),
    "brotli 11": lambda content: brotli.compress(content, quality=11),
}


def main(argv):
    if len(argv) != 3:
        raise app.UsageError("WEIGHTS and PHOTOGRAPHS must be given")
    _, path, photographs = argv
    model = models.load(path)
    network = classifier.load(path, loaded=model)
    paths, _ = image_files.find(pathlib.Path(photographs))
    centers = preprocess([network.read(path) for path in paths])
    part = np.arange(len(paths)) % 10
    labels = np.flatnonzero(part >= 7)
    wholes = preprocess(
        [
            image_ops.square(
                image_reader.read(paths[label]), network.image_size
            ).numpy()
            for label in labels
        ]
    )
    views = [centers[labels], wholes]
    views += [view[:, :, ::-1] for view in views]
    before = [predict(model, view) for view in views]
    rows = [
        (name, size, *measure(before, before, labels))
        for name, size in lossless(path, model)
    ]
    calibration, choice = centers[part < 5], centers[(part == 5) | (part == 6)]
    for name, content in lossy(model, calibration, choice):
        after = [predict(codec.loads(content), view) for view in views]
        rows.append((name, len(content), *measure(before, after, labels)))
    terminal.print_table(
        rich.console.Console(markup=False, highlight=False),
        report.Table(
            f"{os.path.basename(path)}, {len(labels)} photographs",
            (
                "method",
                "bytes",
                "top-1",
                "change",
                "top-5 change",
                "divergence",
            ),
            [format_row(*row) for row in rows],
        ),
    )


def lossless(path, model):
    """Yield the name and the bytes of each lossless method."""
    content = pathlib.Path(path).read_bytes()
    yield "the file", len(content)
    if path.endswith(".net"):
        yield (
            "its Huffman codes",
            sum(
                huffman_size.count_bytes(*layer.get_weights()).huffman.total
                for layer in model.layers
                if layer.weights
            ),
        )
    for name, compress in COMPRESSORS.items():
        yield name, len(compress(content))
    yield ".sqz, lossless", len(codec.dump(model))


def lossy(model, calibration, choice):
    """Yield the name and the .sqz file of each lossy method.

    The photographs of `choice` measure the files, of which the best is chosen.
    """
    for bits in _BITS.value:
        yield (
            f"k-means, {bits} bits",
            codec.dump(model, arrays=cluster(model, 2 ** int(bits))),
        )
    model_packer = packer.Packer(
        model,
        calibration,
        seed=_SEED.value,
        measurer=measurement.Measurer(
            model,
            lambda: [
                (images, None)
                for images in image_sets.in_batches(choice, BATCH_SIZE)
            ],
        ),
    )
    for target in map(int, _TARGETS.value):
        bound = bounds.Bound(target_bytes=target)
        packed = model_packer.pack(bound)
        yield "pack", packed.content
        if _FINETUNE.value:
            _, content, _ = model_packer.train_codes(
                packed.point, packed.content, bound, _FINETUNE.value
            )
            yield f"pack, {_FINETUNE.value} steps", content


def cluster(model, size):
    """Return the kernels quantized to `size` shared values each."""
    found = {}
    for layer in model.layers:
        if layer.weights:
            kernel = layer.get_weights()[0]
            codebook = kmeans.kmeans(kernel, size)
            found[f"{layer.name}/kernel"] = encodings.lossless(
                kmeans.quantize(kernel, codebook)
            )
    return found


def preprocess(squares):
    return squeezenet.preprocess_input(
        np.stack(squares).astype("float32"), data_format="channels_last"
    )


def predict(model, view):
    return np.concatenate(
        [
            model.predict_on_batch(view[begin : begin + BATCH_SIZE])
            for begin in range(0, len(view), BATCH_SIZE)
        ]
    ).astype("float64")


def measure(before, after, labels):
    """Return top-1, its change, the change of top-5, and the divergence."""
    changes = []
    for count in (1, 5):
        old, new = (
            np.mean(
                [metrics.hits(view, labels, count) for view in views], axis=0
            )
            for views in (before, after)
        )
        changes.append(new - old)
    accuracy = np.mean([metrics.hits(v, labels, 1) for v in after])
    divergence = np.mean(list(map(metrics.divergence, before, after)))
    return accuracy, *changes, divergence


def format_row(name, size, accuracy, change1, change5, divergence):
    return (
        name,
        f"{size:,}",
        f"{accuracy:.1%}",
        format_change(change1),
        format_change(change5),
        f"{divergence:.4f}",
    )


def format_change(changes):
    error = changes.std(ddof=1) / np.sqrt(len(changes))
    return f"{100 * changes.mean():+.2f} ± {100 * error:.2f}"


if __name__ == "__main__":
    app.run(main)
