"""Predictions of a running server, checked by Label Studio's own library against the labeling configuration.

    pip install label-studio-sdk requests
    talking-points serve --port 8080 &
    python crates/tp-serve/tests/clients/label_studio.py http://127.0.0.1:8080/label-studio examples/images/horse.jpg
"""

import base64
import pathlib
import sys

import requests
from label_studio_sdk.label_interface import LabelInterface
from label_studio_sdk.label_interface.objects import PredictionValue

CONFIG = """<View>
  <Image name="image" value="$image"/>
  <Text name="caption" value="$caption"/>
  {keypoint}
  <TextArea name="description" toName="image" perRegion="{per_region}"/>
</View>"""
WITH_LABELS = '<KeyPointLabels name="point" toName="image" smart="true"><Label value="Point"/></KeyPointLabels>'
WITHOUT_LABELS = '<KeyPoint name="point" toName="image" smart="true"/>'


def call(url, path, body=None):
    """As Label Studio's connector (`label_studio/ml/api_connector.py`) calls a backend."""
    answer = requests.get(f"{url}/{path}", timeout=60) if body is None else requests.post(f"{url}/{path}", json=body, timeout=60)
    answer.raise_for_status()
    return answer.json()


def main(url, photograph):
    assert call(url, "health")["status"] == "UP"
    image = "data:image/jpeg;base64," + base64.b64encode(pathlib.Path(photograph).read_bytes()).decode()
    for keypoint, kind in [(WITH_LABELS, "keypointlabels"), (WITHOUT_LABELS, "keypoint")]:
        for per_region in ["true", "false"]:
            config = CONFIG.format(keypoint=keypoint, per_region=per_region)
            interface = LabelInterface(config)
            setup = {"project": "1.1", "schema": config, "hostname": "http://localhost:8080", "access_token": "t", "extra_params": None}
            version = call(url, "setup", setup)["model_version"]
            value = {"x": 47.0, "y": 36.0, "width": 0.5}
            if kind == "keypointlabels":
                value["keypointlabels"] = ["Point"]
            drawn = {"id": "a", "type": kind, "from_name": "point", "to_name": "image", "value": value,
                     "original_width": 640, "original_height": 360, "image_rotation": 0}
            task = {"id": 1, "data": {"image": image, "caption": "the horse's ear"}, "annotations": [], "predictions": []}
            for context in [{"result": [drawn]}, None]:
                body = {"tasks": [task], "project": "1.1", "label_config": config,
                        "params": {"login": None, "password": None, "context": context}}
                reply = call(url, "predict", body)
                assert len(reply["results"]) == 1 and reply["model_version"] == version, reply
                prediction = reply["results"][0]
                PredictionValue(**prediction)
                faults = interface.validate_prediction(prediction, return_errors=True)
                assert not faults and prediction["result"], (faults, prediction)
                print(kind, per_region, "keypoint" if context else "text", prediction["result"][0]["value"])
    hook = requests.post(f"{url}/webhook", json={"action": "ANNOTATION_CREATED"}, timeout=60)
    assert hook.status_code == 201, hook.text


if __name__ == "__main__":
    main(*sys.argv[1:])
