"""The same loop as the Rust facade, through Python: described points are found again, and wrong input is refused by a sentence."""

import json
import os
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import talking_points

REPOSITORY = Path(__file__).resolve().parents[3]
HORSE = REPOSITORY / "examples" / "images" / "horse.jpg"
POINTS = [(300, 130), (450, 100)]


@pytest.fixture(scope="session")
def model():
    return talking_points.load(REPOSITORY / "models" / "tiny")


@pytest.fixture(scope="session")
def horse(model):
    return model.encode(HORSE)


def test_answers_are_those_of_the_command(model, horse):
    command = os.environ.get("TALKING_POINTS")
    if command is None:
        pytest.skip("TALKING_POINTS does not name the command")

    def printed(*arguments):
        output = subprocess.run([command, *arguments, "--image", HORSE, "--json"], cwd=REPOSITORY, check=True, capture_output=True).stdout
        return json.loads(output)

    described = model.describe(horse, POINTS)
    expected = printed("describe", *(f"--point={x},{y}" for x, y in POINTS))["points"]
    assert [words.text for words in described] == [point["description"] for point in expected]
    assert [words.log_prob for words in described] == pytest.approx([point["log_prob"] for point in expected])
    assert vars(described[0].name) == pytest.approx(expected[0]["name"])
    texts = [described[0].text, "the horse's head"]
    found = model.locate(horse, texts)
    for ours, theirs in zip(found, printed("locate", *(f"--text={text}" for text in texts))["results"]):
        assert [ours.x, ours.y] == pytest.approx([theirs["located"]["x"], theirs["located"]["y"]])
        assert ours.confidence == pytest.approx(theirs["confidence"])


def test_a_described_point_is_found_again(model, horse):
    words = model.describe(horse, POINTS[:1])[0]
    found = model.locate(horse, [words.text])[0]
    width, height = horse.size
    assert np.hypot((found.x - 300) / width, (found.y - 130) / height) < 0.2


def test_a_file_an_array_and_a_pillow_image_are_the_same_image(model):
    picture = Image.open(HORSE)
    texts = [model.describe(image, POINTS)[0].text for image in (HORSE, str(HORSE), picture, np.asarray(picture))]
    assert len(set(texts)) == 1
    transposed = np.asarray(picture).transpose(1, 0, 2)  # not contiguous
    assert model.describe(transposed, [(130, 300)]) == model.describe(transposed.copy(), [(130, 300)])
    assert model.encode(np.zeros((20, 30), np.uint8)).size == (30, 20)


def test_points_may_be_an_array(model, horse):
    assert model.describe(horse, np.array(POINTS)) == model.describe(horse, POINTS)
    assert model.describe(horse, []) == []
    assert model.locate(horse, []) == []


def test_threads_get_the_answers_of_one_thread(model, horse):
    alone = model.describe(horse, POINTS)
    answers = [None] * 4

    def ask(at):
        answers[at] = model.describe(horse, POINTS)

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(len(answers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(answer == alone for answer in answers)


@pytest.mark.parametrize(
    "ask, kind, sentence",
    [
        (lambda model, horse: model.describe(horse, [(9000, 10)]), talking_points.Error, "not in the image"),
        (lambda model, horse: model.describe(horse, [(float("nan"), 10)]), talking_points.Error, "image"),
        (lambda model, horse: model.describe(horse, [(1, 2, 3)]), TypeError, "pair of numbers"),
        (lambda model, horse: model.locate(horse, [""]), talking_points.Error, "empty"),
        (lambda model, horse: model.locate(horse, "one text"), TypeError, "list of texts"),
        (lambda model, horse: model.encode("missing.jpg"), talking_points.Error, "missing.jpg"),
        (lambda model, horse: model.encode(REPOSITORY / "README.md"), talking_points.Error, "README.md"),
        (lambda model, horse: model.encode(np.zeros((4, 4, 3))), TypeError, "uint8"),
        (lambda model, horse: model.encode(Image.new("I;16", (4, 4), 40_000)), TypeError, "eight bits"),
        (lambda model, horse: model.encode(Image.new("F", (4, 4))), TypeError, "eight bits"),
        (lambda model, horse: model.encode(np.zeros((4, 4, 4), np.uint8)), ValueError, "height, width, 3"),
        (lambda model, horse: model.encode(np.zeros((0, 4, 3), np.uint8)), talking_points.Error, "image"),
        (lambda model, horse: talking_points.load("nowhere"), talking_points.Error, "nowhere"),
        (lambda model, horse: talking_points.load(REPOSITORY / "models" / "tiny", device="abacus"), talking_points.Error, "abacus"),
    ],
)
def test_wrong_input_is_refused_by_a_sentence(model, horse, ask, kind, sentence):
    with pytest.raises(kind, match=sentence):
        ask(model, horse)


def test_an_image_belongs_to_the_model_that_encoded_it(horse):
    other = talking_points.load(REPOSITORY / "models" / "tiny")
    with pytest.raises(talking_points.Error, match="another model"):
        other.describe(horse, POINTS)
