"""The optimizer and the learning rate of a recipe, and models compiled so."""

import functools
import math
import types
from typing import Any

import keras

from keras_squeezenet.training.training_recipe import Recipe

# Without a warm-up a SqueezeNet, which has no batch normalization, often stays
# at a loss of ln(classes).
WARMUP = 0.1
SHAPES = {
    "constant": lambda progress: keras.ops.ones_like(progress),
    "linear": lambda progress: 1 - progress,
    "cosine": lambda progress: (1 + keras.ops.cos(math.pi * progress)) / 2,
}


class Schedule:
    """A learning rate that rises linearly to its peak and then falls to 0.

    Keras counts batches, even with `gradient_accumulation_steps`.

    Args:
        peak: float.
        steps: int, the number of batches.
        warmup_steps: int, the number of batches in which the rate rises.
            Defaults to `0`.
        shape: a key of `SHAPES`. Defaults to `"cosine"`.
    """

    def __init__(self, peak, steps, warmup_steps=0, shape="cosine"):
        self.peak = peak
        self.steps = steps
        self.warmup_steps = warmup_steps
        self.shape = shape

    def __call__(self, step):
        step = keras.ops.cast(step, "float32")
        rise = (step + 1) / (self.warmup_steps + 1)
        progress = (step - self.warmup_steps) / (self.steps - self.warmup_steps)
        fall = SHAPES[self.shape](keras.ops.clip(progress, 0.0, 1.0))
        return self.peak * keras.ops.minimum(rise, 1.0) * fall

    def get_config(self):
        return vars(self).copy()


@functools.cache
def schedule_of(namespace: types.ModuleType) -> type:
    """Return the class of `Schedule` for `keras` or `tf_keras`."""
    base = namespace.optimizers.schedules.LearningRateSchedule
    return type("Schedule", (Schedule, base), {})


def make_trainee(model: keras.Model, recipe: Recipe) -> keras.Model:
    """Return a copy of a model to be trained by a recipe.

    It computes in the precision of the recipe, with float32 weights and
    outputs, and has the weight decay of SGD as regularizers.

    Args:
        model: `keras.Model`, Functional.
        recipe: `Recipe`.
    """
    decay = recipe.weight_decay if recipe.optimizer == "sgd" else 0

    def copy(layer):
        config = layer.get_config()
        if layer.name not in model.output_names:
            config["dtype"] = recipe.precision
        for name in ("kernel_regularizer", "bias_regularizer"):
            if decay and name in config:
                # Its gradient is the decay times the weight.
                config[name] = keras.regularizers.L2(decay / 2)
        return type(layer).from_config(config)

    trainee = keras.models.clone_model(model, clone_function=copy)
    trainee.set_weights(model.get_weights())
    return trainee


def compile_for(recipe: Recipe, model: keras.Model, steps: int) -> None:
    """Compile what `make_trainee` returned, for one-hot labels.

    Args:
        recipe: `Recipe`.
        model: `keras.Model` from images to probabilities.
        steps: int, the number of batches.
    """
    optimizer = make_optimizer(recipe, steps)
    if recipe.precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.CategoricalCrossentropy(
            label_smoothing=recipe.label_smoothing
        ),
        metrics=["accuracy"],
    )
    # Otherwise TensorFlow traces a step twice, to create the variables.
    optimizer.build(model.trainable_variables)


def make_optimizer(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    """Return the optimizer of a recipe for a number of batches."""
    options = {
        "learning_rate": schedule_of(keras)(
            recipe.learning_rate,
            steps,
            int(recipe.warmup * steps),
            recipe.schedule,
        ),
        "global_clipnorm": recipe.clip_norm or None,
    }
    if recipe.accumulation > 1:
        options["gradient_accumulation_steps"] = recipe.accumulation
    if recipe.average:
        # Keras averages after each batch, and the recipe after each update.
        options["use_ema"] = True
        options["ema_momentum"] = recipe.average ** (1 / recipe.accumulation)
    if recipe.optimizer == "sgd":
        return keras.optimizers.SGD(momentum=float(recipe.momentum), **options)
    return keras.optimizers.AdamW(weight_decay=recipe.weight_decay, **options)


def compile_classifier(
    namespace: types.ModuleType,
    model: Any,
    steps: int,
    learning_rate: float,
    weight_decay: float | None = None,
) -> None:
    """Compile a classifier of integer labels for Adam and a cosine decay.

    Args:
        namespace: the module `keras` or `tf_keras`, whichever made the model.
        model: `Model` from images to probabilities.
        steps: int, the number of training steps.
        learning_rate: float, at the end of the warm-up; it decays to 0.
        weight_decay: float, the share of every weight that a step at a
            learning rate of 1 would subtract (AdamW). Defaults to `None`, no
            decay.
    """
    schedule = schedule_of(namespace)(learning_rate, steps, int(WARMUP * steps))
    model.compile(
        optimizer=namespace.optimizers.Adam(
            schedule, weight_decay=weight_decay
        ),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
