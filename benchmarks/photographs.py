"""Measure the accuracy of pretrained weights on ImageNet-like photographs.

    python benchmarks/photographs.py PHOTOGRAPHS WEIGHTS

PHOTOGRAPHS is a folder with one file of each class, whose names begin with the
WordNet ids, such as `n01440764_tench.jpg`; WEIGHTS is a folder with the files
that this script lists. Images are read as by `keras-squeezenet predict`: the
shorter side is resized to 256 pixels and the center of 227x227 is cropped.
"""

import pathlib

import numpy as np
import rich.console
from absl import app

from keras_squeezenet import architecture
from keras_squeezenet import classifier
from keras_squeezenet import imagenet
from keras_squeezenet import pretrained
from keras_squeezenet import report
from keras_squeezenet import squeezenet
from keras_squeezenet.cli import terminal

# Title, variant, file, and the training framework unless its format tells it.
WEIGHTS = (
    ("v1.0, Deep Compression", "1.0", "compressed_SqueezeNet.net", None),
    (
        "v1.1, Caffe",
        "1.1",
        "squeezenet_v1.1_caffe_fp32trunk_fp16conv10.npz",
        "squeezenet",
    ),
    (
        "v1.1, ONNX model zoo, folded",
        "1.1",
        "squeezenet1_1_directml_fp32.npz",
        "torch",
    ),
)
BATCH_SIZE = 50


def main(argv):
    if len(argv) != 3:
        raise app.UsageError("PHOTOGRAPHS and WEIGHTS must be given")
    _, photographs, weights = argv
    paths = sorted(pathlib.Path(photographs).glob("n*"))
    ids = [class_id for class_id, _ in imagenet.imagenet_classes()]
    classes = np.array([ids.index(path.name.split("_")[0]) for path in paths])
    rows = []
    for title, variant, file, trained_on in WEIGHTS:
        model = squeezenet.SqueezeNet(weights=None, config=variant)
        path = pathlib.Path(weights, file)
        opened = pretrained.open_weights(path, normalization=trained_on)
        opened.assign_to(model)
        top_1, top_5 = _hits(model, paths, classes)
        rows.append(
            (title, f"{top_1 / len(paths):.1%}", f"{top_5 / len(paths):.1%}")
        )
    terminal.print_table(
        rich.console.Console(),
        report.Table(
            f"{len(paths)} photographs, not the ImageNet validation set",
            ("weights", "top-1", "top-5"),
            rows,
        ),
    )


def _hits(model, paths, classes):
    """Return the number of top-1 and of top-5 hits."""
    network = classifier.Classifier(
        model.name,
        model.predict_on_batch,
        architecture.DEFAULT_SIDE,
        imagenet.imagenet_classes(),
    )
    ranks = []
    for start in range(0, len(paths), BATCH_SIZE):
        squares = [network.read(p) for p in paths[start : start + BATCH_SIZE]]
        ranks += [imagenet.best(row, 5) for row in network.predict(squares)]
    hits = np.array(ranks) == classes[:, np.newaxis]
    return hits[:, 0].sum(), hits.sum()


if __name__ == "__main__":
    app.run(main)
