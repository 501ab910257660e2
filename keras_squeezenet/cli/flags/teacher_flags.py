"""The flag of the network whose outputs another one learns."""

from keras_squeezenet.cli.flags import network_flags
from keras_squeezenet.cli.flags import training_flags


def define(flag_values):
    """Define `--teacher`, in the group of the flags of distillation."""
    with flag_values.group("Distillation"):
        flag_values.define(
            str,
            "teacher",
            None,
            "a trained network of the same classes, whose outputs are learned "
            "too: a .keras or .sqz file, weights by name or by file, or an "
            "address on the Hugging Face hub; --dataset may then be a folder "
            "of photographs without labels, whose classes it finds",
        )


def require_valid(flag_values, share, is_itself=False):
    """Raise a `ValueError` for no such teacher, or flags without an effect.

    `share` is the recipe's `distillation`. Without a teacher, the network may
    be its own: `is_itself`.
    """
    teacher = flag_values["teacher"].value
    if teacher is not None:
        network_flags.require_layers(teacher, "--teacher")
        training_flags.require_weights(
            "teacher", teacher, "a .keras or .sqz file, a file of weights"
        )
    elif flag_values["temperature"].present and not (is_itself and share):
        raise ValueError(
            "--temperature is for distillation, and there is none. Received: "
            f"--temperature={flag_values['temperature'].value}. Pass --teacher"
            + (" or --distillation" if is_itself else "")
            + ", or leave it out"
        )
