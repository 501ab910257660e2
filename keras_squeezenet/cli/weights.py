"""`keras-squeezenet weights ACTION ...`: pretrained weights.

list                  the public sources, and what comes with the package
fetch NAME...         download ahead; `all` for every source
convert FILE|NAME OUT any readable file to .weights.h5, .keras or .sqz, for
                      what preprocess_input gives
verify FILE|NAME...   check the digest, the architecture and the values
"""

import json
import math
import os
import sys

import numpy as np
import rich.console
from absl import flags

from keras_squeezenet import architecture
from keras_squeezenet import codec
from keras_squeezenet import imagenet
from keras_squeezenet import pretrained
from keras_squeezenet import report
from keras_squeezenet import squeezenet
from keras_squeezenet.cli import terminal
from keras_squeezenet.codec import sqz
from keras_squeezenet.pretrained import download
from keras_squeezenet.pretrained import normalizations
from keras_squeezenet.pretrained import readers
from keras_squeezenet.pretrained import registry
from keras_squeezenet.utils import files

ARGUMENTS = "ACTION ..."
FLAGS = flags.FlagValues()
CONVERTED_SUFFIXES = (".weights.h5", ".keras", sqz.SUFFIX)

_CONFIG = flags.DEFINE_enum(
    "config",
    None,
    list(architecture.VARIANTS),
    "the network; by default 1.1 for the name of a source that has it, and "
    "the one that it fits for a file",
    flag_values=FLAGS,
)
_NORMALIZATION = flags.DEFINE_enum(
    "normalization",
    None,
    list(normalizations.NORMALIZATIONS),
    "for convert: the input that the weights were trained on; by default the "
    "one of the source or of the format",
    flag_values=FLAGS,
)
_OVERWRITE = flags.DEFINE_bool(
    "overwrite", False, "for convert: replace OUT", flag_values=FLAGS
)
_JSON = flags.DEFINE_bool(
    "json", False, "for list: print JSON, for programs", flag_values=FLAGS
)


def main(arguments):
    console = rich.console.Console(markup=False, highlight=False)
    action, *arguments = arguments or [None]
    if action not in ACTIONS:
        raise ValueError(
            f"one of {', '.join(ACTIONS)} is expected. Received: "
            f"{action or 'no argument'}"
        )
    ACTIONS[action](console, arguments)


def list_sources(console, arguments):
    _require_count("list", arguments, least=0, most=0)
    rows = [_row(source) for source in registry.ENTRIES]
    if _JSON.value:
        print(json.dumps(rows, indent=2))
        return
    table = report.Table(
        "Pretrained weights",
        ("weights=", "config=", "top-1/5", "bytes", "here", "license"),
        [
            (
                row["name"],
                row["config"],
                f"{row['top_1']:.1f}/{row['top_5']:.1f}",
                f"{row['bytes']:,}" if row["bytes"] else "?",
                "yes" if row["cached"] else "no",
                row["license"],
            )
            for row in rows
        ],
    )
    terminal.print_table(console, table)
    _print(
        console,
        "\nTop-1/5: accuracies in percent as their publishers report them, on "
        "ImageNet or on the data set of the name. Here: with the package, or "
        f"in {download.cache_folder()}.",
    )


def _row(source):
    return {
        "name": source.name,
        "config": source.variant,
        "title": source.title,
        "url": source.file.url,
        "digest": str(source.file.digest),
        "bytes": source.file.size,
        "no_top_url": source.no_top.url if source.no_top else None,
        "top_1": source.top_1,
        "top_5": source.top_5,
        "reported_by": source.reported_by,
        "normalization": source.normalization,
        "license": source.license,
        "citation": source.citation,
        "read_by_tests": source.file.verified,
        "cached": download.is_available(source.file),
    }


def fetch(console, arguments):
    _require_count("fetch", arguments, least=1)
    for source in _sources(arguments):
        path = download.fetch(source.file)
        _print(console, f"{source.name}, {source.variant}: {path}")


def _sources(names):
    if names == ["all"]:
        return [
            source
            for source in registry.ENTRIES
            if _CONFIG.value in (None, source.variant)
        ]
    return [registry.find(name, _CONFIG.value) for name in names]


