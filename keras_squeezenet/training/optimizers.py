"""A recipe's optimizer, learning rate and loss, and a model compiled so."""

import math

import keras

SHAPES = {
    "constant": lambda progress: keras.ops.ones_like(progress),
    "linear": lambda progress: 1 - progress,
    "cosine": lambda progress: (1 + keras.ops.cos(math.pi * progress)) / 2,
}


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises to its peak and then falls to 0.

    Keras counts the batches here, with `gradient_accumulation_steps` too.

    Args:
        peak: float.
        steps: int, the number of batches.
        warmup_steps: int, how many of them the rate rises in. Defaults to
            `0`.
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
        return {
            "peak": self.peak,
            "steps": self.steps,
            "warmup_steps": self.warmup_steps,
            "shape": self.shape,
        }


def make_trainee(model, precision="float32"):
    """Returns a copy of a model that computes in a precision.

    Its weights are float32, and so are its outputs.

    Args:
        model: `keras.Model`, Functional.
        precision: name of a `keras.dtype_policies.DTypePolicy`. Defaults to
            `"float32"`.
    """
    outputs = {tensor._keras_history.operation for tensor in model.outputs}

    def copy(layer):
        config = layer.get_config()
        if layer not in outputs:
            config["dtype"] = precision
        return type(layer).from_config(config)

    trainee = keras.models.clone_model(model, clone_function=copy)
    trainee.set_weights(model.get_weights())
    return trainee


def compile_for(recipe, model, steps):
    """Compiles a classifier for a recipe.

    Args:
        recipe: `Recipe`.
        model: `keras.Model` from images to probabilities. With `"sgd"` its
            weights get a regularizer, which is not saved with it.
        steps: int, the number of batches.
    """
    optimizer = make_optimizer(recipe, steps)
    if recipe.precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    if recipe.optimizer == "sgd" and recipe.weight_decay:
        for variable in model.trainable_weights:
            # Whose gradient is the decay times the weight.
            variable.regularizer = keras.regularizers.L2(
                recipe.weight_decay / 2
            )
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.CategoricalCrossentropy(
            label_smoothing=recipe.label_smoothing
        ),
        metrics=["accuracy"],
    )
    # TensorFlow would trace a step twice if that made the variables.
    optimizer.build(model.trainable_variables)


def make_optimizer(recipe, steps):
    """Returns the optimizer of a recipe for a number of batches."""
    options = {
        "learning_rate": Schedule(
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
