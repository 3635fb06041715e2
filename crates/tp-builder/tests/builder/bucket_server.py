"""Runs the test of buckets on an S3 server, moto's, which lives in this process and is reached on this machine alone.

    python3 -m venv VENV && VENV/bin/pip install "moto[server]==5.2.5"
    VENV/bin/python crates/tp-data/tests/builder/bucket_server.py run \
        cargo test -p tp-builder --features bucket --lib --test builder -- on_a_server --nocapture

`fetch FOLDER` is what the test itself calls: the data set, by Amazon's own client.
"""

import logging
import os
import pathlib
import subprocess
import sys

import boto3

BUCKET, PREFIX = "triplets", "points/of parts"


def client():
    return boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT"], region_name=os.environ["AWS_REGION"])


def run(command):
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= {
        "AWS_ENDPOINT": f"http://{host}:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test-key",
        "AWS_SECRET_ACCESS_KEY": "test-secret",
        "TP_TEST_BUCKET": f"s3://{BUCKET}/{PREFIX}",
        "TP_PYTHON": sys.executable,
    }
    client().create_bucket(Bucket=BUCKET)
    code = subprocess.run(command).returncode
    pages = client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    names = [thing["Key"] for page in pages for thing in page.get("Contents", [])]
    print("\n".join(names))
    server.stop()
    return code


def fetch(folder):
    pages = client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{PREFIX}/")
    for thing in (thing for page in pages for thing in page["Contents"]):
        name = thing["Key"].removeprefix(f"{PREFIX}/")
        if not name.startswith("work/"):
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            client().download_file(BUCKET, thing["Key"], str(path))


if __name__ == "__main__":
    if sys.argv[1] == "run":
        sys.exit(run(sys.argv[2:]))
    fetch(sys.argv[2])
