"""The training of a stage."""

from collections.abc import Callable
from typing import Any

import tf_keras

from keras_squeezenet.compression import tfmot
from keras_squeezenet.compression.run_images import RunImages
from keras_squeezenet.compression.run_state import State
from keras_squeezenet.compression.stages.stage import Stage
from keras_squeezenet.data.splits import Split
from keras_squeezenet.evaluation import labeled_outputs
from keras_squeezenet.training import epochs
from keras_squeezenet.training import optimizers
from keras_squeezenet.utils.progress import Progress


def fit(
    stage: Stage,
    images: RunImages,
    state: State,
    save: Callable[[], None],
    progress: Progress,
    callbacks: tuple = (),
) -> tuple[Any, float]:
    """Train a stage; return its trainee and the validation accuracy.

    Args:
        stage: it gets what it has chosen.
        images: those of the run.
        state: that of the run, whose fit is resumed.
        save: writes the checkpoint of the state.
        progress: what shows the progress.
        callbacks: further callbacks of Keras.
    """
    steps = stage.recipe.steps(stage.epochs, images.train.steps)
    trainee = _wrap(stage, images, state, save, progress, steps)
    if not steps:
        return trainee, measure_accuracy(trainee, images.validation, progress)
    untrained = None
    if stage.may_stay_untrained:
        accuracy = measure_accuracy(trainee, images.validation, progress)
        untrained = accuracy, trainee.get_weights()
    train = _compile(stage, trainee, images, steps)
    run = epochs.Fit(
        make=lambda restarts: trainee,
        train=train,
        steps=steps,
        measure=lambda trainee: measure_accuracy(trainee, images.validation),
        save=save,
        state=state,
        namespace=tf_keras,
        reseed=tfmot.reseed,
        seed=stage.recipe.seed,
        callbacks=(*stage.callbacks, *callbacks),
        settled=stage.settled_after(steps),
        progress=progress,
        name=stage.kind,
    )
    try:
        run.run()
    except epochs.NonFiniteLossError as error:
        raise epochs.NonFiniteLossError(f"{stage.kind}: {error}") from error
    assert state.best_accuracy is not None
    accuracy, weights = state.best_accuracy, state.best_weights
    if untrained and untrained[0] > accuracy:
        accuracy, weights = untrained
    trainee.set_weights(weights)
    return trainee, accuracy


def measure_accuracy(
    model: Any,
    split: Split,
    progress: Progress | None = None,
    task: str = "validate",
) -> float:
    """Return the accuracy of a model on a set.

    Args:
        model: a model of Keras or tf_keras.
        split: the set.
        progress: what shows the progress. Defaults to `None`: nothing does.
        task: the name of the task that it shows. Defaults to `"validate"`.
    """
    with (progress or Progress()).task(task, split.steps) as advance:
        return labeled_outputs.evaluate(
            model.predict_on_batch, split.batches(0), advance
        ).accuracy


def _wrap(stage, images, state, save, progress, steps):
    """Return the trainee of a stage, with what it decides before."""
    if state.chosen is None:
        state.chosen = stage.choose(images.calibration, progress)
        if state.chosen is not None:
            save()
    stage.chosen = state.chosen
    trainee = stage.wrap(steps, images.calibration)
    if steps:
        tfmot.freeze(trainee, stage.frozen)
    return trainee


def _compile(stage, trainee, images, steps):
    """Compile the trainee; return the training set as its loss takes it."""
    train, objective = images.learn(stage.recipe)
    optimizers.compile_classifier(
        tf_keras, trainee, steps, stage.learning_rate, objective=objective
    )
    return train
