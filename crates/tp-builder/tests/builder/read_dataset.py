"""Reads a built data set with pyarrow and datasets, and compares it with its JSON lines.

python read_dataset.py FOLDER
"""

import io
import json
import sys
from pathlib import Path

import datasets
import PIL.Image
import pyarrow
import pyarrow.parquet

folder = Path(sys.argv[1])
print("pyarrow", pyarrow.__version__, "datasets", datasets.__version__)

for path in sorted((folder / "data").glob("*.parquet")):
    file = pyarrow.parquet.ParquetFile(path)
    groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert max(groups) <= 100, groups
    print(path.name, file.metadata.num_rows, "rows in groups of", groups, f"{path.stat().st_size} bytes")

loaded = datasets.load_dataset(str(folder))
print({side: rows.num_rows for side, rows in loaded.items()})
for side, rows in loaded.items():
    assert isinstance(rows.features["image"], datasets.Image), rows.features
    lines = [json.loads(line) for line in (folder / f"triplets/{side}.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == rows.num_rows
    for line, row in zip(lines, rows):
        assert row["id"] == line["id"]
        assert row["description"] == line["description"]
        assert row["x"] == line["point"]["x"] and row["y"] == line["point"]["y"]
        assert row["part"] == line["record"]["part"]
        assert json.loads(row["json"]) == line
        assert row["image"].size == (row["width"], row["height"])

streamed = datasets.load_dataset(str(folder), split="train", streaming=True)
first = next(iter(streamed))
assert isinstance(first["image"], PIL.Image.Image)
raw = pyarrow.parquet.read_table(folder / "data/train-00000.parquet", columns=["image"])["image"][0].as_py()
assert PIL.Image.open(io.BytesIO(raw["bytes"])).size == first["image"].size
print("first:", first["description"])
