"""The stages of the pipeline: what each trains, and what it ends with."""

import dataclasses
import types
from collections.abc import Callable

import keras
import tf_keras

from keras_squeezenet.compression import allocation
from keras_squeezenet.compression import cluster
from keras_squeezenet.compression import prune
from keras_squeezenet.compression import quantize
from keras_squeezenet.compression import tf_keras_twin
from keras_squeezenet.compression.compression_recipe import BITS

NAMES = {
    "train": "dense",
    "prune": "pruned",
    "densify": "densified",
    "cluster": "clustered",
    "quantize": "quantized",
}
# What a stage that lost too much accuracy keeps of its zeros when it is tried
# again, and of its learning rate.
GENTLER_SPARSITY = 0.75
GENTLER_RATE = 0.5
MAX_BITS = 8


@dataclasses.dataclass(frozen=True)
class Stage:
    """A stage, ready to be trained.

    Args:
        namespace: the module `keras` or `tf_keras`, whichever made `trainee`.
        trainee: `Model` to train.
        epochs: float.
        learning_rate: float.
        finish: function without arguments, to be called after the training:
            it copies the result to the model that is compressed, once it is
            what was promised. It returns the ranges of the activations, or
            `None`.
        callbacks: of the training. Defaults to none.
        settled_after: function of the number of training steps to that after
            which the result is what was promised. Defaults to 0 steps.
        measures_trainee: whether the accuracy of the stage is that of
            `trainee`, and not of the model. Defaults to `False`.
    """

    namespace: types.ModuleType
    trainee: object
    epochs: float
    learning_rate: float
    finish: Callable
    callbacks: tuple = ()
    settled_after: Callable = lambda steps: 0
    measures_trainee: bool = False


def make(kind, model, recipe, steps, calibration, sensitivity=None):
    """Returns the `Stage` of a kind.

    Args:
        kind: one of `recipe.STAGES`.
        model: `keras.Model` to compress, with a twin.
        recipe: `Recipe`.
        steps: function of epochs to training steps.
        calibration: list of batches of images.
        sensitivity: a scan, if the recipe needs one. Defaults to `None`.
    """
    maker = {
        "train": _train,
        "prune": _prune,
        "densify": _densify,
        "cluster": _cluster,
        "quantize": _quantize,
    }[kind]
    stage = maker(model, recipe, steps, calibration, sensitivity)
    if recipe.keep_frozen and kind != "train":
        _freeze(stage.trainee, model)
    return stage


def gentler(recipe, kind, attempt):
    """Returns a recipe that asks less of a stage, the more its attempts.

    Pruning gives back a quarter of the zeros, weight sharing takes one bit
    more, quantization half the learning rate.

    Args:
        recipe: `Recipe`.
        kind: one of `recipe.STAGES`.
        attempt: int, 0 for the recipe as it is.
    """
    if not attempt:
        return recipe
    if kind == "prune":
        share = GENTLER_SPARSITY**attempt
        return recipe.replace(
            densities={
                pattern: 1 - (1 - density) * share
                for pattern, density in recipe.densities.items()
            },
            overall_density=recipe.overall_density
            and 1 - (1 - recipe.overall_density) * share,
        )
    if kind == "cluster":
        return recipe.replace(
            bits={
                pattern: min(MAX_BITS, bits + attempt)
                for pattern, bits in recipe.bits.items()
            },
            average_bits=recipe.average_bits
            and min(MAX_BITS, recipe.average_bits + attempt),
        )
    return recipe.replace(
        finetune_learning_rate=recipe.finetune_learning_rate
        * GENTLER_RATE**attempt
    )


def can_be_gentler(recipe, kind):
    """Whether trying a stage again, more gently, is another try."""
    if kind == "prune":
        return recipe.prune_pattern is None
    return kind != "train"


def require_layers(model, recipe):
    """Raises a `ValueError` if a recipe's rules do not fit a model's layers."""
    names = list(_compressible(model, recipe))
    for rules in (recipe.densities, recipe.bits):
        allocation.match(rules, names)


