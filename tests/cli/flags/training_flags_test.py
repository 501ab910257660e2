import pytest

from keras_squeezenet import SqueezeNetConfig
from keras_squeezenet import Stem
from keras_squeezenet import architecture
from keras_squeezenet.cli.flags import command_flags
from keras_squeezenet.cli.flags import dataset_flags
from keras_squeezenet.cli.flags import training_flags


@pytest.fixture
def flag_values():
    values = command_flags.CommandFlags()
    dataset_flags.define(values)
    training_flags.define_network(values)
    return values


@pytest.fixture
def parse(flag_values):
    """Return a function from arguments to the value of `--config`."""

    def parse(*arguments):
        flag_values.parse(list(arguments))
        return flag_values["config"].value

    return parse


def test_config_is_a_variant_by_name(parse):
    assert parse() == architecture.VARIANTS["1.1"]
    assert parse("--config=1.0") == SqueezeNetConfig()


def test_config_has_metaparameters_over_those_of_v1_1(parse, tmp_path):
    text = '{"SR": 0.5, "stem": {"filters": 8}, "pools": ["conv1"]}'
    config = parse(f"--config={text}")
    assert config.SR == 0.5
    assert config.stem == Stem(8)
    assert config.pools == ("conv1",)
    assert config.conv10_padding == 0
    path = tmp_path / "mine.json"
    path.write_text(text)
    assert parse(f"--config={path}") == config


@pytest.mark.parametrize(
    "text,expected",
    [
        ("2.0", "one of '1.0', '1.1'.*Received: config='2.0'"),
        ('{"SR": 0}', "`SR` must be greater than 0"),
        ('{"bas_e": 1}', "fields are base_e.*bas_e. Did you mean 'base_e'"),
        ('{"stem": {"side": 1}}', "must describe a network"),
        ('{"stem": 8}', "must describe a network"),
        ("{", "must be valid JSON"),
        ("missing.json", "missing.json cannot be read"),
    ],
)
def test_other_config_is_refused(text, expected, parse):
    with pytest.raises(ValueError, match=f"^--config: .*{expected}"):
        parse(f"--config={text}")


def test_refusal_does_not_repeat_the_json(parse):
    with pytest.raises(ValueError, match="^--config: `SR` must be .*: SR=nan$"):
        parse('--config={"base_e": 64, "SR": NaN}')


def test_help_names_the_default_as_it_is_given(flag_values):
    assert "(default: 1.1)" in " ".join(flag_values.help().split())


def test_weights_are_a_name_or_a_file(flag_values, tmp_path):
    path = tmp_path / "mine.npz"
    path.touch()
    for weights in ("imagenet", "cifar10", path):
        flag_values.parse([f"--weights={weights}"])
        training_flags.require_valid(flag_values)
    flag_values.parse(["--weights=imagnet"])
    with pytest.raises(
        ValueError,
        match="must be a file, .* or one of imagenet.* Received: "
        r"--weights=imagnet. Did you mean 'imagenet'\?$",
    ):
        training_flags.require_valid(flag_values)
