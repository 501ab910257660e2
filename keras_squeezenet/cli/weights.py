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
from keras_squeezenet.pretrained import packaged
from keras_squeezenet.pretrained import readers
from keras_squeezenet.pretrained import sources
from keras_squeezenet.pretrained.readers import archive
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
    rows = [_row(source) for source in sources.SOURCES]
    if _JSON.value:
        print(json.dumps(rows, indent=2))
        return
    table = report.Table(
        "Public sources",
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
        "\nTop-1/5: accuracies on ImageNet in percent, as their publishers "
        f"report them. Here: in {download.cache_folder()}.",
    )
    for own in packaged.WEIGHTS.values():
        _print(
            console,
            f"With the package: weights={own.name!r}, {own.variant} for "
            f"{own.classes} classes, images of "
            f"{own.image_size}x{own.image_size}.",
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
        "cached": download.is_cached(source.file),
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
            for source in sources.SOURCES
            if _CONFIG.value in (None, source.variant)
        ]
    return [sources.named(name, _CONFIG.value) for name in names]


def convert(console, arguments):
    _require_count("convert", arguments, least=2, most=2)
    path, out = arguments
    _require_target(out)
    path = _file(path)
    arrays = readers.read(path)
    variant, classes = pretrained.identify_network(path, arrays)
    variant = _CONFIG.value or variant
    config = architecture.get_config(variant)
    resolved = pretrained.resolve(path, config)
    trained_on = (
        _NORMALIZATION.value
        or resolved.normalization
        or readers.get_format(path).normalization
    )
    model = squeezenet.SqueezeNet(
        weights=None,
        config=resolved.config,
        include_top=classes is not None,
        classes=classes or 1000,
    )
    pretrained.assign(model, pretrained.fold(arrays, trained_on), path)
    _write(model, out)
    _print(
        console,
        f"{path}: {_describe(variant, classes)}, input {trained_on!r}\n"
        f"Written to {out}",
    )
    if resolved.config != config:
        _print(
            console,
            "The network was trained with conv10_padding="
            f"{resolved.config.conv10_padding}: a .keras and a .sqz file keep "
            "that, weights alone do not.",
        )


def _file(argument):
    """The path of a file that is given by its path or its source's name."""
    if argument in sources.NAMES:
        return download.fetch(sources.named(argument, _CONFIG.value).file)
    return packaged.locate(argument)


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
            for what, result in _verified(_file(argument)):
                _print(console, f"  {what:13} {result}")
        except (ValueError, OSError) as error:
            failed = True
            _print(console, f"  {'FAILED':13} {error}")
    if failed:
        sys.exit(1)


def _verified(path):
    """Yields `(what, result)` of each check; raises where one fails."""
    content = archive.read_file(path)
    yield "size", f"{len(content):,} bytes"
    source = sources.identify(content)
    if source:
        yield "digest", f"that of {source.name!r}, {source.variant}"
    else:
        _require_no_published_name(path, content)
        yield "digest", "of no public source"
    arrays = readers.read(path)
    variant, classes = pretrained.infer_network(arrays)
    yield "architecture", _describe(variant, classes)
    kernels = [kernel for kernel, _ in arrays.values()]
    if not all(
        np.isfinite(array).all() for pair in arrays.values() for array in pair
    ):
        raise ValueError("the weights should be finite. Some are not.")
    nonzero = sum(np.count_nonzero(kernel) for kernel in kernels)
    size = sum(kernel.size for kernel in kernels)
    yield "kernels", f"finite, {nonzero:,} of {size:,} weights are not zero"


def _require_no_published_name(path, content):
    for source in sources.SOURCES:
        for file in source.files:
            if file.name == os.path.basename(path):
                raise ValueError(
                    f"a file of this name should have the digest "
                    f"{file.digest}. Received: {file.digest.of(content)}"
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
