"""Reader of torchvision's SqueezeNets, `squeezenet1_0` and `squeezenet1_1`.

Their modules are numbered: `features.0` is conv1, the other `features` with
weights are the Fire modules in order, and `classifier.1` is conv10.
"""

import re

import numpy as np

from keras_squeezenet.pretrained.readers import torch_pickle

_CONVOLUTION = re.compile(
    r"(features\.\d+|classifier\.1)(?:\.(squeeze|expand1x1|expand3x3))?"
)
# The names in torchvision, and those in the paper.
RENAMED = {"squeeze": "squeeze1x1"}


def read(content: bytes) -> dict[str, tuple[np.ndarray, ...]]:
    """Return `{layer name: (kernel, bias)}`, HWIO and float32."""
    arrays = torch_pickle.read(content)
    names = dict.fromkeys(key.rpartition(".")[0] for key in arrays)
    found = {name: _CONVOLUTION.fullmatch(name) for name in names}
    matches = {name: match for name, match in found.items() if match}
    if not matches or len(matches) < len(found):
        raise ValueError(
            "it must have the keys of torchvision's SqueezeNets, such as "
            "features.0.weight. Received: "
            f"{', '.join(list(arrays)[:5]) or 'none'}"
        )
    fires = sorted(
        {int(name.split(".")[1]) for name in names if "features" in name} - {0}
    )
    modules = {
        f"features.{index}": f"fire{number}"
        for number, index in enumerate(fires, start=2)
    }
    modules |= {"features.0": "conv1", "classifier.1": "conv10"}
    layers = {}
    for name in names:
        module, part = matches[name].groups()
        layer = modules[module]
        if part:
            layer += f"_{RENAMED.get(part, part)}"
        layers[layer] = tuple(
            _hwio(arrays[f"{name}.{weight}"]) for weight in ("weight", "bias")
        )
    return layers


def _hwio(array):
    if array.ndim == 4:
        array = array.transpose(2, 3, 1, 0)
    return np.ascontiguousarray(array, "float32")
