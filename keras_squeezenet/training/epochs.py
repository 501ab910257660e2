"""A resumable fit, epoch by epoch, in Keras 3 and in tf_keras.

Its state is saved after every epoch, and within one that takes long.
"""

import contextlib
import dataclasses
import logging
import math
import time
import types
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any
from typing import ClassVar

import keras
import numpy as np

from keras_squeezenet.data import splits
from keras_squeezenet.training import running
from keras_squeezenet.utils.progress import Progress

# A fit is stuck if, after this share of the steps and this number of updates,
# its loss is above this share of a random guess's, and its accuracy below this
# multiple of a random guess's: a few outliers may cause a high loss alone.
STUCK_AFTER = 0.2
STUCK_UPDATES = 300
STUCK_LOSS = 0.99
STUCK_ACCURACY = 1.5

# How long a fit trains at most before it saves its state, within an epoch too.
SAVE_SECONDS = 600

# What a fit measures in an epoch. The cross-entropy with the labels is apart
# where the loss is not that, but for weight decay.
MEASURED = ("loss", "cross_entropy", "accuracy")

logger = logging.getLogger(__name__)


class NonFiniteLossError(RuntimeError):
    """The loss, or a weight, became NaN or infinite."""


@dataclasses.dataclass
class State:
    """The progress of a fit, and everything needed to resume it.

    `history` has a dict for each epoch since the last restart, and `best` is
    the index of the best epoch. `training` is what `variables` returned;
    `best_weights` are the weights of the model at its best epoch.

    Within an epoch, `step` is the number of its finished steps, `step_seconds`
    their time, and `running` are what `running.Running` reads.
    """

    ARRAYS: ClassVar[tuple[str, ...]] = ("training", "best_weights", "running")

    restarts: int = 0
    history: list = dataclasses.field(default_factory=list)
    best: int | None = None
    step: int = 0
    step_seconds: float = 0.0
    training: list = dataclasses.field(default_factory=list)
    best_weights: list = dataclasses.field(default_factory=list)
    running: list = dataclasses.field(default_factory=list)

    @property
    def best_accuracy(self) -> float | None:
        """The validation accuracy of the best epoch, if there is one."""
        if self.best is None:
            return None
        return self.history[self.best]["validation_accuracy"]

    @property
    def epoch_seconds(self) -> float:
        """The time of all epochs since the last restart."""
        return sum(epoch["seconds"] for epoch in self.history)

    def add(
        self, epoch: dict, weights: list, is_candidate: bool = True
    ) -> None:
        """Add an epoch, and keep its weights if no earlier epoch is better."""
        best = self.best_accuracy
        self.history.append(epoch)
        self.step, self.step_seconds, self.running = 0, 0.0, []
        # At equal accuracy the later epoch, which trained longer, is kept.
        is_best = best is None or epoch["validation_accuracy"] >= best
        if is_candidate and is_best:
            self.best = len(self.history) - 1
            self.best_weights = weights

    def clear(self):
        self.history, self.best = [], None
        self.step, self.step_seconds = 0, 0.0
        self.training, self.best_weights, self.running = [], [], []


@dataclasses.dataclass(frozen=True)
class Plateau:
    """The plateau at the loss of a random guess, and the restarts from it.

    `restarts` is how often a stuck fit may restart, `loss` and `accuracy` are
    those of a random guess, and `accumulation` is the number of steps that make
    an update of the weights.
    """

    restarts: int
    loss: float
    accuracy: float
    accumulation: int = 1

    def holds(
        self, state: State, done: int, steps: int, penalty: float
    ) -> bool:
        """Return whether a fit is stuck after `done` steps and may restart.

        `penalty` is the part of the loss that comes from weight decay.
        """
        enough = max(STUCK_AFTER * steps, STUCK_UPDATES * self.accumulation)
        if done < enough or state.restarts >= self.restarts:
            return False
        epoch = state.history[-1]
        is_guess = epoch["accuracy"] < STUCK_ACCURACY * self.accuracy
        loss = epoch.get("cross_entropy", epoch["loss"] - penalty)
        return is_guess and loss > STUCK_LOSS * self.loss


def reseed(model: Any, seed: int) -> list[Any]:
    """Reset the random draws of a Keras 3 model to the first ones of a seed.

    They are the masks of dropout, and what layers of augmentation draw.

    Returns:
        The variables that choose them.
    """
    measured = [
        variable for each in model.metrics for variable in each.variables
    ]
    others = {id(variable) for variable in [*model.weights, *measured]}
    states = [
        variable for variable in model.variables if id(variable) not in others
    ]
    for state in states:
        state.assign(np.array([seed, 0]))
    return states


