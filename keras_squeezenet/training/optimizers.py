"""Optimizers, learning-rate schedules, and models compiled with them."""

import functools
import math
import types
from typing import Any

import keras

from keras_squeezenet.training import distillation
from keras_squeezenet.training import objectives
from keras_squeezenet.training.training_recipe import Recipe

# Without a warm-up the loss of a SqueezeNet, which has no batch normalization,
# often stays at ln(classes).
WARMUP = 0.1
SHAPES = {
    "constant": lambda progress: keras.ops.ones_like(progress),
    "linear": lambda progress: 1 - progress,
    "cosine": lambda progress: (1 + keras.ops.cos(math.pi * progress)) / 2,
}


class Schedule:
    """A learning rate that rises linearly to its peak and then decays.

    A step is a batch: Keras counts batches, even with
    `gradient_accumulation_steps`. `shape` is a key of `SHAPES`.
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
    """Return a copy of a Functional model to train with a recipe.

    It computes in the recipe's precision, with float32 weights and outputs. The
    weight decay of SGD is added as L2 regularizers.
    """
    decay = recipe.weight_decay if recipe.optimizer == "sgd" else 0

    def copy(layer):
        config = layer.get_config()
        is_output = layer.name in model.output_names
        config["dtype"] = "float32" if is_output else recipe.precision
        for name in ("kernel_regularizer", "bias_regularizer"):
            if decay and name in config:
                # The gradient of this L2 is the decay times the weight.
                config[name] = keras.regularizers.L2(decay / 2)
        return type(layer).from_config(config)

    trainee = keras.models.clone_model(model, clone_function=copy)
    trainee.set_weights(model.get_weights())
    return trainee


def compile_for(
    recipe: Recipe,
    model: keras.Model,
    steps: int,
    objective: objectives.Objective | None = None,
) -> None:
    """Compile what `make_trainee` returned, for labels in rows.

    The `objective` defaults to that of the recipe, without weights of classes.
    With `recipe.distillation`, the labels are those of `Teacher.teach`.
    """
    objective = objective or objectives.Objective(
        recipe.label_smoothing, recipe.focal
    )
    arguments = objective.compiled(keras, model.output_shape[-1])
    if recipe.distillation:
        arguments = distillation.objective(
            recipe.distillation, recipe.temperature, objective.loss
        )
    optimizer = make_optimizer(recipe, steps)
    if recipe.precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model.compile(optimizer=optimizer, **arguments)
    # If the first step created the variables, it would be traced twice.
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
        # Keras averages after every batch, not after every update.
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
    objective: dict[str, Any] | None = None,
) -> None:
    """Compile a classifier of integer labels with Adam and a cosine decay.

    `namespace` is the module `keras` or `tf_keras` that made the model. A step
    at a learning rate of 1 would subtract the share `weight_decay` of every
    weight (AdamW). The `objective` has `loss` and `metrics` for other labels,
    as of `Objective.compiled`; it defaults to the cross-entropy of integers.
    """
    objective = objective or {
        "loss": "sparse_categorical_crossentropy",
        "metrics": ["accuracy"],
    }
    schedule = schedule_of(namespace)(learning_rate, steps, int(WARMUP * steps))
    model.compile(
        optimizer=namespace.optimizers.Adam(
            schedule, weight_decay=weight_decay
        ),
        **objective,
    )
