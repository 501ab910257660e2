"""Accuracy against cost: filter pruning, and what else makes a network faster.

    python benchmarks/filter_pruning.py FOLDER --dataset=flowers12 \\
        --models=seed0.keras,seed1.keras --image_size=224

Every model, fine-tuned with the seed of its position, is brought to shares of
its multiply-accumulates by several methods, each of which trains for as many
epochs. Epochs are chosen by the validation set; the accuracies are those of the
test set, of the network and of its int8 LiteRT file. FOLDER gets the models and
`results.jsonl`, a line for each run. A run that is there is not repeated.

`keras-squeezenet benchmark` measures the latencies of these files in one run.
"""

import dataclasses
import itertools
import json
import pathlib
import time

import keras
from absl import app
from absl import flags

from keras_squeezenet import architecture
from keras_squeezenet import compression
from keras_squeezenet import data
from keras_squeezenet import export
from keras_squeezenet import graph
from keras_squeezenet import models
from keras_squeezenet import training
from keras_squeezenet.compression import channels
from keras_squeezenet.compression import filter_costs
from keras_squeezenet.evaluation import layer_latencies
from keras_squeezenet.training import network

FLAGS = flags.FLAGS
flags.DEFINE_string("dataset", None, "as data.load takes it")
flags.DEFINE_string("data_dir", None, "where TensorFlow Datasets has it")
flags.DEFINE_list("models", [], "one model of each seed")
flags.DEFINE_integer("image_size", 224, "side of the images in pixels")
flags.DEFINE_integer("epochs", 12, "of every training")
flags.DEFINE_float("learning_rate", 3e-4, "of every training")
flags.DEFINE_string("augmentation", "flip_crop", "of every training")
flags.DEFINE_list("methods", ["prune_filters"], "names of METHODS")
flags.DEFINE_list("shares", ["0.7", "0.5", "0.35", "0.25"], "of the MACs")
flags.DEFINE_list("seeds", ["0"], "positions in --models")
flags.mark_flags_as_required(["dataset", "models"])

DISTILLATION = 0.5
DEPTHS = ("fire9", "fire7", "fire5", "fire3")


def prune_filters(model, images, share, seed, out, teacher=None, **changes):
    """Remove filters; the original is the teacher, unless `changes` say."""
    recipe = make_recipe(
        seed,
        stages=("prune_filters",),
        target_macs=share,
        prune_filters_epochs=FLAGS.epochs,
        **{"distillation": DISTILLATION, **changes},
    )
    return compression.compress(
        model, images, recipe=recipe, teacher=teacher, out=out
    ).model


def prune_filters_without_teacher(model, images, share, seed, out):
    return prune_filters(model, images, share, seed, out, distillation=None)


def prune_filters_for_latency(model, images, share, seed, out):
    """Aim at a share of the latency of the int8 file on one thread."""
    target = round(share * latency_of(model), 4)
    return prune_filters(model, images, None, seed, out, target_latency=target)


def prune_weights(model, images, share, seed, out):
    """Set weights to zero, which leaves the latency as it is."""
    recipe = make_recipe(
        seed,
        stages=("prune",),
        overall_density=share,
        densities={"conv1": 1, "*": 0.25},
        prune_epochs=FLAGS.epochs,
        distillation=DISTILLATION,
    )
    return compression.compress(model, images, recipe=recipe, out=out).model


def shrink_images(model, images, share, seed, out):
    """Train the network on smaller images."""
    side = side_for(model, share)
    return train(models.resize(model, side), load(side, seed), seed, out, model)


def shrink_images_and_prune(model, images, share, seed, out):
    """Save by smaller images and by fewer filters, half of it by each."""
    side = side_for(model, share**0.5)
    smaller = models.resize(model, side)
    rest = share * macs(model) / macs(smaller)
    return prune_filters(smaller, load(side, seed), rest, seed, out, model)


def shrink_images_and_prune_for_latency(model, images, share, seed, out):
    """Remove filters from the network for smaller images."""
    side = side_for(model, share**0.5)
    target = round(share * latency_of(model), 4)
    return prune_filters(
        models.resize(model, side),
        load(side, seed),
        None,
        seed,
        out,
        model,
        target_latency=target,
    )


def narrow_config(model, images, share, seed, out):
    """Train a narrower network of the design space from random weights."""
    config = dataclasses.replace(
        network.for_images(FLAGS.image_size), pools=pools_of(model)
    )
    factors = [step / 100 for step in range(20, 100)]
    classes = model.output_shape[-1]

    def make(factor):
        return dataclasses.replace(
            config,
            base_e=round(config.base_e * factor),
            incr_e=round(config.incr_e * factor),
            stem=dataclasses.replace(
                config.stem, filters=round(config.stem.filters * factor)
            ),
        )

    def distance(factor):
        found = architecture.count_macs(make(factor), FLAGS.image_size, classes)
        return abs(found / macs(model) - share)

    keras.utils.set_random_seed(seed)
    built = network.build(
        FLAGS.image_size, classes, make(min(factors, key=distance))
    )
    return train(built, images, seed, out, model)


