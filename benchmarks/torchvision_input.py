"""Measure the throughput of torchvision's RandAugment, without TensorFlow.

    python benchmarks/torchvision_input.py FOLDER [--image_size=224]
        [--rounds=3]

It needs torchvision. The first 256 JPEG files below FOLDER, by path, are
resized and cropped to uint8 squares beforehand; only RandAugment, with
torchvision's defaults, is timed. A CPU second is a second of one core.
"""

import pathlib
import statistics
import time

import torch
from absl import app
from absl import flags
from PIL import Image
from torchvision.transforms import v2

_IMAGE_SIZE = flags.DEFINE_integer(
    "image_size", 224, "side of the images in pixels"
)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "passes over the images")
IMAGES = 256


def main(argv):
    if len(argv) != 2:
        raise app.UsageError("FOLDER must be given")
    torch.manual_seed(0)
    torch.set_num_threads(1)
    paths = sorted(pathlib.Path(argv[1]).rglob("*.jpg"))[:IMAGES]
    side = _IMAGE_SIZE.value
    read = v2.Compose([v2.Resize(side), v2.CenterCrop(side), v2.PILToTensor()])
    images = [read(Image.open(path).convert("RGB")) for path in paths]
    augment = v2.RandAugment()
    rates = []
    for _ in range(_ROUNDS.value + 1):
        started = time.process_time()
        for image in images:
            augment(image)
        rates.append(len(images) / (time.process_time() - started))
    # The first pass is left out: it also loads code.
    print(f"{statistics.median(rates[1:]):,.0f} images per CPU second")


if __name__ == "__main__":
    app.run(main)
