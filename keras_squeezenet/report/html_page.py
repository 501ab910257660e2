"""A report as one HTML page with its pictures in it."""

import base64
import io
import warnings

import jinja2

from keras_squeezenet.report import plots
from keras_squeezenet.report.markdown import legend
from keras_squeezenet.report.markdown import made_with
from keras_squeezenet.report.markdown import summary
from keras_squeezenet.report.markdown import title
from keras_squeezenet.report.tables import tables

TEMPLATE = "report.html.jinja"
DOTS_PER_INCH = 130
# Each picture's title, how to read it, and what it needs of a report.
PICTURES = (
    (
        plots.sizes,
        "Bytes and accuracy",
        "Each line is a stage of the pipeline, or below the rule a file that "
        "it wrote. Further left is smaller.",
        "stages",
    ),
    (
        plots.layers,
        "Density and bits by layer",
        "How much of each kernel is left, beside what the paper's authors "
        "left of SqueezeNet v1.0 (table 1), and how many values it has.",
        "layers",
    ),
    (
        plots.histograms,
        "Kernels before and after",
        "Grey: the weights of the dense network. Blue: those of the "
        "compressed one that are not zero, on a scale of their own. Weight "
        "sharing leaves a few values of them.",
        "histograms",
    ),
    (
        plots.sensitivity,
        "Sensitivity",
        "The accuracy when one layer alone is pruned, or its weights are "
        "shared, without training. The layers in colour lose most; the "
        "dashed line is the untouched network.",
        "sensitivity",
    ),
    (
        plots.training,
        "Training",
        "Every epoch of every stage; of a stage that was tried again, the "
        "last attempt.",
        "stages",
    ),
    (
        plots.confusion,
        "Confusion",
        "The compressed network: the share of the images of each true class "
        "(a row) that it calls each class (a column), and in numbers where "
        "there is room.",
        "confusion",
    ),
)


def html(report, pictures=()):
    """Returns a report as HTML.

    Args:
        report: dict, what `report.make` returned.
        pictures: uint8 RGB arrays, one for each of its samples.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("keras_squeezenet.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(
        report=report,
        title=title(report),
        summary=summary(report),
        headline=headline(report),
        figures=list(_figures(report, pictures)),
        tables=tables(report),
        legend=legend(report),
        made_with=made_with(report).split("\n\n"),
    )


def headline(report):
    """Returns the figures at the top: `(name, before, after)`."""
    stages = report["stages"]
    first, last = stages[0], stages[-1]
    ratio = first["bytes"] / last["huffman_bytes"]
    yield "Accuracy", f"{first['accuracy']:.2%}", f"{last['accuracy']:.2%}"
    yield (
        f"Bytes as Deep Compression counts, {ratio:.1f} times fewer",
        f"{first['bytes']:,}",
        f"{last['huffman_bytes']:,}",
    )
    if report["files"]:
        file = min(report["files"], key=lambda file: file["gzip_bytes"])
        yield (
            f"Bytes of the smallest file, {file['name']}, and gzipped",
            f"{file['bytes']:,}",
            f"{file['gzip_bytes']:,}",
        )
    yield "Density", f"{first['density']:.0%}", f"{last['density']:.1%}"


def _figures(report, pictures):
    for draw, name, text, needs in PICTURES:
        if report[needs]:
            drawn = draw(report[needs] if draw is plots.sensitivity else report)
            yield name, text, _data_url(drawn)
    if len(pictures):
        yield (
            "Samples",
            "Images that both networks were asked about. Where they "
            "disagree, the frame is orange; such images are shown more often "
            "than they occur.",
            # Photographs take a fifth of a PNG's bytes.
            _data_url(plots.samples(report, pictures), "jpeg"),
        )


def _data_url(drawn, form="png"):
    """Returns a figure as the address of an image that holds it."""
    file = io.BytesIO()
    settings = {
        "png": {"metadata": {"Software": None}},
        "jpeg": {"pil_kwargs": {"quality": 88}},
    }
    with warnings.catch_warnings():
        # Names of classes are in any script; the tables have them all.
        warnings.filterwarnings("ignore", "Glyph")
        drawn.savefig(
            file,
            format=form,
            dpi=DOTS_PER_INCH,
            bbox_inches="tight",
            **settings[form],
        )
    content = base64.b64encode(file.getvalue()).decode()
    return f"data:image/{form};base64,{content}"
