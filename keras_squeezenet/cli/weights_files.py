"""Convert and verify files of weights."""

import dataclasses
import os
import pathlib
import sys

import numpy as np

from keras_squeezenet import architecture
from keras_squeezenet import codec
from keras_squeezenet import metadata
from keras_squeezenet import models
from keras_squeezenet import normalizations
from keras_squeezenet import pretrained
from keras_squeezenet import squeezenet
from keras_squeezenet.cli import terminal
from keras_squeezenet.cli.flags import network_flags
from keras_squeezenet.cli.weights import FLAGS
from keras_squeezenet.codec import sqz
from keras_squeezenet.pretrained import readers
from keras_squeezenet.pretrained import registry
from keras_squeezenet.pretrained.readers import keras_h5
from keras_squeezenet.utils import digests
from keras_squeezenet.utils import files
from keras_squeezenet.utils import staging

CONVERTED_SUFFIXES = (".weights.h5", ".keras", sqz.SUFFIX)


def convert(console, path, out):
    _require_target(out)
    loaded = pretrained.open_weights(
        path, FLAGS.config, normalization=FLAGS.normalization
    )
    variant = FLAGS.config or loaded.variant
    config = loaded.config(FLAGS.config)
    if loaded.entry is None and loaded.file_name.endswith(
        network_flags.COMPLETE_SUFFIXES
    ):
        network_flags.require_config_used(FLAGS, loaded.file_name)
        model = _of_file(loaded)
    else:
        model = _of_weights(loaded, config)
    loaded.assign_to(model)
    _write(model, out)
    terminal.print_line(
        console,
        f"{path}: {_describe(variant, loaded.classes)}, input "
        f"{loaded.normalization!r}\nWritten to {out}",
    )
    if config != architecture.get_config(variant):
        terminal.print_line(
            console,
            "The network was trained with conv10_padding="
            f"{config.conv10_padding}: a .keras and a .sqz file keep "
            "that, weights alone do not.",
        )


def _of_file(loaded):
    """Return the network in a file that has its layers, to assign weights."""
    model = models.load(loaded.file_name, normalization=loaded.normalization)
    found = dataclasses.replace(
        metadata.of(model), normalization=normalizations.CAFFE
    )
    metadata.attach(model, found)
    return model


def _of_weights(loaded, config):
    """Return the network of a variant, to assign weights."""
    classes = loaded.classes
    model = squeezenet.SqueezeNet(
        weights=None,
        config=config,
        include_top=classes is not None,
        classes=classes or 1000,
        input_shape=classes and (loaded.image_size, loaded.image_size, 3),
    )
    names = loaded.entry.class_names if loaded.entry else ()
    metadata.attach(model, metadata.describe(model, class_names=names))
    return model


def _require_target(out):
    if not out.endswith(CONVERTED_SUFFIXES):
        raise ValueError(
            "the converted file must end with one of "
            f"{', '.join(CONVERTED_SUFFIXES)}. Received: {out}"
        )
    if os.path.exists(out) and not FLAGS.overwrite:
        raise FileExistsError(
            f"{out} exists, and was left as it is. Name another file, or pass "
            "--overwrite."
        )
    folder = os.path.dirname(out)
    if folder and not os.path.isdir(folder):
        raise FileNotFoundError(
            f"there is no folder {folder} for {out}: make it first."
        )
    staging.require_space(pathlib.Path(out).absolute().parent)


def _write(model, out):
    """Write a model or its weights, and read them again to be sure."""
    with files.new_file(out) as temporary:
        if out.endswith(".keras"):
            models.save(model, temporary)
        elif out.endswith(sqz.SUFFIX):
            found, outputs = metadata.of(model), model.output_shape[-1]
            is_imagenet = metadata.is_imagenet(found, outputs)
            codec.save(
                model, temporary, codec.IMAGENET if is_imagenet else None
            )
        else:
            model.save_weights(temporary)
            _write_normalization(temporary)
        _require_same(model, readers.read(temporary), out)
        digests.forget(out)
    if out.endswith(".weights.h5"):
        digests.write(out)


def _write_normalization(path):
    import h5py

    with h5py.File(path, "a") as file:
        file.attrs[keras_h5.NORMALIZATION] = normalizations.CAFFE


def _require_same(model, arrays, path):
    for layer in model.layers:
        expected, received = layer.get_weights(), arrays.get(layer.name, ())
        if len(expected) != len(received) or not all(
            map(np.array_equal, expected, received)
        ):
            raise RuntimeError(
                f"{path} must hold the exact weights of {layer.name!r}, and "
                "does not."
            )


def verify(console, *arguments):
    failed = False
    for argument in arguments:
        terminal.print_line(console, argument)
        try:
            for what, result in _verified(argument):
                terminal.print_line(console, f"  {what:13} {result}")
        except (ValueError, OSError) as error:
            failed = True
            terminal.print_line(console, f"  {'FAILED':13} {error}")
    if failed:
        sys.exit(1)


def _verified(argument):
    """Yield `(name, result)` of each check; raise where one fails."""
    loaded = pretrained.open_weights(argument, FLAGS.config)
    yield "size", f"{len(loaded.content):,} bytes"
    if loaded.entry:
        yield "digest", f"that of {loaded.entry.name!r}, {loaded.entry.variant}"
    else:
        _require_no_published_name(argument, loaded.content)
        yield "digest", "not that of any pretrained weights"
    arrays = loaded.stored
    variant, classes = pretrained.infer_network(arrays)
    yield "architecture", _describe(variant, classes)
    kernels = [kernel for kernel, _ in arrays.values()]
    if not all(
        np.isfinite(array).all() for pair in arrays.values() for array in pair
    ):
        raise ValueError("the weights must be finite. Some are not.")
    nonzero = sum(np.count_nonzero(kernel) for kernel in kernels)
    size = sum(kernel.size for kernel in kernels)
    yield "kernels", f"finite, {nonzero:,} of {size:,} weights are not zero"


def _require_no_published_name(path, content):
    for entry in registry.ENTRIES:
        for file in entry.files:
            if file.weights_name == os.path.basename(path):
                raise ValueError(
                    f"a file of this name must have the digest {file.digest}. "
                    f"Received: {file.digest.of(content)}"
                )


def _describe(variant, classes):
    config = architecture.VARIANTS[variant]
    parameters = architecture.count_parameters(config, classes)
    top = f"{classes:,} classes" if classes else "without the classifier"
    return f"{variant}, {top}, {parameters:,} parameters"


ACTIONS = {"convert": convert, "verify": verify}