def pools_of(model):
    """Return the modules before each pooling, the `pools` of a config."""
    numbers = [
        layer.name.removeprefix("pool")
        for layer in model.layers
        if isinstance(layer, keras.layers.MaxPooling2D)
    ]
    return tuple(f"{'conv' if n == '1' else 'fire'}{n}" for n in numbers)


def keep(model, images, share, seed, out):
    """Leave the network as it is."""
    return model


METHODS = {
    "dense": keep,
    "prune_filters": prune_filters,
    "prune_filters_for_latency": prune_filters_for_latency,
    "prune_filters_without_teacher": prune_filters_without_teacher,
    "shrink_images": shrink_images,
    "shrink_images_and_prune": shrink_images_and_prune,
    "shrink_images_and_prune_for_latency": shrink_images_and_prune_for_latency,
    "narrow_config": narrow_config,
    "prune_weights": prune_weights,
}


def remove_fire(name):
    """Return a method that removes a Fire module, whatever the share."""

    def method(model, images, share, seed, out):
        return train(without(model, name), images, seed, out, model)

    return method


METHODS |= {f"without_{name}": remove_fire(name) for name in DEPTHS}


def without(model, fire):
    """Return the network without one Fire module."""
    description = graph.describe(model)
    layers = description["layers"]
    (source,) = next(
        layer["inputs"]
        for layer in layers
        if layer["name"] == f"{fire}_squeeze1x1"
    )
    kept = [
        {
            **layer,
            "inputs": [
                source if name == f"{fire}_concat" else name
                for name in layer.get("inputs", [])
            ],
        }
        for layer in layers
        if not layer["name"].startswith(f"{fire}_")
    ]
    return rebuild(model, {**description, "layers": kept})


def rebuild(model, description):
    built = models.rebuild(model, description)
    for layer in built.layers:
        layer.set_weights(model.get_layer(layer.name).get_weights())
    return built


def train(model, images, seed, out, teacher):
    recipe = training.Recipe(
        epochs=FLAGS.epochs,
        learning_rate=FLAGS.learning_rate,
        augmentation=FLAGS.augmentation,
        seed=seed,
        distillation=DISTILLATION,
    )
    return training.train(
        model, images, recipe=recipe, out=out, teacher=teacher
    ).model


def load(side, seed):
    return data.load(
        FLAGS.dataset, image_size=side, seed=seed, data_dir=FLAGS.data_dir
    )


def make_recipe(seed, **changes):
    return compression.Recipe(
        seed=seed,
        finetune_learning_rate=FLAGS.learning_rate,
        augmentation=FLAGS.augmentation,
        litert=("int8",),
        **changes,
    )


def macs(model):
    """Return the multiply-accumulates of a network for one image."""
    description = graph.describe(model)
    traced = channels.trace(description)
    counts = {
        name: (len(traced.inputs[name]), len(outputs))
        for name, outputs in traced.outputs.items()
    }
    return filter_costs.total(filter_costs.macs(description), counts)


def latency_of(model):
    """Return the milliseconds of the int8 file, by the table of its layers."""
    table = layer_latencies.measure(model)
    return table.network(layer_latencies.channels_of(model))


def side_for(model, share):
    """Return the side of the images at which a share of the MACs is left."""
    return min(
        range(min(32, FLAGS.image_size // 2), FLAGS.image_size),
        key=lambda side: abs(
            macs(models.resize(model, side)) / macs(model) - share
        ),
    )


def run(folder, method, share, seed, model):
    """Return the line of one run."""
    out = folder / f"{method}_{share}_{seed}"
    started = time.monotonic()
    found = METHODS[method](
        model, load(FLAGS.image_size, seed), share, seed, out
    )
    seconds = time.monotonic() - started
    side = found.input_shape[1]
    images = load(side, seed)
    exported = export.export(
        found,
        "litert_int8",
        folder / "int8" / out.name,
        calibration=images,
        test=images,
        input="preprocessed",
        overwrite=True,
    )
    return {
        "method": method,
        "share": share,
        "seed": seed,
        "macs": macs(found) / macs(model),
        "image_size": side,
        "parameters": found.count_params(),
        "accuracy": exported.accuracy,
        "int8_accuracy": exported.files[0].accuracy,
        "int8_bytes": exported.files[0].bytes,
        "file": f"int8/{out.name}/{exported.files[0].name}",
        "seconds": round(seconds, 1),
    }


def main(arguments):
    folder = pathlib.Path(arguments[1])
    folder.mkdir(parents=True, exist_ok=True)
    lines = folder / "results.jsonl"
    done = set()
    if lines.exists():
        found = map(json.loads, lines.read_text().splitlines())
        done = {(row["method"], row["share"], row["seed"]) for row in found}
    for method, share, seed in itertools.product(
        FLAGS.methods, map(float, FLAGS.shares), map(int, FLAGS.seeds)
    ):
        if (method, share, seed) in done:
            continue
        model = models.load(FLAGS.models[seed])
        row = run(folder, method, share, seed, model)
        print(row, flush=True)
        with lines.open("a") as file:
            file.write(f"{json.dumps(row)}\n")


if __name__ == "__main__":
    app.run(main)