@dataclasses.dataclass(kw_only=True)
class Fit:
    """The fit of a classifier, epoch by epoch, from any state.

    What happens in a step depends only on the variables of the model and its
    optimizer, the seed, and the numbers of the epoch and the step. A fit that
    was killed and resumed therefore ends with the same weights, bit for bit, as
    one that was never interrupted.

    Args:
        make: function of the number of restarts to a model that is compiled
            with the metric `accuracy`, and `cross_entropy` if the loss has
            other parts, and has its initial weights.
        measure: function of the model to its validation accuracy. If the
            optimizer averages the weights, the model has the averages.
        save: function without arguments that writes the state; it is called
            after each epoch and each restart, and every `SAVE_SECONDS` within
            an epoch.
        namespace: the module `keras` or `tf_keras`, whichever makes the model.
        reseed: function of the model and a seed that resets its random draws
            and returns the variables of that.
        settled: the step from which an epoch may be the best one.
        patience: the number of epochs without a better one after which the fit
            ends, or `None`.
    """

    make: Callable[[int], Any]
    train: splits.Split
    steps: int
    measure: Callable[[Any], float]
    save: Callable[[], None]
    state: State = dataclasses.field(default_factory=State)
    namespace: types.ModuleType = keras
    reseed: Callable[[Any, int], list[Any]] = reseed
    seed: int = 0
    callbacks: tuple = ()
    settled: int = 0
    patience: int | None = None
    plateau: Plateau | None = None
    progress: Progress = dataclasses.field(default_factory=Progress)
    name: str = ""

    @property
    def epochs(self) -> int:
        """The number of epochs; the last one may be shorter."""
        return math.ceil(self.steps / self.train.steps)

    @property
    def done(self) -> int:
        """The number of steps of finished epochs."""
        return min(len(self.state.history) * self.train.steps, self.steps)

    def run(self) -> Any:
        """Train the remaining epochs and return the model."""
        model = self._begin()
        while not self._is_over():
            if self._is_stuck(model):
                model = self._restart()
            else:
                self._train_epoch(model)
        return model

    def _begin(self):
        model = self.make(self.state.restarts)
        if self.state.training:
            restore(model, self.state.training)
        return model

    def _is_over(self):
        if self.done == self.steps:
            return True
        if self.patience is None or self.state.best is None:
            return False
        return len(self.state.history) - 1 - self.state.best >= self.patience

    def _is_stuck(self, model):
        if self.plateau is None:
            return False
        penalty = sum(map(float, model.losses))
        return self.plateau.holds(self.state, self.done, self.steps, penalty)

    def _restart(self):
        logger.warning(
            "After epoch %d the loss is still that of a random guess (%.3f). "
            "Training restarts at half the learning rate.",
            len(self.state.history),
            self.state.history[-1]["loss"],
        )
        self.state.restarts += 1
        self.state.clear()
        self.save()
        return self._begin()

    def _train_epoch(self, model):
        epoch = _Epoch(self, model)
        with self.progress.task(self._task(), epoch.left + 1) as advance:
            means = epoch.run(advance)
            seconds = round(epoch.seconds, 3)
            with averaged(model):
                accuracy = self.measure(model)
                weights = model.get_weights()
            means |= {
                "validation_accuracy": accuracy,
                "steps": epoch.steps,
                "seconds": seconds,
            }
            is_candidate = self.done + epoch.steps >= self.settled
            self.state.add(means, weights, is_candidate)
            self.state.training = variables(model)
            advance(loss=means["loss"], validation=accuracy)
            self.save()

    def _task(self):
        restarts = self.state.restarts
        attempt = f"try {restarts + 1}," if restarts else ""
        epoch = f"epoch {len(self.state.history) + 1}/{self.epochs}"
        return " ".join(filter(None, [self.name, attempt, epoch]))


