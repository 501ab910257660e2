import pathlib
import re

from setuptools import find_packages
from setuptools import setup

HERE = pathlib.Path(__file__).parent
VERSION = re.search(
    r'^__version__ = "(.+)"$',
    (HERE / "keras_squeezenet" / "__init__.py").read_text(encoding="utf-8"),
    re.MULTILINE,
).group(1)

EXTRAS = {
    "demo": ["mlxtend>=0.23"],
    "notebooks": ["jupyter"],
    "test": [
        "huggingface_hub>=0.20",
        "hypothesis>=6.100",
        "ipykernel>=6.29",
        "jsonschema>=4.18",
        "nbclient>=0.10",
        "pytest>=8",
        "pytest-xdist>=3.5",
        "ruff>=0.6",
        "tensorboard>=2.18",
    ],
}
EXTRAS["all"] = sorted({name for names in EXTRAS.values() for name in names})

setup(
    name="keras-squeezenet",
    version=VERSION,
    description="SqueezeNet for Keras 3, and the smallest files of it",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10,<3.13",
    packages=[
        *find_packages(include=["keras_squeezenet", "keras_squeezenet.*"]),
        "keras_squeezenet.weights",
    ],
    package_dir={"keras_squeezenet.weights": "weights"},
    package_data={
        "keras_squeezenet": ["*.tsv", "**/*.pyi"],
        "keras_squeezenet.report": ["*.jinja", "*.json"],
        "keras_squeezenet.weights": ["*.sqz"],
    },
    install_requires=[
        "absl-py>=1.4",
        "ai-edge-litert>=2.0",
        # TensorFlow Datasets imports it, and does not declare it.
        "importlib_resources",
        "jinja2>=3.1",
        "keras>=3.10,<4",
        "lazy_loader>=0.4",
        "matplotlib>=3.7",
        "numpy>=1.26",
        "pillow>=10.1",
        "protobuf>=4.21",
        "pyfive>=1.0",
        "pyyaml>=6",
        "requests>=2.28",
        "rich>=13",
        # TF-MOT imports distutils, which only setuptools has since 3.12.
        "setuptools; python_version >= '3.12'",
        "tensorflow>=2.18",
        "tensorflow-datasets>=4.9.8",
        "tensorflow-model-optimization>=0.8",
        "tf-keras>=2.18",
    ],
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": ["keras-squeezenet=keras_squeezenet.cli.main:run"]
    },
    classifiers=[
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
