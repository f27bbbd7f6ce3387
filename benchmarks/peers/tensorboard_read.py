"""The Python peer of benchmarks/peers/tensorboard.

    python benchmarks/peers/tensorboard_read.py RUN

RUN is the folder of a run of likeness train --tensorboard. The scalars that TensorBoard
reads must equal those in metrics.jsonl, and the numbers of embeddings, classes and
thumbnails for the projector must be the same. The exit status is 1 if anything differs.
"""

import json
import pathlib
import struct
import sys

import tensorboard
from google.protobuf import text_format
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

run = pathlib.Path(sys.argv[1])
print("tensorboard", tensorboard.__version__)

events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0})
events.Reload()
epochs = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def single(value):
    """Rounds a number to float32."""
    return struct.unpack("f", struct.pack("f", value))[0]


print("| scalar | points | equal to metrics.jsonl |")
print("|---|---|---|")
for tag, key in {
    "epoch/loss": "loss",
    "epoch/validation": "validation",
    "epoch/rate": "rate",
    "epoch/gradient norm": "gradient_norm",
    "epoch/images per second": "images_per_second",
}.items():
    found = [(event.step, event.value) for event in events.Scalars(tag)]
    expected = [(epoch["epoch"], single(epoch[key])) for epoch in epochs]
    if found != expected:
        sys.exit(f"{tag}: found {found}, expected {expected}")
    print(f"| {tag} | {len(found)} | yes |")

steps = [event.step for event in events.Scalars("step/loss")]
if steps != list(range(1, len(steps) + 1)) or len(steps) < len(epochs):
    sys.exit(f"step/loss: found the steps {steps}")
print(f"| step/loss | {len(steps)} | one per step |")

config = text_format.Parse((run / "tensorboard" / "projector_config.pbtxt").read_text(), ProjectorConfig())
(embedding,) = config.embeddings
rows = (run / "tensorboard" / embedding.tensor_path).read_text().splitlines()
classes = (run / "tensorboard" / embedding.metadata_path).read_text().splitlines()
width, height = embedding.sprite.single_image_dim
sprite = (run / "tensorboard" / embedding.sprite.image_path).read_bytes()
across, down = struct.unpack(">II", sprite[16:24])
thumbnails = (across // width) * (down // height)
if len(rows) != len(classes) or not len(rows) <= thumbnails < len(rows) + across // width:
    sys.exit(f"projector: {len(rows)} embeddings, {len(classes)} classes, {thumbnails} thumbnails in the sprite")
if len({len(row.split(chr(9))) for row in rows}) != 1:
    sys.exit("projector: embeddings of several lengths")
print(f"\nThe projector has {len(rows)} embeddings of {len(rows[0].split(chr(9)))} features with their classes and thumbnails.")
