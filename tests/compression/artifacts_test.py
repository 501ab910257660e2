import types

import pytest

from keras_squeezenet.compression import artifacts
from keras_squeezenet.compression import checks
from keras_squeezenet.export import litert_file


@pytest.mark.parametrize(
    "float_tensors, error",
    [
        (["images"], "integer tensors only. .* float tensors images"),
        ([], "the kernel of every layer. Measured: none of conv1, fire2_"),
    ],
)
def test_wrong_int8_file_is_an_error(
    float_tensors, error, make_model, monkeypatch
):
    file = types.SimpleNamespace(float_tensors=lambda: float_tensors)
    monkeypatch.setattr(litert_file, "LiteRTModel", lambda content: file)
    monkeypatch.setattr(litert_file, "read_kernels", lambda content: {})
    with pytest.raises(checks.CheckError, match=error):
        artifacts._require_int8(b"", make_model())
