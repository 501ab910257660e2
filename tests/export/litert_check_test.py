import pytest
import tensorflow as tf

from keras_squeezenet.export import litert_check

CHECKS = [litert_check.require_readable, litert_check.require_runnable]
every_check = pytest.mark.parametrize("check", CHECKS)


@pytest.fixture(scope="module")
def content():
    double = tf.function(lambda x: 2 * x)
    function = double.get_concrete_function(tf.TensorSpec((1, 3)))
    return tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()


@every_check
def test_sound_file_passes(check, content):
    check(content)


@every_check
@pytest.mark.parametrize("damaged", [b"", b"no LiteRT file"])
def test_other_content_is_refused(check, damaged):
    with pytest.raises(
        ValueError, match=r"^it is damaged: .*\. Copy .*again.$"
    ):
        check(damaged)


def test_unreadable_tables_are_one_plain_error(content):
    for damaged in (b"", content[:100], b"\xff" * 100):
        with pytest.raises(ValueError, match="damaged: its tables cannot be"):
            litert_check.require_readable(damaged)


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
