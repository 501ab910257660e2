"""What is not installed, and how to install it."""

import contextlib
import importlib.util
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any

import lazy_loader

# The extra of `squeezenet-keras` that each optional package is in.
EXTRAS = {
    "ai_edge_litert": "compression",
    "huggingface_hub": "hub",
    "jax": "jax",
    "jinja2": "report",
    "matplotlib": "report",
    "mlxtend": "demo",
    "nncf": "openvino",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "openvino": "openvino",
    "tensorboard": "tensorboard",
    # The distribution depends on it, but may be installed without.
    "tensorflow": None,
    "tensorflow_datasets": "data",
    "tensorflow_model_optimization": "compression",
    "tf_keras": "compression",
    "torch": "torch",
}
RUN = ". Run: pip install"
BACKEND = (
    ". Keras needs a backend: TensorFlow, or JAX or PyTorch with "
    "KERAS_BACKEND=jax or KERAS_BACKEND=torch set; training, compression and "
    "packing need TensorFlow"
)


@contextlib.contextmanager
def named() -> Iterator[None]:
    """Name the extra to install where the body lacks an optional package."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS or RUN in str(error):
            raise
        raise _missing(package, f"{package} is", error.name) from error


def require(packages: Iterable[str], what: str) -> None:
    """Raise unless optional packages are installed; none is imported.

    Args:
        packages: keys of `EXTRAS`.
        what: needs them, and is the subject of the message.

    Raises:
        ModuleNotFoundError: if one is missing, naming the extra to install.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            subject = f"{what} needs {package}, which is"
            raise _missing(package, subject, package)


def _missing(package, subject, name):
    extra = EXTRAS[package]
    return ModuleNotFoundError(
        f"{subject} not installed"
        + (BACKEND if package == "tensorflow" else "")
        + f"{RUN} "
        + (f'"squeezenet-keras[{extra}]"' if extra else package),
        name=name,
    )


def attach_stub(
    package: str, file: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return `__getattr__`, `__dir__` and `__all__` of a lazy package.

    As `lazy_loader.attach_stub`, which reads the names from the `.pyi` file;
    an optional package that is missing is named together with its extra.
    """
    attached, dir_, all_ = lazy_loader.attach_stub(package, file)

    def getattr_(name: str) -> Any:
        with named():
            return attached(name)

    return getattr_, dir_, all_
