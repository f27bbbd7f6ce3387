"""The peer of benchmarks/photographs large.

    python benchmarks/photographs/reference_large.py WEIGHTS FOLDER

It finds near-duplicates among the JPEG files in FOLDER by the CNN method of imagededup with
EfficientNet-Lite0 (the package efficientnet-lite-pytorch) and the given weights, and prints
the seconds, the number of worker processes and the versions as JSON. The number of workers
is the faster one of 0 and 2 for the first 32 files.
"""

import json
import pathlib
import shutil
import sys
import tempfile
import time
from importlib.metadata import version

import torch
from efficientnet_lite_pytorch import EfficientNet
from imagededup.methods import CNN
from imagededup.utils import CustomModel
from torchvision import transforms

weights, folder = sys.argv[1], pathlib.Path(sys.argv[2])


class Features(torch.nn.Module):
    name = "efficientnet-lite0"

    def __init__(self):
        super().__init__()
        self.network = EfficientNet.from_name("efficientnet-lite0")
        self.network.load_state_dict(torch.load(weights, weights_only=True))
        self.network.eval()

    def forward(self, images):
        return self.network.extract_features(images).mean((2, 3))


def scaled(t):
    return (t.float() - 127) / 128


transform = transforms.Compose([transforms.Resize((224, 224)), transforms.PILToTensor(), transforms.Lambda(scaled)])
cnn = CNN(verbose=False, model_config=CustomModel(name=Features.name, model=Features(), transform=transform))


def seconds(directory, workers):
    start = time.perf_counter()
    cnn.find_duplicates(image_dir=directory, min_similarity_threshold=0.9, num_enc_workers=workers)
    return time.perf_counter() - start


with tempfile.TemporaryDirectory() as first:
    for file in sorted(folder.glob("*.jpg"))[:32]:
        shutil.copy(file, first)
    seconds(first, 0)
    workers = min((0, 2), key=lambda n: seconds(first, n))
print(
    json.dumps(
        {
            "seconds": seconds(folder, workers),
            "workers": workers,
            "tools": [f"{p} {version(p)}" for p in ("imagededup", "torch", "torchvision", "pillow")],
        }
    )
)