class _Epoch:
    """An epoch of a fit, from the step at which its state was saved."""

    def __init__(self, fit: Fit, model: Any):
        self.fit = fit
        self.model = model
        self.number = len(fit.state.history)
        self.start = fit.state.step
        self.steps = min(fit.train.steps, fit.steps - fit.done)
        self._started = time.monotonic() - fit.state.step_seconds
        self._saved = time.monotonic()
        self._weights: list[np.ndarray] = []
        self._running = running.Running(
            model, fit.reseed(model, fit.seed + self.number)
        )

    @property
    def left(self) -> int:
        """The number of steps that are not finished."""
        return self.steps - self.start

    @property
    def seconds(self) -> float:
        """The time that the epoch has taken."""
        return time.monotonic() - self._started

    def run(self, advance: Callable) -> dict:
        """Train the rest of the epoch; return its number and its means."""
        fit, model = self.fit, self.model
        if self.start:
            self._running.restore_draws(fit.state.running)

        def on_train_batch_end(batch, logs):
            self._require_finite(batch, logs["loss"])
            if self.start and not batch:
                self._running.add_metrics(fit.state.running)
            advance(loss=logs["loss"], accuracy=logs["accuracy"])
            self._save_if_due(self.start + batch + 1)

        def on_epoch_end(epoch, logs):
            # At its end `fit` replaces the weights by their averages.
            self._weights = running.arrays(model.trainable_weights)

        watch = fit.namespace.callbacks.LambdaCallback(
            on_train_batch_end=on_train_batch_end,
            on_epoch_end=on_epoch_end if _has_averages(model) else None,
        )
        history = model.fit(
            fit.train.batches(self.number, self.start),
            steps_per_epoch=self.left,
            initial_epoch=self.number,
            epochs=self.number + 1,
            callbacks=[*fit.callbacks, watch],
            shuffle=False,
            verbose=0,
        ).history
        _assign(model.trainable_weights[: len(self._weights)], self._weights)
        self._require_finite_weights()
        return {
            "epoch": self.number + 1,
            **{
                name: float(history[name][0])
                for name in MEASURED
                if name in history
            },
        }

    def _require_finite(self, batch, loss):
        if not math.isfinite(loss):
            raise NonFiniteLossError(
                f"the loss became {loss} in epoch {self.number + 1} at step "
                f"{self.fit.done + self.start + batch + 1} of "
                f"{self.fit.steps}. Try a lower learning rate."
            )

    def _require_finite_weights(self):
        # The loss need not show NaN in the weights: a ReLU turns it into 0.
        weights = running.arrays(self.model.trainable_weights)
        if not all(np.isfinite(array).all() for array in weights):
            raise NonFiniteLossError(
                f"weights became NaN in epoch {self.number + 1}, by step "
                f"{self.fit.done + self.steps} of {self.fit.steps}. Try a "
                "lower learning rate."
            )

    def _save_if_due(self, step):
        # With one step left, tf_keras would not see the metrics that a resumed
        # epoch adds after its first step.
        if step >= self.steps - 1:
            return
        if time.monotonic() - self._saved < SAVE_SECONDS:
            return
        state = self.fit.state
        state.step, state.step_seconds = step, self.seconds
        state.training = variables(self.model)
        state.running = self._running.read()
        self.fit.save()
        self._saved = time.monotonic()


def identify(
    recipe: Any, dataset: dict, model: keras.Model, teacher: Any = None
) -> dict:
    """Return what a run and its checkpoint must have in common.

    `teacher` is the `distillation.Teacher`, if there is one.
    """
    fields = dataclasses.asdict(recipe).items()
    return {
        **{f"recipe.{name}": value for name, value in fields},
        "dataset": dataset,
        "model": model.name,
        "parameters": model.count_params(),
        "teacher": teacher and teacher.digest,
    }


@contextlib.contextmanager
def averaged(model: Any) -> Iterator[None]:
    """Give a model the averages of its weights, if its optimizer has any."""
    if not _has_averages(model):
        yield
        return
    weights = running.arrays(model.trainable_weights)
    model.optimizer.finalize_variable_values(model.trainable_weights)
    try:
        yield
    finally:
        _assign(model.trainable_weights, weights)


def variables(model: Any) -> list[np.ndarray]:
    """Return the arrays of a compiled model and its optimizer."""
    return running.arrays([*model.weights, *model.optimizer.variables])


def restore(model: Any, arrays: list[np.ndarray]) -> None:
    """Assign the arrays that `variables` returned."""
    if not getattr(model.optimizer, "built", False):
        model.optimizer.build(model.trainable_variables)
    _assign([*model.weights, *model.optimizer.variables], arrays)


def has_weights(model: keras.Model, arrays: list[np.ndarray]) -> bool:
    """Return whether the weights of a model are these arrays, bit for bit."""
    weights = model.get_weights()
    return len(weights) == len(arrays) and all(
        map(np.array_equal, weights, arrays)
    )


def _has_averages(model):
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    return getattr(optimizer, "use_ema", False)


def _assign(variables, arrays):
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
