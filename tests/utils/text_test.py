import os

import pytest

from keras_squeezenet.utils import text


@pytest.mark.parametrize(
    "received, printed",
    [
        ("photos/[red]ä 猫\u3000\U0001f468\u200d\U0001f469.jpg", None),
        ("", None),
        (os.fsdecode(b"caf\xe9.jpg"), r"caf\udce9.jpg"),
        ("a\x1b[31mRED\x1b[2Jb.png", r"a\x1b[31mRED\x1b[2Jb.png"),
        ("\x9b2J\x07\b\r", r"\x9b2J\x07\x08\r"),
        ("gpj.\u202ecat", r"gpj.\u202ecat"),
        ("a\u2028b", r"a\u2028b"),
    ],
)
def test_text_from_outside_cannot_control_a_terminal(received, printed):
    printed = received if printed is None else printed
    assert text.printable(received) == text.one_line(received) == printed
    printed.encode("utf-8")


def test_values_in_errors_are_short():
    assert text.shown("a") == "'a'"
    assert text.shown([1] * 1000) == f"[{'1, ' * 66}1..."
    assert text.shown(1 << 20_000) == "an integer of too many digits"


def test_line_breaks_stay_in_messages_and_not_in_names():
    assert text.printable("a\nb") == "a\nb"
    assert text.one_line("a\nb") == r"a\nb"
