import base64
import html.parser
import io
import re

import numpy as np
import pytest
from PIL import Image

from keras_squeezenet.report import html_page


class Page(html.parser.HTMLParser):
    """The text and the attributes of a page."""

    def __init__(self, page):
        super().__init__()
        self.texts, self.tags = [], []
        self.feed(page)
        self.text = " ".join(" ".join(self.texts).split())

    def handle_data(self, data):
        self.texts.append(data)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def test_page_needs_nothing_else(make, pictures):
    page = html_page.html(make(), pictures)
    assert "http" not in re.sub(r'src="data:[^"]*"', "", page)
    tags = Page(page).tags
    assert not {"script", "link", "iframe"} & {tag for tag, _ in tags}
    sources = [found["src"] for tag, found in tags if tag == "img"]
    assert len(sources) == len(html_page.PICTURES) + 1
    for source in sources:
        kind, content = source.split(",")
        assert kind in ("data:image/png;base64", "data:image/jpeg;base64")
        image = Image.open(io.BytesIO(base64.b64decode(content)))
        # It shows something.
        assert len(np.unique(np.asarray(image.convert("L")))) > 10


def test_page_has_the_figures_of_the_tables(make, pictures):
    text = Page(html_page.html(make(), pictures)).text
    assert text.count("squeezenet on digits") == 2
    for words in (
        "98.77% → 97.00%",
        "1452.6 times fewer 2,905,128 → 2,000",
        "100% → 33.0%",
        "model_int8.tflite 812 270 95.00% 99.00% 4.0e-03",
    ):
        assert words in text, words


def test_headline_is_that_of_the_last_stage(make):
    made = make()
    # As in dense-sparse-dense training, whose last stage is no smaller.
    made["stages"][1] |= {"huffman_bytes": 8_500, "density": 1.0}
    assert list(html_page.headline(made)) == [
        ("Accuracy", "98.77%", "97.00%"),
        (
            "Bytes as Deep Compression counts, 341.8 times fewer",
            "2,905,128",
            "8,500",
        ),
        (
            "Bytes of the smallest file, model_int8.tflite, and gzipped",
            "812",
            "270",
        ),
        ("Density", "100%", "100.0%"),
    ]


def test_page_of_photographs_stays_small(make):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (12, 57, 57, 3), "uint8")
    photographs = list(noise.repeat(4, 1).repeat(4, 2))
    made = make()
    made["samples"] *= 12
    assert len(html_page.html(made, photographs)) < 1_500_000


def test_names_cannot_break_the_page(make, pictures):
    evil = "<script>alert('$x$')</script>"
    made = make(
        dataset={"name": evil, "classes": [evil, "$a_{", "犬" * 40]},
        message=evil,
        status="accuracy_lost",
    )
    page = Page(html_page.html(made, pictures))
    assert "script" not in {tag for tag, _ in page.tags}
    assert f"Accuracy was lost: {evil}" in page.text


def test_page_leaves_out_what_there_is_not(make):
    made = make(sensitivity=None, samples=[])
    page = Page(html_page.html(made))
    headings = "".join(page.texts)
    assert "Sensitivity" not in headings and "Samples" not in headings
    assert "Confusion" in headings


def test_same_report_gives_the_same_page(make, pictures):
    assert html_page.html(make(), pictures) == html_page.html(make(), pictures)


@pytest.mark.parametrize("classes", [2, 30, 100])
def test_any_number_of_classes_has_a_matrix(classes, make):
    matrix = np.eye(classes, dtype=int).tolist()
    made = make(
        dataset={"classes": [f"class {i}" for i in range(classes)]},
        confusion=matrix,
    )
    assert 'alt="Confusion"' in html_page.html(made)
