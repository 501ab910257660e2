"""What the commands that train have in common when they run."""

import contextlib
import pathlib

from keras_squeezenet.cli import interrupts
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import dataset_flags
from keras_squeezenet.utils import staging

RESUME = (
    "The last checkpoint is saved: the same command with --resume continues "
    "from there."
)


@contextlib.contextmanager
def resumable(out, *patterns):
    """Tell how to resume if `out` has a file to resume from.

    This holds if the block is stopped, or if the disk takes no file.
    """
    try:
        with interrupts.first():
            yield
    except (KeyboardInterrupt, staging.DiskError) as stop:
        folder = pathlib.Path(out)
        if any(any(folder.glob(pattern)) for pattern in patterns):
            stop.args = (" ".join([*stop.args, RESUME]),)
        raise


def require_no_share(flag_values, dataset):
    """Raise a `ValueError` for the flag if there is a validation set anyway."""
    name = "validation_share"
    if name in flag_values and flag_values[name].present:
        raise ValueError(
            f"--{name} takes a validation set out of the training images, and "
            f"{dataset.name} has one of its own: leave one of the two out. "
            f"Received: --{name}={flag_values[name].value}, with "
            f"{dataset.validation_size:,} validation images"
        )


def count_outputs(path):
    """Return the number of classes of a trained network."""
    from keras_squeezenet import models

    return models.load(path).output_shape[-1]


def prepare(
    flag_values, recipe, console, progress, image_size=None, model=None
):
    """Return a trained or a new model and the data set; print what they are.

    The images have the `image_size`, by default that of the model.
    """
    import keras

    from keras_squeezenet import training

    if model is not None:
        image_size = image_size or model.input_shape[1]
    seed, teacher = recipe.seed, flag_values["teacher"].value
    dataset = dataset_flags.load(
        flag_values,
        seed,
        progress,
        image_size,
        # A network that is compressed can be its own teacher.
        labeled=(teacher is None and model is None)
        or dataset_flags.has_labels(flag_values),
    )
    if dataset.validation is None:
        dataset = dataset.split_validation(recipe.validation_share, seed)
    else:
        require_no_share(flag_values, dataset)
    if model is None:
        keras.utils.set_random_seed(seed)
        several = {"several_labels": True} if dataset.several_labels else {}
        model = training.build(
            dataset.image_size,
            len(dataset.class_names) or count_outputs(teacher),
            flag_values["config"].value,
            flag_values["weights"].value,
            **several,
        )
    terminal.print_header(console, model, dataset)
    return model, dataset
