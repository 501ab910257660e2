"""What a run that was killed needs to go on, in one file."""

import dataclasses
import json
import zipfile

import numpy as np

from keras_squeezenet import outputs

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


ARRAYS = ("weights", "dense", "training", "best_weights")


def save(path, state, run):
    """Writes a state; a kill at any moment leaves the one before it.

    Args:
        path: path of the file.
        state: `State`.
        run: what identifies the run, as JSON has it.
    """
    values = vars(state).copy()
    arrays = {
        f"{group}/{index}": array
        for group in ARRAYS
        for index, array in enumerate(values.pop(group))
    }
    text = json.dumps({"run": run, "state": values})
    path.parent.mkdir(parents=True, exist_ok=True)
    with outputs.new_file(path) as temporary:
        with open(temporary, "wb") as file:
            np.savez(file, json=np.frombuffer(text.encode(), "uint8"), **arrays)


def load(path, run):
    """Reads a state that `save` wrote.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is of another run, or damaged.
    """
    try:
        with np.load(path) as file:
            found = json.loads(file["json"].tobytes())
            state = State(**found["state"])
            for name in file.files:
                group, _, index = name.partition("/")
                if index:
                    getattr(state, group).append((int(index), file[name]))
    # Of a zip archive, of JSON, and of what they hold.
    except (
        zipfile.BadZipFile,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    for group in ARRAYS:
        pairs = sorted(getattr(state, group), key=lambda pair: pair[0])
        setattr(state, group, [array for _, array in pairs])
    _require_same(found["run"], run, path)
    return state


def _require_same(found, expected, path):
    expected = json.loads(json.dumps(expected))
    for key in expected:
        if found.get(key) != expected[key]:
            raise ValueError(
                "a run is resumed with the arguments that it was begun with. "
                f"Of the one in {path.parent}, {key} was {found.get(key)}. "
                f"Received: {expected[key]}"
            )
