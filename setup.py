from setuptools import find_packages
from setuptools import setup

# `weights/` lies beside the package, and is installed as a part of it.
setup(
    packages=[
        *find_packages(include=["keras_squeezenet", "keras_squeezenet.*"]),
        "keras_squeezenet.weights",
    ],
    package_dir={"keras_squeezenet.weights": "weights"},
)
