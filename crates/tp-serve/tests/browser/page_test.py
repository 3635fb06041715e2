"""Drives the page of `talking-points serve` as a person does, in headless Chromium.

    python page_test.py http://127.0.0.1:8080 [--pictures FOLDER] [names of tests]

Answers come from the server, except where a test needs one that no model gives on demand (an error, a name, "not found"):
these are put in the place of the server's by a `fetch` of the test. Every test also fails on a console error, on a violation of
the content security policy, and on a request to another host.
"""

import argparse
import json
import shutil
import struct
import sys
import tempfile
import unittest
import zlib
from pathlib import Path
from urllib.request import urlopen

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

URL = ""
PICTURES = None

# Runs before the page's own scripts: `forged` are answers for the next requests, `requests` what was asked.
HOOKS = """
window.test = { forged: [], requests: [], violations: [] };
document.addEventListener("securitypolicyviolation", (event) => test.violations.push(event.violatedDirective + " " + event.blockedURI));
const serverFetch = window.fetch.bind(window);
window.fetch = async (path, options = {}) => {
  const { body } = options;
  const isForm = body instanceof FormData;
  const json = typeof body === "string" ? JSON.parse(body) : null;
  test.requests.push({ path, kind: isForm ? "form" : typeof body, body: json, sent: isForm ? body.get("image").type : null });
  const index = test.forged.findIndex((answer) => answer.path === path);
  if (index < 0) return serverFetch(path, options);
  const [{ status = 200, headers = {}, json: answer, pieces, unreachable }] = test.forged.splice(index, 1);
  if (unreachable) throw new TypeError("Failed to fetch");
  if (answer) return new Response(JSON.stringify(answer), { status, headers: { "content-type": "application/json", ...headers } });
  const bytes = new TextEncoder();
  const stream = new ReadableStream({
    pull(controller) {
      if (pieces.length > 0) controller.enqueue(bytes.encode(pieces.shift()));
      else controller.error(new TypeError("network error"));
    },
  }, { highWaterMark: 0 });
  return new Response(stream, { status, headers: { "content-type": "text/event-stream", ...headers } });
};
"""

ANSWERED = """
  const cards = [...document.querySelectorAll(".answer")];
  return cards.length === arguments[0] && cards.every((card) => card.getAttribute("aria-busy") === "false");
"""


def start_browser():
    options = webdriver.ChromeOptions()
    options.binary_location = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))


