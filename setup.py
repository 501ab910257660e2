import pathlib
import re

from setuptools import find_packages
from setuptools import setup

BLOB = "https://github.com/keras-squeezenet/keras_squeezenet/blob/main/"
readme = pathlib.Path("README.md").read_text("utf-8")

# `weights/` lies beside the package, and is installed as a part of it.
setup(
    # Package indexes show README.md without the files that it links to.
    long_description=re.sub(r"\]\((?!https?:|#)", f"]({BLOB}", readme),
    long_description_content_type="text/markdown",
    packages=[
        *find_packages(include=["keras_squeezenet", "keras_squeezenet.*"]),
        "keras_squeezenet.weights",
    ],
    package_dir={"keras_squeezenet.weights": "weights"},
)
