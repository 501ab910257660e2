"""The page in a headless Chromium: what it computes, and how it looks."""

import functools
import http.server
import os
import shutil
import threading

import keras
import numpy as np
import pytest
from PIL import Image

from keras_squeezenet import SqueezeNet
from keras_squeezenet import classifier
from keras_squeezenet import metadata
from keras_squeezenet.data import image_ops
from keras_squeezenet.export import web_page

pytestmark = pytest.mark.slow
# The folder in which npm has installed TensorFlow.js.
TFJS = "KERAS_SQUEEZENET_TFJS"
SIDE = 64
NAMES = ("red_fox", "<b>cat</b>", "hen")


class Handler(http.server.SimpleHTTPRequestHandler):
    def end_headers(self):
        # A file that changed within a second looks the same to a cache.
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def browser():
    """A Chromium that this computer's ChromeDriver controls."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("this test needs Chromium and ChromeDriver from Debian")
    if not os.environ.get(TFJS):
        pytest.skip(f"this test needs the folder of TensorFlow.js in {TFJS}")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (
        *("--headless=new", "--no-sandbox", "--disable-gpu"),
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
    ):
        options.add_argument(flag)
    browser = webdriver.Chrome(options, webdriver.ChromeService(driver))
    browser.set_script_timeout(30)
    yield browser
    browser.quit()


def chain(model_name, shape, *layers):
    inputs = x = keras.Input(shape)
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x, name=model_name)


def make_images(side):
    """Images of one color each, and a little of others."""
    rng = np.random.default_rng(0)
    colors = rng.integers(0, 200, (8, 1, 1, 3))
    colors = (colors + rng.integers(0, 56, (8, 4, 4, 3))).astype("uint8")
    return colors.repeat(side // 4, axis=1).repeat(side // 4, axis=2)


def make_inputs(model, images, normalization):
    """Return images as a model takes them."""
    if model.input_shape[-1] == 3:
        return image_ops.normalize(images, normalization).numpy()
    gray = np.round(images @ np.array([0.299, 0.587, 0.114]))
    return gray[..., np.newaxis].astype("float32") / 255


def calm(model, images, normalization):
    """Scale the last kernel, so that no probability is 0 or 1."""
    *_, last = (layer for layer in model.layers if layer.weights)
    logits = keras.Model(model.input, last.output).predict_on_batch(
        make_inputs(model, images, normalization)
    )
    for weight in last.weights:
        weight.assign(weight / logits.std())


def make_models(randomize):
    """`{name: model}`: every type of layer, and every normalization."""
    layers = keras.layers
    shape = (SIDE, SIDE, 3)
    found = {
        "caffe": SqueezeNet(
            weights=None, input_shape=shape, classes=3, config="complex_bypass"
        ),
        "raw": SqueezeNet(weights=None, input_shape=shape, classes=3),
        # Its outputs are logits, and its first convolution pads.
        "torch": chain(
            *("torch", (16, 16, 3)),
            layers.ZeroPadding2D(((0, 1), (1, 0))),
            layers.Conv2D(8, 3, strides=2, padding="same", activation="gelu"),
            layers.MaxPooling2D(3, 2, padding="same"),
            layers.Conv2D(8, 1, use_bias=False, activation="mish"),
            layers.ReLU(),
            layers.Dropout(0.5),
            layers.GlobalMaxPooling2D(),
            layers.Dense(3),
        ),
        "unit": chain(
            *("unit", (16, 16, 1)),
            layers.Conv2D(8, 3, activation="leaky_relu"),
            layers.Conv2D(8, 3, padding="same", activation="hard_sigmoid"),
            layers.Dense(9, activation="elu"),
            layers.Activation("softsign"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
            layers.Softmax(),
        ),
    }
    for name, model in found.items():
        side, channels = model.input_shape[2:]
        calm(randomize(model), make_images(side), name)
        metadata.attach(model, metadata.Metadata(name, side, channels, NAMES))
    return found


@pytest.fixture(scope="module")
def networks(randomize):
    return make_models(randomize)


@pytest.fixture(scope="module")
def site(networks, tmp_path_factory):
    """A folder with a page for each network, and its address."""
    folder = tmp_path_factory.mktemp("site")
    for name, model in networks.items():
        web_page.write_web(model, folder / name, runtime=os.environ.get(TFJS))
    handler = functools.partial(Handler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def open_page(browser, site):
    """Returns a function that opens a page, and waits until it is ready."""

    def open_page(name, width=1200, scheme="light"):
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {
                "width": width,
                "height": 800,
                "deviceScaleFactor": 1,
                "mobile": width < 600,
            },
        )
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [feature]}
        )
        browser.get(f"{site[1]}/{name}/")
        return wait_for(browser, lambda text: text != "Loading…")

    return open_page


def wait_for(browser, condition):
    """Return the status of the page, when it fulfills a condition."""
    from selenium.webdriver.support.wait import WebDriverWait

    def find(browser):
        text = browser.find_element("id", "status").text
        return text if condition(text) else None

    return WebDriverWait(browser, 30, 0.02).until(find)


CLASSIFY = """
const [name, side, images, done] = arguments;
(async () => {
  const { loadClassifier } = await import(`/${name}/classifier.js`);
  const response = await fetch(`/${name}/model.sqz`);
  const content = new Uint8Array(await response.arrayBuffer());
  const classifier = await loadClassifier(tf, content, side);
  const rows = [];
  for (const image of images) {
    rows.push(Array.from(await classifier.classify(image)));
  }
  const before = tf.memory().numTensors;
  await classifier.classify(images[0]);
  return [rows, tf.memory().numTensors - before];
})().then(done, (error) => done(String(error)));
"""


def test_probabilities_are_those_of_keras(browser, networks, open_page):
    assert open_page("caffe") == "Ready."
    for name, model in networks.items():
        side = model.input_shape[1]
        images = make_images(side)
        received, leaked = browser.execute_async_script(
            CLASSIFY, name, side, images.reshape(len(images), -1).tolist()
        )
        assert leaked == 0
        expected = model.predict_on_batch(make_inputs(model, images, name))
        if name == "torch":
            expected = np.exp(expected)
            expected /= expected.sum(axis=1, keepdims=True)
        assert np.ptp(expected, axis=0).max() > 0.015
        np.testing.assert_allclose(received, expected, atol=1e-4, err_msg=name)


def choose(browser, path):
    """Choose a file as a user does; return the status and the classes."""
    before = "return document.querySelector('#results').replaceChildren()"
    browser.execute_script(before)
    browser.find_element("id", "file").send_keys(str(path))
    text = wait_for(
        browser, lambda text: text not in ("Ready.", "Classifying…")
    )
    items = browser.find_elements("css selector", "#results li")
    return text, [item.text.split("\n") for item in items]


def test_photograph_is_classified_as_predict_does(
    browser, site, open_page, tmp_path
):
    open_page("raw")
    rng = np.random.default_rng(1)
    colors = rng.integers(0, 256, (9, 12, 3), "uint8")
    network = classifier.load(site[0] / "raw" / "model.sqz")
    for size in ((SIDE, SIDE), (150, 100)):
        path = tmp_path / f"{size[0]}.png"
        Image.fromarray(colors).resize(size).save(path)
        (expected,) = network.predict(network.read(path)[np.newaxis])
        status, classes = choose(browser, path)
        assert status == "The network sees:"
        order = np.argsort(-expected)
        assert [name for name, _ in classes] == [
            NAMES[index].replace("_", " ") for index in order
        ]
        received = [float(percent.rstrip("%")) for _, percent in classes]
        np.testing.assert_allclose(received, 100 * expected[order], atol=0.2)
    figures = browser.find_element("id", "figures").text
    assert "824 kB" in figures and "Classified in" in figures


def test_what_is_not_a_photograph_is_one_error(browser, open_page, tmp_path):
    open_page("raw")
    path = tmp_path / "text.png"
    path.write_text("text")
    status, classes = choose(browser, path)
    assert status == "This is not an image that the browser can read."
    assert classes == []


def test_camera_takes_a_photograph(browser, open_page):
    open_page("raw")
    button = browser.find_element("id", "camera")
    button.click()
    wait_for(browser, lambda _: button.text == "Take photograph")
    button.click()
    wait_for(browser, lambda text: text == "The network sees:")
    assert button.text == "Camera"
    assert len(browser.find_elements("css selector", "#results li")) == 3


def test_damaged_files_are_one_error(browser, site, open_page):
    page = site[0] / "damaged"
    shutil.copytree(site[0] / "raw", page)
    content = bytearray((page / "model.sqz").read_bytes())
    content[-1] ^= 1
    (page / "model.sqz").write_bytes(content)
    status = open_page("damaged")
    assert "its checksum is wrong" in status
    shutil.copytree(site[0] / "raw", page, dirs_exist_ok=True)
    core = page / web_page.RUNTIME_FILES["core"].local_url
    core.write_text(core.read_text() + " ")
    assert "TensorFlow.js cannot be loaded" in open_page("damaged")
    shutil.rmtree(page)


LAYOUT = """
const box = (id) => document.getElementById(id).getBoundingClientRect();
const style = getComputedStyle(document.body);
return {
  overflow: document.documentElement.scrollWidth - innerWidth,
  beside: box("answer").left >= box("photograph").right,
  colors: [style.backgroundColor, style.color],
};
"""


@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_the_screen_and_its_colors(
    width, scheme, browser, open_page, tmp_path
):
    path = tmp_path / "wide.png"
    Image.new("RGB", (900, 90), "red").save(path)
    open_page("raw", width, scheme)
    choose(browser, path)
    found = browser.execute_script(LAYOUT)
    assert found["overflow"] <= 0
    assert found["beside"] == (width == 1200)
    background, text = (
        sum(map(int, color[4:-1].split(", "))) for color in found["colors"]
    )
    assert (background < text) == (scheme == "dark")
    assert abs(background - text) > 500
