import pytest

from keras_squeezenet import classifier
from keras_squeezenet import normalizations
from keras_squeezenet.cli.flags import command_flags
from keras_squeezenet.cli.flags import network_flags


@pytest.fixture
def flag_values():
    values = command_flags.CommandFlags()
    network_flags.define_model(values)
    network_flags.define(values)
    return values


@pytest.fixture
def loaded(flag_values, monkeypatch):
    """Return a function from flags to what `classifier.load` gets."""
    monkeypatch.setattr(classifier, "load", lambda *options: options)

    def loaded(*arguments):
        flag_values.parse(list(map(str, arguments)))
        return network_flags.load(flag_values, "a.npz")

    return loaded


def test_model_is_an_argument_or_a_flag(flag_values):
    assert network_flags.take_model(flag_values, ["a.sqz"]) == "a.sqz"
    flag_values.parse(["--model=b.sqz"])
    assert network_flags.take_model(flag_values, []) == "b.sqz"
    with pytest.raises(
        ValueError,
        match="^one model must be given, as MODEL or --model=MODEL. Received: "
        "a.sqz, b.sqz$",
    ):
        network_flags.take_model(flag_values, ["a.sqz"])


def test_model_must_be_given_where_one_is_needed(flag_values):
    with pytest.raises(ValueError, match="Received: none$"):
        network_flags.take_model(flag_values, [])
    assert network_flags.take_model(flag_values, [], is_needed=False) is None
    with pytest.raises(ValueError, match="Received: a, b$"):
        network_flags.take_model(flag_values, ["a", "b"], is_needed=False)


def test_flags_reach_the_network(loaded, tmp_path):
    assert loaded() == ("a.npz", None, None, None, None)
    path = tmp_path / "names.txt"
    path.write_text("cat\n dog \n\n")
    flags = ("--config=1.0", "--image_size=64", "--normalization=raw")
    assert loaded(*flags, f"--labels={path}") == (
        *("a.npz", "1.0", 64, ["cat", "dog"], "raw"),
    )


def test_every_normalization_is_a_choice():
    assert network_flags.NORMALIZATIONS == (*normalizations.NORMALIZATIONS,)


@pytest.mark.parametrize("model", ["a.keras", "a.sqz", "a.tflite", "."])
def test_config_of_a_model_that_has_its_own_is_refused(model, flag_values):
    flag_values.parse(["--config=1.0"])
    with pytest.raises(ValueError, match=f"Received: {model}, --config=1.0$"):
        network_flags.load(flag_values, model)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_labels_may_come_from_windows(encoding, newline, loaded, tmp_path):
    path = tmp_path / "names.txt"
    with open(path, "w", encoding=encoding, newline=newline) as file:
        file.write("Bär\nHund")
    assert loaded(f"--labels={path}")[3] == ["Bär", "Hund"]


@pytest.mark.parametrize(
    "content,text",
    [
        (b"", "the name of a class on each line.*names.txt, which has none"),
        (b" \n\n", "names.txt, which has none"),
        (b"\xff\xfe", "names.txt must be a text in UTF-8. Received: "),
    ],
)
def test_labels_that_are_not_text_are_refused(content, text, loaded, tmp_path):
    (tmp_path / "names.txt").write_bytes(content)
    with pytest.raises(ValueError, match=text):
        loaded(f"--labels={tmp_path / 'names.txt'}")


def test_missing_labels_are_an_error(loaded):
    with pytest.raises(FileNotFoundError, match="names.txt"):
        loaded("--labels=names.txt")


@pytest.mark.parametrize("flag", ["--image_size=0", "--config=2.0"])
def test_flag_out_of_range_is_refused(flag, flag_values):
    with pytest.raises(ValueError, match=f"must be .*Received: {flag}$"):
        flag_values.parse([flag])
