"""A web page that classifies photographs in the browser, without a server.

The page decodes a .sqz file in JavaScript, and runs the network with
TensorFlow.js. `web/` has its files.
"""

import base64
import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import zlib
from collections.abc import Callable

import keras
import numpy as np

from keras_squeezenet import codec
from keras_squeezenet import metadata
from keras_squeezenet.codec import header_text
from keras_squeezenet.data import image_squares

STATIC = pathlib.Path(__file__).with_name("web")
SQZ_FILE = "model.sqz"
SETTINGS_FILE = "page.json"
# The public address of the files of npm packages.
CDN = "https://cdn.jsdelivr.net/npm"
RUNTIME_VERSION = "4.22.0"
CORE, BACKEND = "@tensorflow/tfjs-core", "@tensorflow/tfjs-backend-wasm"
INSTALL = f"npm install {CORE}@{RUNTIME_VERSION} {BACKEND}@{RUNTIME_VERSION}"


@dataclasses.dataclass(frozen=True)
class RuntimeFile:
    """A file of TensorFlow.js: its npm package and its path there.

    `digest` is its SHA-384 digest in base64.
    """

    package: str
    path: str
    bytes: int
    digest: str

    @property
    def package_path(self) -> str:
        return f"{self.package}/{self.path}"

    @property
    def public_url(self) -> str:
        return f"{CDN}/{self.package}@{RUNTIME_VERSION}/{self.path}"

    @property
    def local_url(self) -> str:
        return f"runtime/{pathlib.PurePosixPath(self.path).name}"


RUNTIME_FILES = {
    "core": RuntimeFile(
        CORE,
        "dist/tf-core.es2017.min.js",
        255_317,
        "pwFlZMvh0feP+i0lcqJy+EGMsa8y8MInwWkUgARHZEHUGyTNqxnqfi38fzMU994Z",
    ),
    "backend": RuntimeFile(
        BACKEND,
        "dist/tf-backend-wasm.es2017.min.js",
        144_402,
        "SqoVPLooc7QMMmp0JuPMz9M6JqkYFd7wX08paKmclTcGS/36X7RY+hbkK7Big30W",
    ),
    "wasm": RuntimeFile(
        BACKEND,
        "dist/tfjs-backend-wasm-simd.wasm",
        424_594,
        "K3GxiUF8sNsf8m8ZYuEKWXFARCxCn0erZqbTdbYOpxeDRf0k+CWFF5gZ3xbW4cez",
    ),
}


def write_web(
    model: keras.Model,
    path: str | os.PathLike,
    calibration: np.ndarray | None = None,
    *,
    sqz: str | os.PathLike | None = None,
    runtime: str | os.PathLike | None = None,
) -> None:
    """Write a folder with a page that classifies photographs.

    Any static server serves it. The network is in `model.sqz`, which is small
    if the weights are packed or compressed before.

    Args:
        model: a classifier of square images, flat and Functional, with its
            `metadata`.
        path: the folder to write, which must not exist.
        calibration: not used; see `formats.Format`.
        sqz: a .sqz file of the same network, which is copied. Defaults to
            `None`: the model is encoded without loss.
        runtime: the folder in which `npm install` has installed TensorFlow.js,
            whose files are copied. Defaults to `None`: the page loads them from
            `CDN`. Either way the browser checks their digests.

    Raises:
        OSError: if a file is missing.
        ValueError: if the files of TensorFlow.js are not those of
            `RUNTIME_VERSION`, `codec.dump` does not support the model, or it is
            not a classifier of square images.
    """
    del calibration
    settings = _describe(model)
    sources = find_runtime(runtime) if runtime else {}
    content = pathlib.Path(sqz).read_bytes() if sqz else codec.dump(model)
    path = pathlib.Path(path)
    path.mkdir(parents=True)
    write_modules(path)
    (path / SQZ_FILE).write_bytes(content)
    for name, source in sources.items():
        target = path / RUNTIME_FILES[name].local_url
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(source, target)
    settings["network"] = {"url": SQZ_FILE, "bytes": len(content)}
    settings["runtime"] = {
        name: {
            "url": file.local_url if sources else file.public_url,
            "integrity": f"sha384-{file.digest}",
            "bytes": file.bytes,
        }
        for name, file in RUNTIME_FILES.items()
    }
    text = json.dumps(settings, ensure_ascii=False, separators=(",", ":"))
    (path / SETTINGS_FILE).write_text(text, encoding="utf-8")


def write_modules(folder: pathlib.Path) -> None:
    """Write what all pages have into a folder: HTML, CSS and JavaScript."""
    shutil.copytree(STATIC, folder, dirs_exist_ok=True)
    packed = zlib.compress(header_text.dictionary(), 9)
    (folder / "sqz" / "dictionary.js").write_text(
        "/** What the headers of .sqz files have in common, deflated. */\n"
        f'export const DICTIONARY = "{base64.b64encode(packed).decode()}";\n',
        encoding="utf-8",
    )


def find_runtime(folder: str | os.PathLike) -> dict[str, pathlib.Path]:
    """Return the paths of the `RUNTIME_FILES` that npm installed in a folder.

    Raises:
        FileNotFoundError: if one is missing.
        ValueError: if one is not that of `RUNTIME_VERSION`.
    """
    found = {}
    for name, file in RUNTIME_FILES.items():
        found[name] = pathlib.Path(folder, "node_modules", file.package_path)
        if not found[name].is_file():
            raise FileNotFoundError(
                "the folder of the runtime must have TensorFlow.js. Received: "
                f"{folder}, without {found[name].relative_to(folder)}. Run in "
                f"it: {INSTALL}"
            )
        digest = hashlib.sha384(found[name].read_bytes()).digest()
        if base64.b64encode(digest).decode() != file.digest:
            raise ValueError(
                f"TensorFlow.js must have the version {RUNTIME_VERSION}. "
                f"Received: {found[name]}, of another one or damaged. Run in "
                f"{folder}: {INSTALL}"
            )
    return found


def load(path: str | os.PathLike) -> Callable[[np.ndarray], np.ndarray]:
    """Load the network of a page as a function of a batch, in Keras.

    The page needs a browser. It computes the same as Keras does with the same
    file, within rounding.
    """
    return codec.load(pathlib.Path(path, SQZ_FILE)).predict_on_batch


def _describe(model):
    """Return what the page says of a network, and how it prepares images."""
    shape, outputs = model.input_shape, model.output_shape
    found = metadata.of(model) or metadata.describe(model)
    is_square = len(shape) == 4 and shape[1] == shape[2]
    side = is_square and (shape[1] or found.image_size)
    if not side or len(outputs) != 2:
        raise ValueError(
            "a page needs a classifier of square images, with inputs of shape "
            "(batch, side, side, channels) and outputs of shape (batch, "
            f"classes). Received: {shape} and {outputs}"
        )
    is_imagenet = metadata.is_imagenet(found, outputs[1])
    return {
        "name": model.name,
        "labels": metadata.labels(found, outputs[1]),
        "side": side,
        "shorter_side": image_squares.shorter_side(side, is_imagenet),
    }
