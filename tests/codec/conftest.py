import pytest

from keras_squeezenet.pretrained.readers import deep_compression


@pytest.fixture(scope="session")
def net(shared_data):
    """`{layer name: (kernel, bias)}` of the authors' compressed v1.0."""
    path = shared_data / "weights" / "compressed_SqueezeNet.net"
    return deep_compression.read(path.read_bytes())
