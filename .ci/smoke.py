"""Check an installed wheel, without TensorFlow, from outside a checkout."""

import importlib.metadata
import importlib.resources
import re
import subprocess
import sys

import numpy as np

import keras_squeezenet
from keras_squeezenet import SqueezeNet

files = importlib.resources.files("keras_squeezenet")
assert "site-packages" in str(files), files
assert importlib.metadata.version("squeezenet-keras") == (
    keras_squeezenet.__version__
)
description = importlib.metadata.metadata("squeezenet-keras").get_payload()
links = re.findall(r"\]\((.*?)\)", description)
assert links and all(link.startswith("https://") for link in links), links
for path in (
    "__init__.pyi",
    "imagenet_classes.tsv",
    "py.typed",
    "report/report.html.jinja",
    "report/schema.json",
    "weights/squeezenet_1.1_cifar10.sqz",
):
    assert files.joinpath(*path.split("/")).is_file(), path

model = SqueezeNet(weights="cifar10", input_shape=(32, 32, 3), classes=10)
probabilities = model.predict(np.zeros((2, 32, 32, 3)), verbose=0)
assert probabilities.shape == (2, 10)
assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)

try:
    from keras_squeezenet.compression import compress  # noqa: F401
except ModuleNotFoundError as error:
    assert "Run: pip install" in str(error), error
else:
    raise AssertionError("this environment has what compression needs")

command = sys.executable.replace("python", "keras-squeezenet")
shown = subprocess.run(
    [command, "weights", "list"], capture_output=True, text=True, check=True
)
assert "imagenet" in shown.stdout
print("the wheel works")
