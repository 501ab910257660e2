"""Reader of `.npz` files with keys such as `fire2/squeeze1x1/kernel`."""

import numpy as np


def read(path):
    """Returns `{layer name: (kernel, bias)}`, HWIO and float32.

    Raises:
        ValueError: if a layer's kernel has no bias beside it.
    """
    with np.load(path, allow_pickle=False) as archive:
        arrays = {key: archive[key].astype("float32") for key in archive}
    layers = {}
    for key, kernel in arrays.items():
        layer, _, weight = key.rpartition("/")
        if weight != "kernel":
            continue
        if f"{layer}/bias" not in arrays:
            raise ValueError(
                f"{path} should have {layer}/bias beside {key}. It has: "
                f"{', '.join(sorted(arrays))}"
            )
        layers[layer.replace("/", "_")] = (kernel, arrays[f"{layer}/bias"])
    return layers
