"""The progress of a compression, which its checkpoint has."""

import dataclasses
from typing import Any
from typing import ClassVar

from keras_squeezenet.training import epochs


@dataclasses.dataclass
class State(epochs.State):
    """The progress of a run: finished stages, and the fit of the current one.

    `attempt` is how often the current stage has been relaxed, `chosen` what it
    has decided, and `seconds` the time of all its attempts. `stages` are rows
    of the report, that of the dense model first. `ranges` are activation
    ranges, if they are trained. `sensitivity` is a dict of
    `SensitivityResult`. `weights` are those before the current stage, of the
    layers in `description`, if they are not those of the dense model. `dense`
    are the weights before any compression. After packing, `packed` has the
    bytes of the .sqz file, and `packing` is a dict of its `PackResult`.
    """

    ARRAYS: ClassVar[tuple[str, ...]] = (
        *("weights", "dense", "packed"),
        *epochs.State.ARRAYS,
    )

    stage: int = 0
    attempt: int = 0
    chosen: Any = None
    seconds: float = 0.0
    stages: list = dataclasses.field(default_factory=list)
    ranges: dict | None = None
    sensitivity: dict | None = None
    description: dict | None = None
    packing: dict | None = None
    weights: list = dataclasses.field(default_factory=list)
    dense: list = dataclasses.field(default_factory=list)
    packed: list = dataclasses.field(default_factory=list)
