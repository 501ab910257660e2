"""A report as one self-contained HTML page."""

import base64
import html as html_escapes
import io
import re
import warnings
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import jinja2
import matplotlib
import numpy as np
from matplotlib import figure
from PIL import Image

from keras_squeezenet.report import markdown_page
from keras_squeezenet.report import plots
from keras_squeezenet.report import report_tables
from keras_squeezenet.report.plots import style

# The page defines these colors, for its light mode and its dark mode.
COLORS = {
    "#000000": "currentColor",
    style.INK: "currentColor",
    style.GREY: "var(--grey)",
    style.BLUE: "var(--blue)",
    style.ORANGE: "var(--orange)",
    style.GREEN: "var(--green)",
    style.PURPLE: "var(--purple)",
    style.SKY: "var(--sky)",
}
# Images of fewer pixels a side are shown with visible pixels.
SMALL = 64
# The function, heading, caption and required field of each plot.
PLOTS: tuple[tuple[Callable[..., Any], str, str, str], ...] = (
    (
        plots.stages_and_files,
        "Size and accuracy",
        "Each row above the line is a stage of the pipeline, each row below "
        "it a file. Further left is smaller. Huffman size: the weights as "
        "Deep Compression counts them.",
        "stages",
    ),
    (
        plots.pack,
        "Size, divergence and accuracy of packed files",
        "Each point is a file for another lambda, the cost of a bit. Bars "
        "are standard errors, of the accuracy that of the change.",
        "packing",
    ),
    (
        plots.layers,
        "Density and bits of each layer",
        "Density is the share of the weights of a kernel that are not zero. "
        "The bits are those of a fixed-length code for its distinct values.",
        "layers",
    ),
    (
        plots.training,
        "Training",
        "Every epoch of every stage. A stage that was retried shows its last "
        "attempt.",
        "stages",
    ),
    (
        plots.confusion,
        "Confusion",
        "The compressed network. Each row shows which classes are predicted "
        "for the images of one class.",
        "confusion",
    ),
    (
        plots.sensitivity,
        "Sensitivity",
        "Accuracy on validation images when a single layer is pruned or "
        "clustered, without training afterwards. The most sensitive layers "
        "are colored.",
        "sensitivity",
    ),
    (
        plots.histograms,
        "Kernels before and after",
        "Histograms of the weights, each with its own scale. Clustered "
        "weights have few distinct values.",
        "histograms",
    ),
)


def html(
    report: dict[str, Any],
    images: Sequence[tuple[np.ndarray, np.ndarray | None]] = (),
) -> str:
    """Return a report as HTML.

    `images` has each sample without and with its heat map, if it has one, as
    uint8 RGB.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("keras_squeezenet.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    stages, layers, *results = report_tables.tables(report)
    return environment.get_template("report.html.jinja").render(
        report=report,
        title=markdown_page.title(report),
        summary=markdown_page.summary(report),
        headline=headline(report),
        end=markdown_page.ENDS.get(report["status"]),
        results=[stages, *results],
        plots=list(_plots(report)),
        samples=list(_samples(report, images)),
        layers=layers,
        made_with=markdown_page.made_with(report)
        .replace("`", "")
        .split("\n\n"),
    )


def headline(report: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Yield the figures at the top: `(name, before, after, explanation)`."""
    stages = report["stages"]
    first, last = stages[0], stages[-1]
    split = report_tables.tested_on(report)
    yield (
        report_tables.accuracy_of(report["dataset"], split).capitalize(),
        report_tables.percent(first["accuracy"]),
        report_tables.percent(last["accuracy"]),
        report_tables.accuracy_term(report),
    )
    sizes = []
    if last["huffman_bytes"] is not None:
        sizes.append(
            ("Huffman size", last["huffman_bytes"], report_tables.HUFFMAN)
        )
    if report["files"]:
        smallest = min(report["files"], key=lambda file: file["bytes"])
        name = f"Smallest file, {smallest['name']}"
        text = "bytes of the float32 weights and of the file"
        sizes.append((name, smallest["bytes"], text))
    for name, size, text in sizes:
        yield (
            f"{name}: {first['bytes'] / size:.1f} times smaller",
            f"{first['bytes']:,}",
            f"{size:,}",
            text,
        )
    yield (
        "Density",
        report_tables.percent(first["density"], 1),
        report_tables.percent(last["density"], 1),
        report_tables.DENSITY,
    )


def _plots(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for index, (draw, name, caption, field) in enumerate(PLOTS):
        if not report[field]:
            continue
        alone = field in ("sensitivity", "packing")
        # Text is not drawn as paths, and ids are reproducible.
        with matplotlib.rc_context(
            {"svg.fonttype": "none", "svg.hashsalt": "report"}
        ):
            drawn = draw(report[field] if alone else report)
            # Such as the epochs of a run that trained none.
            if not any(axes.has_data() for axes in drawn.axes):
                continue
            svg = _svg(drawn, f"plot{index}", name)
        yield {
            "name": name,
            "caption": caption,
            "svg": svg,
            "is_wide": drawn.get_figwidth() > 1.2 * style.WIDTH,
        }


def _svg(drawn: figure.Figure, prefix: str, name: str) -> str:
    """Return a figure as an SVG element in the colors of the page."""
    file = io.StringIO()
    with warnings.catch_warnings():
        # Matplotlib's font may lack the script of the class names.
        warnings.filterwarnings("ignore", "Glyph")
        drawn.savefig(
            file,
            format="svg",
            transparent=True,
            bbox_inches="tight",
            pad_inches=0.02,
            dpi=150,
        )
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    (view_box,) = re.findall(r'viewBox="[^"]*"', svg)
    start = (
        f'<svg {view_box} role="img" aria-label="{html_escapes.escape(name)}" '
        'xmlns="http://www.w3.org/2000/svg" '
        'xmlns:xlink="http://www.w3.org/1999/xlink">'
    )
    svg = re.sub(r"<svg\b[^>]*>", start, svg, count=1)
    # Make ids unique within the page.
    svg = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{prefix}-", svg)
    svg = re.sub(
        r"(font: [^;\"]*?px) [^;\"]*", r"\1 system-ui, sans-serif", svg
    )
    for color, variable in COLORS.items():
        svg = svg.replace(color, variable)
    return svg


def _samples(
    report: dict[str, Any],
    images: Sequence[tuple[np.ndarray, np.ndarray | None]],
) -> Iterator[dict[str, Any]]:
    classes = report["dataset"]["classes"]
    for (image, heat_map), sample in zip(images, report["samples"]):
        predictions = {
            model: f"{classes[sample[model]['class']]} "
            f"{report_tables.percent(sample[model]['probability'], 1)}"
            for model in ("dense", "compressed")
        }
        yield {
            "label": classes[sample["label"]],
            "predictions": predictions,
            "differs": sample["dense"]["class"]
            != sample["compressed"]["class"],
            "is_small": len(image) < SMALL,
            "url": _data_url(image),
            "heat_map": None if heat_map is None else _data_url(heat_map),
        }


def _data_url(image: np.ndarray) -> str:
    # As JPEG, photographs take a fifth of the bytes.
    kind = "png" if len(image) < SMALL else "jpeg"
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, quality=88)
    content = base64.b64encode(file.getvalue()).decode()
    return f"data:image/{kind};base64,{content}"
