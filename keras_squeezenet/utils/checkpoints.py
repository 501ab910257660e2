"""Where long work is, in one file, for a run that was killed to go on."""

import json
import zipfile

import numpy as np

from keras_squeezenet.utils import files


def save(path, state, run):
    """Writes a state; a kill at any moment leaves the one before it.

    Args:
        path: path of the file.
        state: dataclass of what JSON has, and of lists of arrays in the
            fields that its `ARRAYS` names.
        run: what identifies the run, as JSON has it.
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


def load(path, run, kind):
    """Reads a state that `save` wrote.

    Args:
        path: path of the file.
        run: what identifies the run, as `save` got it.
        kind: the class of the state.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is of another run, or damaged.
    """
    try:
        with np.load(path) as file:
            found = json.loads(file["json"].tobytes())
            state = kind(**found["state"])
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
    for group in state.ARRAYS:
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