def convert(console, arguments):
    _require_count("convert", arguments, least=2, most=2)
    path, out = arguments
    _require_target(out)
    loaded = pretrained.open_weights(
        path, _CONFIG.value, normalization=_NORMALIZATION.value
    )
    variant = _CONFIG.value or loaded.variant
    classes = loaded.classes
    config = loaded.config(variant)
    model = squeezenet.SqueezeNet(
        weights=None,
        config=config,
        include_top=classes is not None,
        classes=classes or 1000,
        input_shape=classes and (loaded.image_size, loaded.image_size, 3),
    )
    loaded.assign_to(model)
    _write(model, out)
    _print(
        console,
        f"{path}: {_describe(variant, classes)}, input "
        f"{loaded.normalization!r}\nWritten to {out}",
    )
    if config != architecture.get_config(variant):
        _print(
            console,
            "The network was trained with conv10_padding="
            f"{config.conv10_padding}: a .keras and a .sqz file keep "
            "that, weights alone do not.",
        )


def _require_target(out):
    if not out.endswith(CONVERTED_SUFFIXES):
        raise ValueError(
            "the converted file should end with one of "
            f"{', '.join(CONVERTED_SUFFIXES)}. Received: {out}"
        )
    if os.path.exists(out) and not _OVERWRITE.value:
        raise FileExistsError(
            f"{out} exists, and was left as it is. Name another file, or pass "
            "--overwrite."
        )
    folder = os.path.dirname(out)
    if folder and not os.path.isdir(folder):
        raise FileNotFoundError(f"there is no folder {folder} to write {out}")


def _write(model, out):
    """Writes a model or its weights, and reads them again to be sure."""
    with files.new_file(out) as temporary:
        if out.endswith(".keras"):
            model.save(temporary)
        elif out.endswith(sqz.SUFFIX):
            classes = model.output_shape[-1]
            known = classes == len(imagenet.imagenet_classes())
            codec.save(model, temporary, codec.IMAGENET if known else None)
        else:
            model.save_weights(temporary)
        _require_same(model, readers.read(temporary), out)


def _require_same(model, arrays, path):
    for layer in model.layers:
        expected, received = layer.get_weights(), arrays.get(layer.name, ())
        if len(expected) != len(received) or not all(
            map(np.array_equal, expected, received)
        ):
            raise RuntimeError(
                f"{path} should hold the weights of {layer.name!r} as they "
                "are, and does not."
            )


def verify(console, arguments):
    _require_count("verify", arguments, least=1)
    failed = False
    for argument in arguments:
        _print(console, argument)
        try:
            for what, result in _verified(argument):
                _print(console, f"  {what:13} {result}")
        except (ValueError, OSError) as error:
            failed = True
            _print(console, f"  {'FAILED':13} {error}")
    if failed:
        sys.exit(1)


def _verified(argument):
    """Yield `(name, result)` of each check; raise where one fails."""
    loaded = pretrained.open_weights(argument, _CONFIG.value)
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
            if file.name == os.path.basename(path):
                raise ValueError(
                    f"a file of this name must have the digest {file.digest}. "
                    f"Received: {file.digest.of(content)}"
                )


def _describe(variant, classes):
    config = architecture.VARIANTS[variant]
    parameters = architecture.count_parameters(
        config, classes=classes, include_top=classes is not None
    )
    top = f"{classes:,} classes" if classes else "without the classifier"
    return f"{variant}, {top}, {parameters:,} parameters"


def _print(console, text):
    # A path is not broken at the end of a line.
    console.print(terminal.printable(text), soft_wrap=True)


def _require_count(action, arguments, least, most=math.inf):
    if not least <= len(arguments) <= most:
        raise ValueError(
            f"`keras-squeezenet weights {action}` is not used like that; "
            "see `keras-squeezenet weights --help`. Received: "
            f"{' '.join(arguments) or 'no argument'}"
        )


ACTIONS = {
    "list": list_sources,
    "fetch": fetch,
    "convert": convert,
    "verify": verify,
}
