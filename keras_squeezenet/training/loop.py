"""Training epoch by epoch, the same in Keras 3 and in tf_keras."""

import contextlib
import math

import numpy as np

# The learning rate rises over this share of the steps. Without it a SqueezeNet,
# which has no batch normalization, often stays at a loss of ln(classes).
WARMUP_SHARE = 0.1


class NonFiniteLossError(RuntimeError):
    """The loss, or a weight, became NaN or infinite."""


def compile_classifier(
    namespace, model, steps, learning_rate, weight_decay=None
):
    """Compiles a classifier for Adam with a warm-up and a cosine decay.

    Args:
        namespace: the module `keras` or `tf_keras`, whichever made the model.
        model: `Model` from images to probabilities.
        steps: int, the number of training steps.
        learning_rate: float, at the end of the warm-up; it decays to 0.
        weight_decay: float, the share of every weight that a step at a
            learning rate of 1 would take away, apart from the gradient
            (AdamW). Defaults to `None`, no decay.
    """
    warmup_steps = int(steps * WARMUP_SHARE)
    schedule = namespace.optimizers.schedules.CosineDecay(
        learning_rate / (warmup_steps + 1),
        steps - warmup_steps,
        warmup_target=learning_rate,
        warmup_steps=warmup_steps,
    )
    model.compile(
        optimizer=namespace.optimizers.Adam(
            schedule, weight_decay=weight_decay
        ),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )


def epochs(
    namespace,
    model,
    batches,
    steps,
    epoch_steps,
    advance,
    callbacks=(),
    first_epoch=0,
    seed=0,
):
    """Trains a compiled classifier; yields after each epoch.

    What happens in an epoch depends on the model's and the optimizer's
    variables, the seed and the number of the epoch only: it can go on from
    any of them.

    Args:
        namespace: the module `keras` or `tf_keras`, whichever made the model.
        model: `Model`, compiled with the metric `accuracy`. Where its
            optimizer keeps averages of the weights, the model goes on with
            the weights themselves; `averaged` is for the averages.
        batches: function of an epoch's number to its batches of `(images,
            labels)`, at least `epoch_steps`.
        steps: int, the number of training steps.
        epoch_steps: int, the number of steps in an epoch.
        advance: function called after each step with the running means of
            `loss` and `accuracy` over the epoch.
        callbacks: list of callbacks of the same namespace.
        first_epoch: int, the epochs that are done already. Defaults to `0`.
        seed: int, of dropout. Defaults to `0`.

    Yields:
        A dict of the `epoch`, from 1, and its mean `loss` and `accuracy`.

    Raises:
        NonFiniteLossError: naming the epoch and the step.
    """
    done = first_epoch * epoch_steps

    def on_train_batch_end(batch, logs):
        nonlocal done
        done += 1
        if not math.isfinite(logs["loss"]):
            raise NonFiniteLossError(
                f"the loss became {logs['loss']} in epoch {epoch + 1} at step "
                f"{done} of {steps}. A lower learning rate is what usually "
                "helps."
            )
        advance(loss=logs["loss"], accuracy=logs["accuracy"])

    def on_epoch_end(epoch, logs):
        # `fit` ends with the averages for weights, where there are some.
        nonlocal weights
        weights = _copy(model.trainable_weights)

    weights = []
    watch = namespace.callbacks.LambdaCallback(
        on_train_batch_end=on_train_batch_end,
        on_epoch_end=on_epoch_end if _has_averages(model) else None,
    )
    for epoch in range(first_epoch, math.ceil(steps / epoch_steps)):
        _reseed(model, seed + epoch)
        history = model.fit(
            batches(epoch),
            steps_per_epoch=min(epoch_steps, steps - done),
            initial_epoch=epoch,
            epochs=epoch + 1,
            callbacks=[*callbacks, watch],
            shuffle=False,
            verbose=0,
        ).history
        _assign(model.trainable_weights[: len(weights)], weights)
        # A ReLU makes 0 of NaN: the loss need not show it.
        if not all(
            np.isfinite(array).all() for array in _copy(model.trainable_weights)
        ):
            raise NonFiniteLossError(
                f"weights became NaN in epoch {epoch + 1}, by step {done} of "
                f"{steps}. A lower learning rate is what usually helps."
            )
        yield {
            "epoch": epoch + 1,
            "loss": float(history["loss"][0]),
            "accuracy": float(history["accuracy"][0]),
        }


@contextlib.contextmanager
def averaged(model):
    """Has a model of Keras 3 compute with the averages of its weights.

    Where its optimizer keeps none, with the weights as they are.
    """
    if not _has_averages(model):
        yield
        return
    weights = _copy(model.trainable_weights)
    model.optimizer.finalize_variable_values(model.trainable_weights)
    try:
        yield
    finally:
        _assign(model.trainable_weights, weights)


def variables(model):
    """Returns the arrays of a compiled model and its optimizer, to `restore`.

    With them, its seed and the number of the epoch, `epochs` goes on.
    """
    return _copy([*model.weights, *model.optimizer.variables])


def restore(model, arrays):
    """Sets what `variables` returned."""
    if not getattr(model.optimizer, "built", False):
        model.optimizer.build(model.trainable_variables)
    _assign([*model.weights, *model.optimizer.variables], arrays)


def _has_averages(model):
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    return getattr(optimizer, "use_ema", False)


def _copy(variables):
    return [np.array(variable.numpy()) for variable in variables]


def _assign(variables, arrays):
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def _reseed(model, seed):
    """Has dropout draw as it would after a fresh start with this seed."""
    for layer in model.layers:
        layer = getattr(layer, "layer", layer)
        # Of Keras 3; of tf_keras, where its layers have generators.
        if hasattr(layer, "seed_generator"):
            layer.seed_generator.state.assign(np.array([seed, 0]))
        random = getattr(layer, "_random_generator", None)
        if getattr(random, "_generator", None) is not None:
            random._generator.reset_from_seed(seed)


def accuracy(predict, batches, advance):
    """Returns the share of images whose most probable class is their label.

    Args:
        predict: function from a batch of images to probabilities, both NumPy.
        batches: iterable of `(images, labels)`.
        advance: function called after each batch with the `accuracy` so far.
    """
    correct = total = 0
    for images, labels in batches:
        predicted = np.argmax(predict(np.asarray(images)), axis=-1)
        correct += int(np.sum(predicted == np.asarray(labels)))
        total += len(predicted)
        advance(accuracy=correct / total)
    return correct / total
