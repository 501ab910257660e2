import pytest
import tensorflow as tf

from keras_squeezenet.export import litert_check


@pytest.fixture(scope="module")
def content():
    double = tf.function(lambda x: 2 * x)
    function = double.get_concrete_function(tf.TensorSpec((1, 3)))
    return tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()


def test_sound_file_passes(content):
    litert_check.require_runnable(content)


@pytest.mark.parametrize("damaged", [b"", b"no LiteRT file"])
def test_other_content_is_refused(damaged):
    with pytest.raises(
        ValueError, match=r"^it is damaged: .*\. Copy .*again.$"
    ):
        litert_check.require_runnable(damaged)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import os; os.abort()", r"LiteRT crashes on it \(signal 6\)"),
        ("while True: pass", "LiteRT more than 0.5 seconds"),
        ("bytes(1 << 33)", "it is damaged: MemoryError"),
    ],
)
def test_what_a_file_does_to_the_interpreter_stays_there(
    code, message, monkeypatch
):
    monkeypatch.setattr(litert_check, "SECONDS", 0.5)
    monkeypatch.setattr(litert_check, "RUN", code)
    with pytest.raises(ValueError, match=message):
        litert_check.require_runnable(b"")
