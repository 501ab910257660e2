import os
import subprocess
import sys

import pytest

from keras_squeezenet import data


@pytest.mark.parametrize("image_size", [0, -1, 32.0, "32"])
def test_image_size_should_be_a_positive_integer(image_size):
    with pytest.raises(
        ValueError,
        match=f"positive integer, or `None`.*image_size={image_size!r}",
    ):
        data.load("mnist5k", image_size=image_size)


def test_import_leaves_optional_packages_alone():
    code = (
        "import sys; from keras_squeezenet import data; "
        "print([m for m in ('tensorflow_datasets', 'mlxtend') "
        "if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert result.stdout.strip() == "[]"
