"""Reads a built data set with an engine, in parallel, decodes every image, and compares all of it with the JSON lines.

python read_with_engines.py FOLDER ray|spark|datasets
"""

import io
import json
import os
import sys
from multiprocessing import Pool
from pathlib import Path

import PIL.Image

# So many read at once.
N_WORKERS = 2
# What one of them takes at a time. Engines take 128 MiB, with which a small data set would be one piece.
PIECE_BYTES = 1 << 18


def seen(id, x, y, description, image):
    """What is compared of a row, and the process that decoded its image."""
    width, height = PIL.Image.open(io.BytesIO(image)).convert("RGB").size
    return {"id": id, "x": x, "y": y, "description": description, "width": width, "height": height, "process": os.getpid()}


def with_ray(folder):
    import pyarrow
    import ray

    def decoded(batch):
        fields = [batch[name].to_pylist() for name in ["id", "x", "y", "description"]]
        images = batch["image"].combine_chunks().field("bytes").to_pylist()
        return pyarrow.Table.from_pylist([seen(*row) for row in zip(*fields, images)])

    ray.init(num_cpus=N_WORKERS, include_dashboard=False, logging_level="error")
    ray.data.DataContext.get_current().enable_progress_bars = False
    os.environ["RAY_DATA_PARQUET_BIN_PACKING_BYTES"] = str(PIECE_BYTES)
    rows = ray.data.read_parquet(str(folder / "data")).map_batches(decoded, batch_format="pyarrow").materialize()
    found, n_blocks = rows.take_all(), rows.num_blocks()
    ray.shutdown()
    print("ray", ray.__version__, "pyarrow", pyarrow.__version__, "blocks", n_blocks)
    return found, n_blocks


def with_spark(folder):
    import pyspark
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = SparkSession.builder.master(f"local[{N_WORKERS}]").config("spark.ui.enabled", "false")
    session = session.config("spark.sql.files.maxPartitionBytes", PIECE_BYTES)
    # The machine's name may lead nowhere.
    session = session.config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1").getOrCreate()
    rows = session.read.parquet(str(folder / "data")).select("id", "x", "y", "description", "image.bytes").rdd
    found, n_partitions = rows.mapPartitions(lambda part: (seen(*row) for row in part)).collect(), rows.getNumPartitions()
    session.stop()
    print("pyspark", pyspark.__version__, "partitions", n_partitions)
    return found, n_partitions


def with_datasets(folder):
    import datasets

    datasets.disable_progress_bars()
    found, n_shards = [], 0
    for side in datasets.get_dataset_split_names(str(folder)):
        rows = datasets.load_dataset(str(folder), split=side, num_proc=N_WORKERS).cast_column("image", datasets.Image(decode=False))
        fields = ["id", "x", "y", "description", "image"]
        decoded = lambda *row: seen(*row[:4], row[4]["bytes"])
        found += rows.map(decoded, input_columns=fields, remove_columns=rows.column_names, num_proc=N_WORKERS)
        # The same rows as a stream, of which every process reads its shards.
        n_files = datasets.load_dataset(str(folder), split=side, streaming=True).num_shards
        n_shards += n_files
        n_readers = min(N_WORKERS, n_files)
        with Pool(n_readers) as pool:
            streamed = pool.starmap(ids_of_shards, [(folder, side, n_readers, index) for index in range(n_readers)])
        assert all(streamed) and sorted(sum(streamed, [])) == sorted(rows["id"])
    print("datasets", datasets.__version__, "shards", n_shards)
    return found, n_shards


def ids_of_shards(folder, side, n_readers, index):
    import datasets

    stream = datasets.load_dataset(str(folder), split=side, streaming=True).shard(num_shards=n_readers, index=index)
    return [row["id"] for row in stream if row["image"].size == (row["width"], row["height"])]


def main(folder, engine):
    found, n_pieces = {"ray": with_ray, "spark": with_spark, "datasets": with_datasets}[engine](folder)
    rows = {row["id"]: row for row in found}
    lines = [json.loads(line) for path in sorted((folder / "triplets").glob("*.jsonl")) for line in path.open(encoding="utf-8")]
    assert len(found) == len(rows) == len(lines), (len(found), len(rows), len(lines))
    for line in lines:
        row = rows[line["id"]]
        assert (row["x"], row["y"]) == (line["point"]["x"], line["point"]["y"])
        assert row["description"] == line["description"]
        assert (row["width"], row["height"]) == (line["size"]["width"], line["size"]["height"])
    n_files = len(list((folder / "data").glob("*.parquet")))
    n_processes = len({row["process"] for row in found})
    print(f"{len(found)} rows of {n_files} files are as they were written; {n_pieces} pieces, decoded by {n_processes} processes")
    assert n_pieces > 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
