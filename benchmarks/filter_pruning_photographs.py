"""Prune filters of ImageNet networks without labels, on photographs.

    python benchmarks/filter_pruning_photographs.py FOLDER PHOTOGRAPHS WEIGHTS

PHOTOGRAPHS is a folder with one file of each class of ImageNet, as
`benchmarks/photographs.py` takes it, and WEIGHTS has the files that it lists.
The photographs at even positions train: the original network is the teacher,
and no label is used. Accuracy is measured on the others. FOLDER gets the models
and `results.jsonl`, a line for each run. A run that is there is not repeated.
"""

import json
import pathlib

import numpy as np
import photographs
import tensorflow as tf
from absl import app
from absl import flags

from keras_squeezenet import architecture
from keras_squeezenet import classifier
from keras_squeezenet import compression
from keras_squeezenet import data
from keras_squeezenet import imagenet
from keras_squeezenet import models
from keras_squeezenet import normalizations
from keras_squeezenet.evaluation import metrics

FLAGS = flags.FLAGS
flags.DEFINE_list("shares", ["0.9", "0.75", "0.6"], "of the MACs")
flags.DEFINE_list("variants", ["1.1", "1.0"], "the networks")
flags.DEFINE_integer("epochs", 5, "of the distillation")
flags.DEFINE_float("learning_rate", 3e-5, "of the distillation")

SEED = 0
BATCH_SIZE = 50
FILES = {
    variant: file
    for _, variant, file, framework in reversed(photographs.WEIGHTS)
    if framework != "torch"
}


def main(argv):
    folder, path, weights = map(pathlib.Path, argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    lines = folder / "results.jsonl"
    done = set()
    if lines.exists():
        rows = map(json.loads, lines.read_text().splitlines())
        done = {(row["variant"], row["share"], row["epochs"]) for row in rows}
    squares, labels = read(path)
    for variant in FLAGS.variants:
        model = models.load(weights / FILES[variant], config=variant)
        before = predict(model, squares)
        dataset = make_dataset(squares, before.argmax(1), labels)
        for share in map(float, FLAGS.shares):
            for epochs in (0, FLAGS.epochs):
                if (variant, share, epochs) in done:
                    continue
                smaller = prune(model, dataset, share, epochs, folder / "out")
                models.save(smaller, folder / f"{variant}_{share}.keras")
                row = {
                    "variant": variant,
                    "share": share,
                    "epochs": epochs,
                    "parameters": smaller.count_params(),
                    **compare(before, predict(smaller, squares), labels),
                }
                print(row, flush=True)
                with lines.open("a") as file:
                    file.write(f"{json.dumps(row)}\n")


def read(folder):
    """Return the photographs as uint8 squares, and their classes."""
    paths = sorted(folder.glob("n*"))
    ids = [class_id for class_id, _ in imagenet.imagenet_classes()]
    labels = np.array([ids.index(path.name.split("_")[0]) for path in paths])
    network = classifier.Classifier(
        "squares", None, architecture.DEFAULT_SIDE, imagenet.imagenet_classes()
    )
    return np.stack([network.read(path) for path in paths]), labels


def make_dataset(squares, taught, labels):
    """Return the data set: the teacher's classes to train on, others to test.

    The validation set, which chooses the epoch, is split off the former.
    """

    def examples(part, classes):
        return data.Examples(
            tf.data.Dataset.from_tensor_slices(
                (squares[part].astype("uint8"), classes[part].astype("int64"))
            )
        )

    return data.ImageDataset(
        name="photographs",
        class_names=[name for _, name in imagenet.imagenet_classes()],
        train=examples(np.s_[::2], taught),
        test=examples(np.s_[1::2], labels),
    )


def prune(model, dataset, share, epochs, out):
    recipe = compression.Recipe(
        stages=("prune_filters",),
        target_macs=share,
        prune_filters_epochs=epochs,
        finetune_learning_rate=FLAGS.learning_rate,
        augmentation="flip_crop",
        distillation=1.0,
        seed=SEED,
        litert=(),
    )
    return compression.compress(
        model, dataset, recipe=recipe, out=out, overwrite=True
    ).model


def predict(model, squares):
    normalize = normalizations.get(normalizations.CAFFE).apply
    return np.concatenate(
        [
            model.predict_on_batch(normalize(squares[i : i + BATCH_SIZE]))
            for i in range(0, len(squares), BATCH_SIZE)
        ]
    )


def compare(before, after, labels):
    """Return the measures on the photographs that took no part."""
    before, after, labels = before[1::2], after[1::2], labels[1::2]
    hits = [(outputs.argmax(1) == labels) for outputs in (before, after)]
    paired = hits[1].astype(float) - hits[0]
    compared = metrics.compare(before, after)
    return {
        "photographs": len(labels),
        "accuracy_before": float(hits[0].mean()),
        "accuracy": float(hits[1].mean()),
        "difference": float(paired.mean()),
        "standard_error": float(paired.std(ddof=1) / len(paired) ** 0.5),
        "agreement": compared.agreement,
        "divergence": metrics.divergence(before, after),
    }


if __name__ == "__main__":
    app.run(main)
