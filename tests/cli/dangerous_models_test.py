"""Every command that takes a model refuses a dangerous one in a line."""

import importlib
import io
import os

import h5py
import numpy as np
import pytest
from keras_archives import WEIGHTS
from keras_archives import rewrite
from PIL import Image

COMMANDS = {
    "predict": ["photos", "--model=it.keras"],
    "embed": ["photos", "--model=it.keras", "--out=out.npz"],
    "evaluate": ["it.keras", "--dataset=photos"],
    "inspect": ["it.keras"],
    "compress": ["it.keras", "--dataset=photos", "--out=out"],
    "pack": ["it.keras", "--dataset=photos", "--out=out"],
    "sensitivity": ["it.keras", "--dataset=photos", "--out=out"],
    "train": ["--weights=it.keras", "--dataset=photos", "--out=out"],
    "finetune": ["--weights=it.keras", "--dataset=photos", "--out=out"],
    "weights": ["convert", "it.keras", "out.sqz"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_dangerous_model_is_refused(
    name, run_command, make_model, tmp_path, monkeypatch
):
    def read_elsewhere(config, members):
        file = io.BytesIO(members[WEIGHTS])
        with h5py.File(file, "a") as opened:
            variables = opened["layers/conv2d/vars"]
            shape = variables["0"].shape
            del variables["0"]
            variables.create_dataset(
                "0", shape, "<f4", external=[("/etc/passwd", 0, 2**20)]
            )
        members[WEIGHTS] = file.getvalue()

    monkeypatch.chdir(tmp_path)
    make_model().save("it.keras")
    rewrite("it.keras", read_elsewhere)
    for label in ("cat", "dog"):
        os.makedirs(f"photos/{label}")
        for index in range(10):
            pixels = np.random.default_rng(index).integers(0, 256, (16, 16, 3))
            image = Image.fromarray(pixels.astype("uint8"))
            image.save(f"photos/{label}/{index}.png")
    command = importlib.import_module(f"keras_squeezenet.cli.{name}")
    message = "^it.keras cannot be read as .* must be one piece of the file$"
    with pytest.raises(ValueError, match=message):
        run_command(command, *COMMANDS[name])
    assert not os.path.exists("out.sqz")
