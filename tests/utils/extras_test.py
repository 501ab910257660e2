import importlib.metadata
import os
import subprocess
import sys

import pytest

from keras_squeezenet.utils import extras


@pytest.mark.parametrize(
    "package, extra",
    [("tf_keras", "compression"), ("mlxtend", "demo"), ("jinja2", "report")],
)
def test_missing_package_is_named_with_its_extra(package, extra):
    with pytest.raises(
        ModuleNotFoundError,
        match=rf"^{package} is not installed. Run: pip install "
        rf'"squeezenet-keras\[{extra}\]"$',
    ) as caught:
        with extras.named(), extras.named():
            raise ModuleNotFoundError(name=f"{package}.part")
    assert caught.value.name == f"{package}.part"


def test_other_missing_module_keeps_its_error():
    with pytest.raises(ModuleNotFoundError, match="^No module named 'nowhere'"):
        with extras.named():
            import nowhere  # noqa: F401


def test_public_name_without_a_backend_says_what_to_install(tmp_path):
    # Stands for an environment in which TensorFlow is not installed.
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nsys.modules['tensorflow'] = None\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", "from keras_squeezenet import SqueezeNet"],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "KERAS_BACKEND": "tensorflow",
            "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]),
        },
    )
    error = result.stderr.splitlines()[-1]
    assert error.startswith(
        "ModuleNotFoundError: tensorflow is not installed. Keras needs a "
        "backend: TensorFlow, or JAX or PyTorch"
    )
    assert error.endswith("Run: pip install tensorflow")


def test_extras_are_those_of_the_distribution():
    try:
        known = importlib.metadata.metadata("squeezenet-keras").get_all(
            "Provides-Extra"
        )
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the package is not installed")
    assert {*extras.EXTRAS.values()} - {None} <= {*known}
