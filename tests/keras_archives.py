"""Changes to the content of `.keras` files."""

import json
import pathlib
import zipfile

from contents import zip_archive

WEIGHTS = "model.weights.h5"


def rewrite(path, change, source=None):
    """Rewrites a file after `change` of its config and its other members.

    `change` may return a text that replaces the config.
    """
    with zipfile.ZipFile(source or path) as opened:
        members = {name: opened.read(name) for name in opened.namelist()}
    config = json.loads(members.pop("config.json"))
    text = change(config, members)
    text = json.dumps(config) if text is None else text
    pathlib.Path(path).write_bytes(
        zip_archive({"config.json": text, **members})
    )
    return path


def layer(config, name):
    layers = config["config"]["layers"]
    return next(each for each in layers if each["config"]["name"] == name)


def replace_layer(name, kind, module="keras.layers", registered=None, **config):
    """Returns a change that puts another layer in the place of one."""

    def change(file, members):
        layer(file, name).update(
            module=module,
            class_name=kind,
            registered_name=registered,
            config={"name": name, **config},
        )

    return change


def set_argument(name, key, value):
    """Returns a change of an argument of a layer."""

    def change(file, members):
        layer(file, name)["config"][key] = value

    return change
