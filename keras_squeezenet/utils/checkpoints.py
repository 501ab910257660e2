"""Single-file checkpoints of resumable runs."""

import json
import pathlib
import zipfile
from typing import Any

import numpy as np

from keras_squeezenet.utils import files


def save(path: pathlib.Path, state: Any, run: dict) -> None:
    """Write a state; after a kill at any moment the previous one is left.

    The state is a dataclass of JSON values, and of lists of arrays in the
    fields that its `ARRAYS` names. `run` has JSON values that identify the run.
    """
    values = vars(state).copy()
    arrays = {
        f"{group}/{index}": array
        for group in state.ARRAYS
        for index, array in enumerate(values.pop(group))
    }
    text = json.dumps({"run": run, "state": values})
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.new_file(path) as temporary:
        with open(temporary, "wb") as file:
            np.savez(file, json=np.frombuffer(text.encode(), "uint8"), **arrays)


def load(path: pathlib.Path, run: dict, kind: type) -> Any:
    """Read a state of this `kind` that `save` wrote.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if it is the checkpoint of another run, or damaged.
    """
    try:
        with np.load(path) as file:
            found = json.loads(file["json"].tobytes())
            state = kind(**found["state"])
            for name in file.files:
                group, _, index = name.partition("/")
                if index:
                    getattr(state, group).append((int(index), file[name]))
    # The zip archive, the JSON or their content may be damaged.
    except (
        zipfile.BadZipFile,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    for group in state.ARRAYS:
        pairs = sorted(getattr(state, group), key=lambda pair: pair[0])
        setattr(state, group, [array for _, array in pairs])
    for key, expected in json.loads(json.dumps(run)).items():
        before = found["run"].get(key)
        if before != expected:
            raise ValueError(
                "a run must be resumed with the arguments that it was "
                f"started with. In {path.parent} {key} was {before}. "
                f"Received: {expected}"
            )
    return state
