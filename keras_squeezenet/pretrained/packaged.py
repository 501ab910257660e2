"""The weights that this project trained itself, and brings along."""

import dataclasses
import os
import pathlib

from keras_squeezenet import architecture

PACKAGE = pathlib.Path(__file__).parents[1]
# Where they are in the installed package, and in a checkout.
FOLDERS = (PACKAGE / "weights", PACKAGE.parent / "weights")


@dataclasses.dataclass(frozen=True)
class Packaged:
    """A network and its weights.

    Args:
        name: what `weights=` takes.
        variant: a key of `architecture.VARIANTS`, what it is made from.
        config: `SqueezeNetConfig` of the network that was trained.
        classes: int.
        image_size: int, the side of the images in pixels.
        file: str, the name of the `.sqz` file.
    """

    name: str
    variant: str
    config: architecture.SqueezeNetConfig
    classes: int
    image_size: int
    file: str

    @property
    def path(self):
        """The file's path, a str.

        Raises:
            FileNotFoundError: if it was not installed.
        """
        for folder in FOLDERS:
            if (folder / self.file).is_file():
                return str(folder / self.file)
        raise FileNotFoundError(
            f"the weights {self.name!r} should have been installed with the "
            f"package, as {FOLDERS[0] / self.file}. Install it again."
        )

    def fitting(self, config):
        """Returns the configuration of a network to load the weights into.

        Args:
            config: the variant, which stands for the network that was
                trained, or that network's `SqueezeNetConfig`.

        Raises:
            ValueError: if it is another network.
        """
        config = architecture.get_config(config)
        if config in (self.config, architecture.VARIANTS[self.variant]):
            return self.config
        raise ValueError(
            f"The weights {self.name!r} need config={self.variant!r}, which "
            f"stands for {self.config!r} then. Received: "
            f"config={architecture.describe(config)}"
        )


WEIGHTS = {
    packaged.name: packaged
    for packaged in (
        Packaged(
            name="cifar10",
            variant="1.1",
            # A pooling less, since half of 32 pixels are few.
            config=dataclasses.replace(
                architecture.VARIANTS["1.1"].for_small_images(),
                pools=("conv1", "fire5"),
            ),
            classes=10,
            image_size=32,
            file="squeezenet_1.1_cifar10.sqz",
        ),
    )
}


def find(weights):
    """Returns the `Packaged` of that name, or `None`."""
    return WEIGHTS.get(weights) if isinstance(weights, str) else None


def locate(path):
    """Returns the path of the weights of that name, or `path` as a str."""
    own = find(path)
    return own.path if own else os.fspath(path)
