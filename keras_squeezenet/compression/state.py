"""What a run that was killed needs to go on."""

import dataclasses
from typing import ClassVar

FILE = ".unfinished.npz"


@dataclasses.dataclass
class State:
    """Where a run is.

    Args:
        stage: int, the index of the stage that is under way.
        attempt: int, how often it was begun again, more gently.
        seconds: float, what it has taken so far.
        history: list of a dict for each of its epochs.
        best: int, the best of these epochs, or `None`.
        stages: list of the reports of the stages before it.
        ranges: of the activations, if the last stage was quantization.
        sensitivity: the scan, once it was made.
        weights: arrays, the model's at the beginning of the stage.
        dense: arrays, the model's before any compression.
        training: arrays, of the model in training and its optimizer.
        best_weights: arrays, of the model in training at its best epoch.
    """

    ARRAYS: ClassVar = ("weights", "dense", "training", "best_weights")

    stage: int = 0
    attempt: int = 0
    seconds: float = 0.0
    history: list = dataclasses.field(default_factory=list)
    best: int | None = None
    stages: list = dataclasses.field(default_factory=list)
    ranges: dict | None = None
    sensitivity: dict | None = None
    weights: list = dataclasses.field(default_factory=list)
    dense: list = dataclasses.field(default_factory=list)
    training: list = dataclasses.field(default_factory=list)
    best_weights: list = dataclasses.field(default_factory=list)
