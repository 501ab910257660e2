"""The program of docs/deployment.md runs without TensorFlow and Keras."""

import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from keras_squeezenet import classifier
from keras_squeezenet import imagenet
from keras_squeezenet import models
from keras_squeezenet.export import litert
from keras_squeezenet.export import photograph_input

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "deployment.md"
WEIGHTS = "squeezenet_v1.1_caffe_fp32trunk_fp16conv10.npz"
BLOCKED = """
import sys
for name in ("keras", "keras_squeezenet", "tensorflow", "tf_keras"):
    sys.modules[name] = None
"""


def program():
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (found,) = (block for block in blocks if "zipfile" in block)
    return found


def test_program_has_ten_lines():
    lines = [line for line in program().splitlines() if line]
    statements = [line for line in lines if not line.startswith(("#", "FILE"))]
    imports = [line for line in lines if re.match("import|from", line)]
    assert len(statements) - len(imports) == 10


@pytest.mark.end_to_end
@pytest.mark.slow
def test_program_prints_the_classes_of_keras(
    shared_data, photographs, tmp_path
):
    model = models.load(
        shared_data / "weights" / WEIGHTS, normalization="squeezenet"
    )
    network = classifier.load(model)
    file = tmp_path / "model.tflite"
    litert.write_litert(photograph_input.photograph_input(model), file)
    chosen = photographs[::125]
    squares = np.stack([network.read(path) for path in chosen])
    for path, row in zip(chosen, network.predict(squares)):
        code = BLOCKED + program()
        for old, new in (
            ("imagenet_litert/model.tflite", file),
            ("photos/elephant.jpg", path),
        ):
            assert old in code
            code = code.replace(old, str(new))
        ended = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True
        )
        assert ended.returncode == 0, ended.stderr
        lines = [line.split() for line in ended.stdout.splitlines()]
        best = imagenet.best(row, 5)
        assert [label for _, label in lines] == [
            network.class_of(index)[1] for index in best
        ]
        shares = [float(share.rstrip("%")) / 100 for share, _ in lines]
        np.testing.assert_allclose(shares, row[best], atol=1e-3)