def densities(model, recipe, sensitivity=None):
    """Returns `{layer name: density}` that a recipe asks for.

    Layers to be left alone are not in it.
    """
    kernels = _compressible(model, recipe)
    asked = allocation.match(recipe.densities, list(kernels))
    if recipe.prune_pattern:
        return {
            name: 0.5
            for name, density in asked.items()
            if density < 1
            and prune.fits_pattern(kernels[name], recipe.prune_pattern)
        }
    if recipe.overall_density is None:
        return asked
    fixed = [name for name, density in asked.items() if density == 1]
    if recipe.density_split == "proportional":
        return allocation.scale(asked, kernels, recipe.overall_density)
    if recipe.density_split == "threshold":
        return allocation.global_threshold(
            kernels, recipe.overall_density, fixed
        )
    return allocation.split_density(
        _only(sensitivity, kernels), recipe.overall_density, fixed
    )


def codebooks(model, recipe, sensitivity=None):
    """Returns `{layer name: size of its codebook}` that a recipe asks for."""
    kernels = _compressible(model, recipe)
    if recipe.average_bits is None:
        bits = allocation.match(recipe.bits, list(kernels))
    else:
        bits = allocation.split_bits(
            _only(sensitivity, kernels), recipe.average_bits, choices=BITS
        )
    return {name: 2**count for name, count in bits.items()}


def needs_sensitivity(recipe, kind):
    """Whether a stage's targets come from a scan."""
    if kind == "prune":
        by_scan = recipe.density_split == "sensitivity"
        return by_scan and recipe.overall_density is not None
    return kind == "cluster" and recipe.average_bits is not None


def _only(sensitivity, kernels):
    layers = [row for row in sensitivity["layers"] if row["name"] in kernels]
    return {**sensitivity, "layers": layers}


def _compressible(model, recipe):
    frozen = _frozen(model) if recipe.keep_frozen else ()
    return {
        name: kernel
        for name, kernel in tf_keras_twin.kernels(model).items()
        if name not in frozen
    }


def _frozen(model):
    return {layer.name for layer in model.layers if not layer.trainable}


def _freeze(trainee, model):
    frozen = _frozen(model)
    for layer in trainee.layers:
        if getattr(layer, "layer", layer).name in frozen:
            layer.trainable = False
            if layer.trainable_weights:
                # TF-MOT's wrapper for 8-bit training trains them all the same.
                layer._non_trainable_weights.extend(layer._trainable_weights)
                layer._trainable_weights.clear()


def _train(model, recipe, steps, calibration, sensitivity):
    return Stage(
        keras, model, recipe.train_epochs, recipe.learning_rate, lambda: None
    )


def _prune(model, recipe, steps, calibration, sensitivity):
    wanted = densities(model, recipe, sensitivity)
    wrapped, callbacks = prune.wrap(
        model,
        wanted,
        steps(recipe.prune_epochs),
        recipe.prune_schedule,
        recipe.prune_rounds,
        recipe.prune_pattern,
    )
    schedule = "constant" if recipe.prune_pattern else recipe.prune_schedule
    return Stage(
        tf_keras,
        wrapped,
        recipe.prune_epochs,
        recipe.finetune_learning_rate,
        lambda: prune.finish(wrapped, wanted, model, recipe.prune_pattern),
        callbacks,
        lambda steps: prune.settled_after(schedule, steps, recipe.prune_rounds),
    )


def _densify(model, recipe, steps, calibration, sensitivity):
    with tf_keras_twin.generators():
        twin = tf_keras_twin.make_twin(model)
    return Stage(
        tf_keras,
        twin,
        recipe.densify_epochs,
        recipe.finetune_learning_rate / 2,
        lambda: tf_keras_twin.copy_weights(twin, model),
    )


def _cluster(model, recipe, steps, calibration, sensitivity):
    sizes = codebooks(model, recipe, sensitivity)
    wrapped = cluster.wrap(model, sizes, recipe.cluster_initialization)
    return Stage(
        tf_keras,
        wrapped,
        recipe.cluster_epochs,
        recipe.finetune_learning_rate / 2,
        lambda: cluster.finish(wrapped, sizes, model),
    )


def _quantize(model, recipe, steps, calibration, sensitivity):
    wrapped = quantize.wrap(
        model,
        quantize.measure_ranges(model, calibration),
        recipe.quantize_preserve,
    )
    return Stage(
        tf_keras,
        wrapped,
        recipe.quantize_epochs,
        recipe.finetune_learning_rate / 5,
        lambda: quantize.finish(wrapped, model, recipe.quantize_preserve),
        measures_trainee=True,
    )
