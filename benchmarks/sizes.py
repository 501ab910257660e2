"""Size against accuracy on ImageNet's classes, without training.

    python benchmarks/sizes.py WEIGHTS PHOTOGRAPHS [--targets=380000,325000]

PHOTOGRAPHS is a folder with one photograph of each class, whose names are in
the order of the classes. Every second one calibrates, without its label; the
others measure, in four views: the centre after the shorter side is 256 pixels,
and the whole, both mirrored too. Changes are paired differences with their
standard errors, in points.
"""

import os
import pathlib
import tempfile

import numpy as np
import rich.console
from absl import app
from absl import flags

from keras_squeezenet import classifier
from keras_squeezenet import codec
from keras_squeezenet import report
from keras_squeezenet import squeezenet
from keras_squeezenet.cli import console as consoles
from keras_squeezenet.compression import packing
from keras_squeezenet.data import folder
from keras_squeezenet.data import images
from keras_squeezenet.export import comparison

_TARGETS = flags.DEFINE_list(
    "targets", ["380000", "345000", "325000", "285000", "240000"], "in bytes"
)
_SEED = flags.DEFINE_integer("seed", 0, "of the labels that are drawn")
BATCH_SIZE = 50


def main(argv):
    if len(argv) != 3:
        raise app.UsageError("weights and a folder are expected")
    _, path, photographs = argv
    network = classifier.load(path)
    model = classifier.load_model(path)
    paths = folder.image_files(pathlib.Path(photographs))
    centers = preprocess([network.read(path) for path in paths])
    wholes = preprocess(
        [
            images.square(images.read_image(path), network.image_size).numpy()
            for path in paths[1::2]
        ]
    )
    views = [centers[1::2], wholes]
    views += [view[:, :, ::-1] for view in views]
    labels = np.arange(len(paths))[1::2]
    before = [predict(model, view) for view in views]
    rows = [(os.path.getsize(path), *measure(before, before, labels))]
    packer = packing.Packer(model, centers[::2], seed=_SEED.value)
    for target in map(int, _TARGETS.value):
        content = packer.pack(target_bytes=target).content
        after = [predict(load(content), view) for view in views]
        rows.append((len(content), *measure(before, after, labels)))
    consoles.print_table(
        rich.console.Console(markup=False, highlight=False),
        report.Table(
            f"{os.path.basename(path)}, {len(labels)} photographs",
            (
                "bytes",
                "top-1",
                "change",
                "top-5",
                "change",
                "agreement",
                "divergence",
            ),
            [format_row(*row) for row in rows],
        ),
    )


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


def load(content):
    with tempfile.TemporaryDirectory() as temporary:
        path = pathlib.Path(temporary, "model.sqz")
        path.write_bytes(content)
        return codec.load(path)


def measure(before, after, labels):
    """Returns accuracies, their paired changes, agreement and divergence."""
    found = []
    for count in (1, 5):
        old, new = (
            np.mean(
                [comparison.hits(view, labels, count) for view in views], axis=0
            )
            for views in (before, after)
        )
        changes = new - old
        error = changes.std(ddof=1) / np.sqrt(len(changes))
        found += [new.mean(), changes.mean(), error]
    pairs = list(zip(before, after))
    agreement = np.mean([p.argmax(1) == q.argmax(1) for p, q in pairs])
    divergence = np.mean(
        [
            np.sum(p * (np.log(p + 1e-12) - np.log(q + 1e-12)), axis=1)
            for p, q in pairs
        ]
    )
    return *found, agreement, divergence


def format_row(size, top1, d1, e1, top5, d5, e5, agreement, divergence):
    return (
        f"{size:,}",
        f"{top1:.1%}",
        f"{100 * d1:+.2f} ± {100 * e1:.2f}",
        f"{top5:.1%}",
        f"{100 * d5:+.2f} ± {100 * e5:.2f}",
        f"{agreement:.1%}",
        f"{divergence:.4f}",
    )


if __name__ == "__main__":
    app.run(main)
