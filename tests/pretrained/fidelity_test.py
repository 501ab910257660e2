"""Networks with real weights reach their known accuracy."""

import numpy as np
import pytest
from PIL import Image

from keras_squeezenet import SqueezeNet1_0
from keras_squeezenet import SqueezeNet1_1
from keras_squeezenet import preprocess_input
from keras_squeezenet import pretrained

CLASSES = np.arange(0, 1000, 10)
DEEP_COMPRESSION = "compressed_SqueezeNet.net"
CAFFE = "squeezenet_v1.1_caffe_fp32trunk_fp16conv10.npz"
ONNX_ZOO = "squeezenet1_1_directml_fp32.npz"


def center_crop(path, side=227):
    image = Image.open(path).convert("RGB")
    left, top = ((length - side) // 2 for length in image.size)
    crop = image.crop((left, top, left + side, top + side))
    return np.asarray(crop, "float32")


@pytest.fixture(scope="module")
def images(photographs):
    """Every tenth photograph, preprocessed."""
    assert len(photographs) == 1000
    crops = [center_crop(photographs[index]) for index in CLASSES]
    return preprocess_input(np.stack(crops))


def count_hits(model, images):
    """Count the top-1 and top-5 hits among 100 photographs."""
    predictions = model.predict(images, verbose=0)
    ranks = (-predictions).argsort(axis=1)[:, :5]
    hits = ranks == CLASSES[:, None]
    return hits[:, 0].sum(), hits.sum()


# The bounds are one photograph below what every tenth one gives. All 1,000 give
# 63.5% top-1 and 83.8% top-5 with Deep Compression's v1.0, 62.5% and 84.3% with
# the authors' v1.1, 62.2% and 83.9% with the ONNX model zoo's v1.1. These are
# not ImageNet accuracies: the photographs are probably training images.
@pytest.mark.parametrize(
    "builder, file, normalization, top_1, top_5",
    [
        (SqueezeNet1_0, DEEP_COMPRESSION, None, 60, 83),
        (SqueezeNet1_1, CAFFE, None, 65, 85),
        (SqueezeNet1_1, ONNX_ZOO, "torch", 60, 84),
    ],
    ids=["Deep Compression", "Caffe", "ONNX zoo"],
)
def test_published_weights_recognize_photographs(
    builder, file, normalization, top_1, top_5, shared_data, images
):
    model = builder(weights=None)
    path = shared_data / "weights" / file
    weights = pretrained.open_weights(path, normalization=normalization)
    weights.assign_to(model)
    first, among_five = count_hits(model, images)
    assert first >= top_1
    assert among_five >= top_5


# All 1,000 give 30.6% top-1 and 54.4% top-5.
def test_weights_of_another_normalization_do_much_worse_unfolded(
    shared_data, images
):
    model = SqueezeNet1_1(weights=shared_data / "weights" / ONNX_ZOO)
    first, among_five = count_hits(model, images)
    assert first < 40
    assert among_five < 65