class Page(unittest.TestCase):
    """One browser for all tests, a fresh page for each."""

    @classmethod
    def setUpClass(cls):
        cls.browser = start_browser()
        cls.browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": HOOKS})
        cls.folder = tempfile.TemporaryDirectory()

    @classmethod
    def tearDownClass(cls):
        cls.browser.quit()
        cls.folder.cleanup()

    def setUp(self):
        self.screen()
        self.theme("light")
        self.load()
        self.run_script("localStorage.clear()")

    def tearDown(self):
        messages = [entry["message"] for entry in self.browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
        self.assertEqual(messages, [], "the console is quiet")
        self.assertEqual(self.run_script("return test.violations"), [], "the content security policy holds")
        for entry in self.browser.get_log("performance"):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                address = event["params"]["request"]["url"]
                self.assertTrue(address.startswith((URL, "blob:" + URL, "data:")), f"asks only its own server, not {address}")

    # What a person does.

    def screen(self, width=1280, height=800, density=1, touch=False):
        metrics = {"width": width, "height": height, "deviceScaleFactor": density, "mobile": touch}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": touch})

    def theme(self, name):
        features = [{"name": "prefers-color-scheme", "value": name}, {"name": "prefers-reduced-motion", "value": "reduce"}]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def load(self):
        self.browser.get(URL + "/")
        self.until(lambda: self.run_script("return document.getElementById('model-choice').length") > 0)

    def open_example(self, name):
        self.browser.find_element(By.CSS_SELECTOR, f".examples [data-example={name}]").click()
        self.until(lambda: self.photograph().startswith(f"{name}.jpg"))

    def open_file(self, name, content):
        path = Path(self.folder.name, name)
        path.write_bytes(content)
        self.element("file").send_keys(str(path))

    def click(self, x, y):
        """Clicks at a share of the photograph's width and height."""
        frame = self.element("frame")
        width, height = self.frame_size()
        ActionChains(self.browser).move_to_element_with_offset(
            frame, round((x - 0.5) * width), round((y - 0.5) * height)
        ).click().perform()

    def press_undo(self):
        ActionChains(self.browser).key_down(Keys.CONTROL).send_keys("z").key_up(Keys.CONTROL).perform()

    def find(self, words):
        field = self.element("words")
        field.clear()
        field.send_keys(words, Keys.ENTER)

    def copied(self, card):
        """The JSON that a card's button copies."""
        permissions = {"origin": URL, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
        self.browser.execute_cdp_cmd("Browser.grantPermissions", permissions)
        self.run_script("navigator.clipboard.writeText('')")
        card.find_element(By.CSS_SELECTOR, "[aria-label^=Copy]").click()
        read = "const [done] = arguments; navigator.clipboard.readText().then(done, (error) => done(''))"
        self.until(lambda: self.browser.execute_async_script(read) != "")
        return json.loads(self.browser.execute_async_script(read))

    def picture(self, name):
        if PICTURES:
            self.browser.save_screenshot(str(PICTURES / f"{name}.png"))

    # What a person sees.

    def element(self, id):
        return self.browser.find_element(By.ID, id)

    def text(self, id):
        return self.run_script("return document.getElementById(arguments[0]).textContent", id)

    def photograph(self):
        return self.element("frame").get_attribute("aria-label") or ""

    def frame_size(self):
        return self.run_script(
            "const { clientWidth, clientHeight } = document.getElementById('frame'); return [clientWidth, clientHeight]"
        )

    def cards(self):
        """The answers, the newest first."""
        return self.browser.find_elements(By.CSS_SELECTOR, ".answer")

    def asked(self, card):
        """The column and the row that a card is about."""
        return tuple(int(number) for number in card.find_element(By.CLASS_NAME, "asked").text.split(", "))

    def paint(self, x, y):
        """Red, green, blue and opacity of what is drawn over the photograph at a share of its width and height."""
        script = """
            const canvas = document.getElementById("overlay");
            const frame = document.getElementById("frame");
            const scale = canvas.width / canvas.getBoundingClientRect().width;
            const margin = (canvas.getBoundingClientRect().width - frame.clientWidth) / 2;
            const at = (share, size) => Math.round((share * size + margin) * scale);
            const copy = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
            copy.drawImage(canvas, -at(arguments[0], frame.clientWidth), -at(arguments[1], frame.clientHeight));
            return [...copy.getImageData(0, 0, 1, 1).data];
        """
        return self.run_script(script, x, y)

    # Tools.

    def run_script(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def until(self, condition, seconds=60):
        return WebDriverWait(self.browser, seconds, poll_frequency=0.05).until(lambda _: condition())

    def until_answered(self, count):
        self.until(lambda: self.run_script(ANSWERED, count))

    def until_frame(self):
        """Until the browser has drawn twice."""
        self.browser.execute_async_script("const [done] = arguments; requestAnimationFrame(() => requestAnimationFrame(done))")

    def forge(self, *answers):
        self.run_script("test.forged.push(...arguments[0])", answers)

    def requests(self, path):
        return [request for request in self.run_script("return test.requests") if request["path"] == path]


def described(text, name=None, width=640, height=360):
    """The answer of /v1/describe about one point."""
    image = {"width": width, "height": height, "hash": "0" * 64}
    return {
        "path": "v1/describe",
        "json": {
            "image": image,
            "model": "tiny",
            "points": [{"x": 1, "y": 1, "description": text, "name": name}],
            "seconds": {"describe": 0.1},
        },
    }


def located(point, confidence=0.61, width=640, height=360):
    """The answer of /v1/locate about one text; no point means not found."""
    values = [0.0] * 6
    values[4] = 0.9
    result = {"text": "", "located": point, "confidence": confidence if point else None}
    result["heatmap"] = {"width": 3, "height": 2, "values": values}
    image = {"width": width, "height": height, "hash": "0" * 64}
    return {"path": "v1/locate", "json": {"image": image, "model": "tiny", "results": [result], "seconds": {"locate": 0.1}}}


def problem(path, kind, status, detail, **headers):
    document = {"type": f"urn:talking-points:{kind}", "title": kind, "status": status, "detail": detail}
    return {"path": path, "status": status, "json": document, "headers": headers}


def png(width, height):
    """A gray PNG."""
    rows = b"".join(b"\0" + bytes(120 + 8 * (column % 2) for column in range(width)) for _ in range(height))

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def turned(jpeg, orientation):
    """A JPEG with an EXIF orientation."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    segment = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]


class Start(Page):
    def test_says_what_it_is_and_that_nothing_leaves(self):
        self.assertEqual(self.element("start").find_element(By.TAG_NAME, "h2").text, "Click a point.\nRead what is there.")
        self.assertEqual(len(self.browser.find_elements(By.CSS_SELECTOR, ".examples button")), 3)
        self.assertIn("no photograph leaves it", self.text("about"))
        self.picture("start")

    def test_the_server_forbids_scripts_and_styles_of_others(self):
        with urlopen(URL + "/") as response:
            policy = response.headers["Content-Security-Policy"]
            self.assertEqual(response.headers["X-Content-Type-Options"], "nosniff")
        self.assertIn("default-src 'self'", policy)
        self.assertNotIn("unsafe", policy)

    def test_dark_by_system_and_by_button(self):
        ground = "return getComputedStyle(document.body).backgroundColor"
        light = self.run_script(ground)
        self.theme("dark")
        dark = self.run_script(ground)
        self.assertNotEqual(light, dark)
        self.picture("start_dark")
        self.element("theme").click()
        self.assertEqual(self.run_script(ground), light)
        self.load()
        self.assertEqual(self.run_script(ground), light, "the choice is kept")

    def test_what_is_not_a_picture_is_said(self):
        self.open_file("notes.txt", b"not a picture")
        self.until(lambda: self.element("notice").is_displayed())
        self.assertIn("“notes.txt” is not a picture", self.text("notice-text"))
        self.assertTrue(self.element("start").is_displayed())

    def test_a_dropped_and_a_pasted_picture_are_opened(self):
        script = """
            const [event, name, width, height, done] = arguments;
            const canvas = Object.assign(document.createElement("canvas"), { width, height });
            canvas.getContext("2d").fillRect(0, 0, 9, 9);
            canvas.toBlob((blob) => {
              const data = new DataTransfer();
              data.items.add(new File([blob], name, { type: blob.type }));
              document.body.dispatchEvent(event === "drop"
                ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
                : new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
              done();
            }, "image/jpeg");
        """
        # 12 megapixels, and as large a picture turned upright.
        for event, name, width, height in (("drop", "large.jpg", 4000, 3000), ("paste", "tall.jpg", 900, 3600)):
            self.browser.execute_async_script(script, event, name, width, height)
            self.until(lambda: self.photograph() == f"{name}, {width} by {height} pixels")
            shown_width, shown_height = self.frame_size()
            self.assertAlmostEqual(shown_width / shown_height, width / height, delta=0.02)
            self.assertLess(shown_height, 800, "it is shown whole")
        self.click(0.5, 0.75)
        self.until_answered(1)
        self.assertEqual(self.requests("v1/describe")[0]["kind"], "form")
        x, y = self.asked(self.cards()[0])
        self.assertAlmostEqual(x, 450, delta=2 * 900 / shown_width)
        self.assertAlmostEqual(y, 2700, delta=2 * 900 / shown_width)


class Points(Page):
    def setUp(self):
        super().setUp()
        self.open_example("horse")

    def test_a_point_is_described_and_found_again(self):
        self.click(0.47, 0.36)
        self.until_answered(1)
        [card] = self.cards()
        [describe, locate] = self.copied(card)

        point = describe["request"]["body"]["points"][0]
        self.assertAlmostEqual(point["x"], 0.47 * 640, delta=1)
        self.assertAlmostEqual(point["y"], 0.36 * 360, delta=1)
        description = describe["answer"]["points"][0]["description"]
        self.assertEqual(card.find_element(By.CLASS_NAME, "written").text, description)
        self.assertEqual(locate["request"]["body"]["texts"], [description])
        self.assertEqual(locate["request"]["body"]["image_hash"], describe["answer"]["image"]["hash"])
        self.assertIn(description, self.text("announcements"))

        self.assertGreater(self.paint((point["x"] + 0.5) / 640, (point["y"] + 0.5) / 360)[3], 0, "the asked point is marked")
        found = locate["answer"]["results"][0]["located"]
        if found:
            distance = ((found["x"] - point["x"]) ** 2 + (found["y"] - point["y"]) ** 2) ** 0.5
            shown = f"{distance:.1f}".removesuffix(".0") if distance < 10 else f"{distance:.0f}"
            self.assertIn(f"Found again {shown} px away", card.text)
            self.assertGreater(self.paint((found["x"] + 0.5) / 640, (found["y"] + 0.5) / 360)[3], 0, "the found point is marked")
        else:
            self.assertIn("Not found again from these words.", card.text)
        self.picture("point")

    def test_the_photograph_is_sent_once(self):
        for count, (x, y) in enumerate([(0.3, 0.3), (0.7, 0.3), (0.5, 0.8)], start=1):
            self.click(x, y)
            self.until(lambda: len(self.cards()) == count)
        self.until_answered(3)
        kinds = [request["kind"] for request in self.requests("v1/describe") + self.requests("v1/locate")]
        self.assertEqual(kinds.count("form"), 1)
        numbers = [card.find_element(By.CLASS_NAME, "badge").text for card in self.cards()]
        self.assertEqual(numbers, ["3", "2", "1"])
        colours = {card.find_element(By.CLASS_NAME, "badge").value_of_css_property("background-color") for card in self.cards()}
        self.assertEqual(len(colours), 3)
        self.picture("points")

    def test_a_forgotten_photograph_is_sent_again(self):
        self.click(0.3, 0.3)
        self.until_answered(1)
        self.forge(problem("v1/describe", "image-not-cached", 404, "send it again"))
        self.click(0.6, 0.4)
        self.until_answered(2)
        self.assertEqual([request["kind"] for request in self.requests("v1/describe")], ["form", "string", "form"])
        self.assertTrue(self.cards()[0].find_element(By.CLASS_NAME, "written").text)

    def test_layers_are_told_apart(self):
        name = {
            "object": "computer mouse",
            "object_probability": 0.914,
            "part": "button",
            "part_probability": 0.47,
            "colour": "light gray",
        }
        text = "A small computer mouse is in the lower left of the image. The point sits on its button, in the middle of the computer mouse, where it is light gray."
        self.forge(described(text, name), located({"x": 100, "y": 50}))
        self.click(0.2, 0.2)
        self.until_answered(1)
        [card] = self.cards()
        self.assertEqual(card.find_element(By.CLASS_NAME, "written").text, text)
        words = {
            layer: {mark.text for mark in card.find_elements(By.CSS_SELECTOR, f".written mark.{layer}")}
            for layer in ("object", "part", "colour")
        }
        self.assertEqual(words, {"object": {"computer mouse"}, "part": {"button"}, "colour": {"light gray"}})
        places = [place.text for place in card.find_elements(By.CSS_SELECTOR, ".written .place")]
        self.assertEqual(places, ["in the lower left of the image", "in the middle of the computer mouse"])
        layers = card.find_element(By.CLASS_NAME, "layers").text
        self.assertIn("computer mouse 91 %", layers)
        self.assertIn("button 47 %", layers)

    def test_words_of_a_server_are_never_html(self):
        text = 'A <img src="x" onerror="test.violations.push(1)"> <b>thing</b> is here.'
        self.forge(described(text, {"object": "<b>thing</b>", "part": None, "colour": None}), located(None))
        self.click(0.2, 0.2)
        self.until_answered(1)
        [card] = self.cards()
        self.assertEqual(card.find_element(By.CLASS_NAME, "written").text, text)
        self.assertEqual(card.find_elements(By.CSS_SELECTOR, "img, b"), [])

    def test_keys_ask_undo_and_clear(self):
        self.run_script("document.getElementById('frame').focus()")
        actions = ActionChains(self.browser).send_keys(Keys.ARROW_RIGHT * 3, Keys.ARROW_UP).key_down(Keys.SHIFT)
        actions.send_keys(Keys.ARROW_DOWN * 2).key_up(Keys.SHIFT).perform()
        self.until(lambda: self.text("crosshair-position") == "323, 211")
        ActionChains(self.browser).send_keys(Keys.ENTER).perform()
        self.until_answered(1)
        self.assertIn("323, 211", self.cards()[0].text)
        self.picture("keys")

        self.click(0.2, 0.2)
        self.until_answered(2)
        self.element("clear").click()
        self.assertEqual(self.cards(), [])
        self.press_undo()
        self.assertEqual(len(self.cards()), 2)
        self.element("undo").click()
        self.assertEqual(len(self.cards()), 1)
        self.cards()[0].find_element(By.CSS_SELECTOR, "[aria-label^=Remove]").click()
        self.assertEqual(self.cards(), [])
        self.press_undo()
        self.assertIn("323, 211", self.cards()[0].text)

    def test_a_question_that_is_cleared_can_be_asked_again(self):
        self.forge(problem("v1/describe", "busy", 429, "8 requests wait", **{"retry-after": "60"}))
        self.click(0.2, 0.2)
        self.until(lambda: "asked again in" in self.cards()[0].text)
        self.element("clear").click()
        self.element("undo").click()
        self.assertIn("stopped", self.cards()[0].text)
        self.cards()[0].find_element(By.XPATH, ".//button[text()='Ask again']").click()
        self.until_answered(1)
        self.assertTrue(self.cards()[0].find_element(By.CLASS_NAME, "written").text)

    def test_the_marks_are_sharp_on_a_dense_screen(self):
        self.screen(density=2)
        self.load()
        self.open_example("horse")
        self.until_frame()
        self.assertEqual(self.run_script("return document.getElementById('overlay').width"), 2 * (self.frame_size()[0] + 36))


class Words(Page):
    def setUp(self):
        super().setUp()
        self.open_example("horse")

    def test_words_are_found_and_the_heat_map_is_faded_in(self):
        self.find("the horse’s head")
        self.until_answered(1)
        [card] = self.cards()
        [locate] = self.copied(card)
        [result] = locate["answer"]["results"]
        self.assertEqual(len(result["heatmap"]["values"]), result["heatmap"]["width"] * result["heatmap"]["height"])
        if result["located"]:
            self.assertIn(f"confidence {100 * result['confidence']:.0f} %", card.text)

        self.assertEqual(self.paint(0.02, 0.98)[3], 0)
        slider = self.element("heat-strength")
        opacities = []
        for _ in range(2):
            slider.send_keys(Keys.PAGE_UP * 4)
            self.until_frame()
            opacities.append(self.paint(0.02, 0.98)[3])
        self.assertTrue(0 < opacities[0] < opacities[1], f"it fades in: {opacities}")
        self.picture("words")

    def test_points_and_words_are_on_one_photograph(self):
        self.screen(1280, 770)
        self.click(300.5 / 640, 130.5 / 360)
        self.until_answered(1)
        self.click(215.5 / 640, 230.5 / 360)
        self.until_answered(2)
        self.find("the horse’s head")
        self.until_answered(3)
        self.assertEqual(self.text("heat-label"), "Heat-map of 3")
        self.cards()[0].find_element(By.CSS_SELECTOR, "[aria-label^=Heat]").click()
        self.until_frame()
        self.picture("overview")  # docs/serve.jpg
        self.cards()[2].find_element(By.CLASS_NAME, "badge").click()
        self.assertEqual(self.text("heat-label"), "Heat-map of 1")
        pressed = [card.find_element(By.CLASS_NAME, "badge").get_attribute("aria-pressed") for card in self.cards()]
        self.assertEqual(pressed, ["false", "false", "true"])

    def test_the_heat_map_is_where_the_probability_is(self):
        self.forge(located({"x": 320, "y": 270}))
        self.find("the floor")
        self.until_answered(1)
        self.cards()[0].find_element(By.CSS_SELECTOR, "[aria-label^=Heat]").click()
        self.until_frame()
        bright, dark = self.paint(0.42, 0.75), self.paint(0.1, 0.1)  # inside the cell, beside the cross
        self.assertGreater(bright[0], dark[0] + 100)

    def test_not_found_is_said_plainly(self):
        self.forge(located(None))
        self.find("an elephant")
        self.until_answered(1)
        self.assertIn("Not found in this image.", self.cards()[0].text)
        self.assertIn("“an elephant”: Not found in this image.", self.text("announcements"))
        self.picture("not_found")

    def test_a_place_that_the_model_doubts_is_said_with_doubt(self):
        for count, (confidence, words) in enumerate([(0.25, "Perhaps at 9, 8"), (0.5, "Found at 9, 8")], start=1):
            self.forge(located({"x": 9, "y": 8}, confidence))
            self.find("a bird")
            self.until_answered(count)
            self.assertIn(words, self.cards()[0].text)
            self.assertIn(words, self.text("announcements"))

    def test_no_words_are_no_question(self):
        self.find("   ")
        self.assertTrue(self.element("words-problem").is_displayed())
        self.assertEqual(self.cards(), [])

    def test_one_of_several_models_is_chosen(self):
        models = [{"name": "tiny", "default": False}, {"name": "field", "default": True}]
        source = f"test.forged.push({json.dumps({'path': 'v1/models', 'json': {'models': models}})})"
        script = self.browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})
        self.load()
        self.browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
        choice = self.element("model-choice")
        self.assertTrue(choice.is_displayed())
        self.assertEqual(choice.get_attribute("value"), "field", "the default one comes first")
        self.assertIn("“field”", self.text("about"))
        choice.send_keys("tiny")
        self.until(lambda: "12.6 million" in self.text("about"))
        self.open_example("horse")
        self.forge(described("A horse."), located(None))
        self.click(0.5, 0.5)
        self.until_answered(1)
        self.assertEqual(self.requests("v1/locate")[0]["body"]["model"], "tiny")
        self.picture("models")


class Coordinates(Page):
    def test_a_turned_jpeg_is_asked_about_as_it_is_displayed(self):
        with urlopen(URL + "/examples/horse.jpg") as response:
            jpeg = response.read()
        self.open_file("turned.jpg", turned(jpeg, 6))
        self.until(lambda: self.photograph() == "turned.jpg, 360 by 640 pixels")
        self.click(0.25, 0.75)
        self.until_answered(1)
        [card] = self.cards()
        x, y = self.asked(card)
        self.assertAlmostEqual(x, 90, delta=1)
        self.assertAlmostEqual(y, 480, delta=1)
        self.assertTrue(card.find_element(By.CLASS_NAME, "written").text, "the server sees the same picture")

    def test_a_format_that_the_server_does_not_know_is_sent_as_png(self):
        drawing = b'<svg xmlns="http://www.w3.org/2000/svg" width="90" height="60"><rect width="40" height="60"/></svg>'
        self.open_file("drawing.svg", drawing)
        self.until(lambda: self.photograph() == "drawing.svg, 90 by 60 pixels")
        self.click(0.7, 0.5)
        self.until_answered(1)
        self.assertEqual(self.requests("v1/describe")[0]["sent"], "image/png")
        self.assertTrue(self.cards()[0].find_element(By.CLASS_NAME, "written").text)

    def test_every_pixel_of_a_tiny_picture_can_be_clicked(self):
        self.open_file("tiny.png", png(8, 6))
        self.until(lambda: self.photograph() == "tiny.png, 8 by 6 pixels")
        for count, (column, row) in enumerate([(0, 0), (7, 0), (3, 2), (0, 5), (7, 5)], start=1):
            self.forge(described("A thing.", width=8, height=6), located({"x": column, "y": row}, width=8, height=6))
            self.click((column + 0.5) / 8, (row + 0.5) / 6)
            self.until_answered(count)
            self.assertIn(f"{column}, {row}\n", self.cards()[0].text)
            self.assertIn("Found again 0 px away", self.cards()[0].text)
        self.picture("tiny")

    def test_another_size_at_the_server_is_an_error(self):
        self.open_example("horse")
        self.forge(described("A horse.", width=360, height=640))
        self.click(0.5, 0.5)
        self.until_answered(1)
        self.assertIn("another size", self.cards()[0].text)


class Problems(Page):
    def setUp(self):
        super().setUp()
        self.open_example("cat")

    def trouble(self):
        return self.cards()[0].find_element(By.CLASS_NAME, "trouble").text

    def press(self, name):
        self.cards()[0].find_element(By.XPATH, f".//button[text()='{name}']").click()

    def test_a_busy_server_is_asked_again(self):
        self.forge(problem("v1/describe", "busy", 429, "8 requests wait", **{"retry-after": "60"}))
        self.click(0.4, 0.4)
        self.until(lambda: "asked again in" in self.cards()[0].text)
        self.assertRegex(self.trouble(), r"The server is busy .* again in (60|59|58) s\.")
        self.picture("busy")
        self.press("Try now")
        self.until_answered(1)
        self.assertTrue(self.cards()[0].find_element(By.CLASS_NAME, "written").text)

    def test_a_server_that_is_gone(self):
        self.forge({"path": "v1/describe", "unreachable": True})
        self.click(0.4, 0.4)
        self.until_answered(1)
        self.assertIn("Start it again with “talking-points serve”", self.trouble())
        self.assertIn("Start it again", self.text("announcements"))
        self.press("Try again")
        self.until(lambda: self.run_script(ANSWERED, 1) and self.cards()[0].find_elements(By.CLASS_NAME, "verdict"))

    def test_an_answer_that_breaks_off(self):
        pieces = ['event: text\ndata: {"point":0,"text":"A cat is"}\n\n', "event: te"]
        self.forge({"path": "v1/describe", "pieces": pieces})
        self.click(0.4, 0.4)
        self.until_answered(1)
        self.assertIn("ended in the middle of the answer", self.trouble())
        self.assertIn("A cat is", self.cards()[0].text)

    def test_an_error_inside_of_a_stream(self):
        data = json.dumps({"type": "urn:talking-points:timeout", "status": 503, "detail": "longer than 30 s"})
        self.forge({"path": "v1/describe", "pieces": [f"event: error\ndata: {data}\n\n"]})
        self.click(0.4, 0.4)
        self.until_answered(1)
        self.assertIn("needed longer than it may", self.trouble())
        self.assertIn("longer than 30 s", self.trouble())

    def test_what_cannot_be_tried_again_names_the_way_out(self):
        for kind, status, way_out in (
            ("too-large", 413, "Open a smaller copy"),
            ("not-an-image", 422, "Open a JPEG, a PNG or a WebP"),
        ):
            self.forge(problem("v1/describe", kind, status, "the server's sentence"))
            self.click(0.4, 0.4)
            self.until(lambda: self.cards() and self.cards()[0].find_elements(By.CLASS_NAME, "trouble"))
            self.assertIn(way_out, self.trouble())
            self.assertIn("the server's sentence", self.trouble())
            self.assertNotIn("Try again", self.trouble())
            self.element("clear").click()


class Narrow(Page):
    def test_it_fits_and_is_tapped(self):
        self.screen(360, 740, density=2, touch=True)
        self.load()
        width = "return document.documentElement.scrollWidth"
        self.assertEqual(self.run_script(width), 360)
        self.picture("narrow_start")
        self.open_example("coffee")
        self.run_script("scrollTo(0, 0)")
        box = self.run_script("return document.getElementById('frame').getBoundingClientRect().toJSON()")
        point = {"x": box["x"] + 0.25 * box["width"], "y": box["y"] + 0.5 * box["height"]}
        self.browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
        self.browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        self.until_answered(1)
        self.assertRegex(self.cards()[0].text, r"\b1(49|50), (199|200)\b")
        self.assertEqual(self.run_script(width), 360)
        self.picture("narrow")

    def test_a_long_text_without_spaces_does_not_widen_it(self):
        self.screen(360, 740, touch=True)
        self.load()
        self.open_example("horse")
        self.forge(described("A" * 300, {"object": "b" * 90, "part": "c" * 90, "colour": "brown"}), located({"x": 9, "y": 9}))
        self.run_script("document.getElementById('frame').focus()")
        ActionChains(self.browser).send_keys(Keys.ENTER, Keys.ENTER).perform()
        self.until_answered(1)
        self.assertEqual(self.run_script("return document.documentElement.scrollWidth"), 360)


class Modules(Page):
    """The modules that need no page, called directly."""

    def call(self, module, expression):
        script = f"const done = arguments[0]; import('/{module}').then(async (m) => done(await ({expression})), (error) => done(String(error)))"
        return self.browser.execute_async_script(script)

    def test_events_are_read_however_they_are_cut(self):
        stream = (
            ": a comment\r\n"
            'event: text\r\ndata: {"text":\r\ndata: "é"}\r\n\r\n'  # one event's data in two lines
            "event: done\ndata: {}\n\n"
            "data: [1]\r\r"
            'event: text\ndata: "cut off"\n'
        )
        for size in (1, 2, 3, 1000):
            events = self.call(
                "event_stream.js",
                f"""(async () => {{
                  const bytes = new TextEncoder().encode({json.dumps(stream)});
                  const body = new ReadableStream({{ start(controller) {{
                    for (let at = 0; at < bytes.length; at += {size}) controller.enqueue(bytes.slice(at, at + {size}));
                    controller.close();
                  }} }});
                  const events = [];
                  for await (const event of m.readEvents({{ body }})) events.push(event);
                  return events;
                }})()""",
            )
            expected = [
                {"event": "text", "data": {"text": "é"}},
                {"event": "done", "data": {}},
                {"event": "message", "data": [1]},
            ]
            self.assertEqual(events, expected, f"pieces of {size} bytes")

    def test_pieces_of_a_description_join_to_it(self):
        text = "An ear (left) of 2 ears; its tip, at the top of the ear, is not pearl. 🐎"
        pieces = self.call("description.js", f"m.pieces({json.dumps(text)}, {{ object: 'ear', part: 'tip', colour: '(left)' }})")
        self.assertEqual("".join(piece["text"] for piece in pieces), text)
        self.assertEqual([piece["text"] for piece in pieces if piece["layer"] == "object"], ["ear", "ears", "ear"])
        self.assertEqual("".join(piece["text"] for piece in pieces if piece["isPlace"]), "at the top of the ear")

    def test_a_heat_map_that_is_not_whole_is_none(self):
        for heatmap in (
            {"width": 2, "height": 2, "values": [1]},
            {"width": 0, "height": 0, "values": []},
            {"width": 1, "height": 1},
        ):
            self.assertIsNone(self.call("heatmap.js", f"m.heatPicture({json.dumps(heatmap)})"))

    def test_probabilities_are_not_rounded_to_certainty(self):
        for probability, words in ((0, "0 %"), (0.004, "< 1 %"), (0.5, "50 %"), (0.999, "> 99 %"), (1, "100 %")):
            self.assertEqual(self.call("sentences.js", f"m.percent({probability})"), words)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="the address of a running server, e.g. http://127.0.0.1:8080")
    parser.add_argument("--pictures", type=Path, help="a folder for screenshots")
    arguments, rest = parser.parse_known_args()
    URL = arguments.url.rstrip("/")
    PICTURES = arguments.pictures
    if PICTURES:
        PICTURES.mkdir(parents=True, exist_ok=True)
    # A page that does not come up fails every test, each after its full time.
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2, failfast=True)
