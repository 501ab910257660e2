"""Training for a number of steps, the same in Keras 3 and in tf_keras."""

import itertools
import math

import numpy as np

# The learning rate rises over this share of the steps. Without it a SqueezeNet,
# which has no batch normalization, often stays at a loss of ln(classes).
WARMUP_SHARE = 0.1


class NonFiniteLossError(RuntimeError):
    """The loss became NaN or infinite."""


def train(
    namespace,
    model,
    batches,
    steps,
    epoch_steps,
    learning_rate,
    advance,
    callbacks=(),
):
    """Trains a classifier with Adam, a warm-up and a cosine decay.

    Args:
        namespace: the module `keras` or `tf_keras`, whichever made the model.
        model: `Model` from images to probabilities. It is compiled here.
        batches: infinite `tf.data.Dataset` of `(images, labels)`.
        steps: int, the number of training steps.
        epoch_steps: int, the number of steps in an epoch.
        learning_rate: float, at the end of the warm-up; it decays to 0.
        advance: function called after each step with the running means of
            `loss` and `accuracy` over the epoch.
        callbacks: list of callbacks of the same namespace.

    Raises:
        NonFiniteLossError: naming the step.
    """
    warmup_steps = int(steps * WARMUP_SHARE)
    schedule = namespace.optimizers.schedules.CosineDecay(
        learning_rate / (warmup_steps + 1),
        steps - warmup_steps,
        warmup_target=learning_rate,
        warmup_steps=warmup_steps,
    )
    model.compile(
        optimizer=namespace.optimizers.Adam(schedule),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    done = itertools.count(1)

    def on_train_batch_end(batch, logs):
        step = next(done)
        if not math.isfinite(logs["loss"]):
            raise NonFiniteLossError(
                f"the loss became {logs['loss']} at step {step} of {steps}. "
                "A lower learning rate is what usually helps. Received: "
                f"learning_rate={learning_rate}"
            )
        advance(loss=logs["loss"], accuracy=logs["accuracy"])
        # The last epoch may be a part of one.
        if step == steps:
            model.stop_training = True

    model.fit(
        batches,
        steps_per_epoch=epoch_steps,
        epochs=math.ceil(steps / epoch_steps),
        callbacks=[
            *callbacks,
            namespace.callbacks.LambdaCallback(
                on_train_batch_end=on_train_batch_end
            ),
        ],
        shuffle=False,
        verbose=0,
    )


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
