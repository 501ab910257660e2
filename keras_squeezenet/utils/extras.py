"""What is not installed, and how to install it."""

import contextlib
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import lazy_loader

# The extra of `squeezenet-keras` that each optional package is in.
EXTRAS = {
    "ai_edge_litert": "compression",
    "jax": "jax",
    "jinja2": "report",
    "matplotlib": "report",
    "mlxtend": "demo",
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
        extra = EXTRAS[package]
        raise ModuleNotFoundError(
            f"{package} is not installed"
            + (BACKEND if package == "tensorflow" else "")
            + f"{RUN} "
            + (f'"squeezenet-keras[{extra}]"' if extra else package),
            name=error.name,
        ) from error


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
