"""Single-file checkpoints of resumable runs.

A checkpoint is an .npz file and the SHA-256 digest of its bytes, so that a
damaged one is always refused.
"""

import hashlib
import io
import json
import pathlib
from typing import Any

import numpy as np

from keras_squeezenet.utils import files

DIGEST_BYTES = hashlib.sha256().digest_size


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
    file = io.BytesIO()
    np.savez(file, json=np.frombuffer(text.encode(), "uint8"), **arrays)
    content = file.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.new_file(path) as temporary:
        temporary.write_bytes(content + hashlib.sha256(content).digest())


def load(path: pathlib.Path, run: dict, kind: type) -> Any:
    """Read a state of this `kind` that `save` wrote.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if it is the checkpoint of another run, or damaged.
    """
    content = path.read_bytes()
    content, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError(
            f"{path} is damaged: its digest is not that of its content. Pass "
            "--overwrite (overwrite=True) to start again."
        )
    with np.load(io.BytesIO(content)) as file:
        found = json.loads(file["json"].tobytes())
        _require_same(found["run"], run, path.parent)
        with files.as_value_error(f"{path} is of another version"):
            return _read(file, found["state"], kind)


def _read(file, values, kind):
    state = kind(**values)
    for name in file.files:
        group, _, index = name.partition("/")
        if index:
            getattr(state, group).append((int(index), file[name]))
    for group in state.ARRAYS:
        pairs = sorted(getattr(state, group), key=lambda pair: pair[0])
        setattr(state, group, [array for _, array in pairs])
    return state


def _require_same(found, run, folder):
    for key, expected in json.loads(json.dumps(run)).items():
        before = found.get(key)
        if before != expected:
            raise ValueError(
                "a run must be resumed with the arguments that it was "
                f"started with. In {folder} {key} was {before}. "
                f"Received: {expected}"
            )
