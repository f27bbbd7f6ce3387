"""The peers of benchmarks/photographs variants.

    python benchmarks/photographs/reference_variants.py WEIGHTS FOLDER

It runs two methods of imagededup on the JPEG files in FOLDER: phash, and its CNN with
EfficientNet-Lite0 (the package efficientnet-lite-pytorch) and the given weights. It writes
the features to FOLDER/cnn.npy and prints the hashes as JSON.
"""

import json
import pathlib
import sys
from importlib.metadata import version

import numpy
import torch
from efficientnet_lite_pytorch import EfficientNet
from imagededup.methods import CNN, PHash
from imagededup.utils import CustomModel
from torchvision import transforms

weights, folder = sys.argv[1], pathlib.Path(sys.argv[2])


class Features(torch.nn.Module):
    name = "efficientnet-lite0"
    transform = transforms.Compose(
        [
            transforms.Resize((224, 224)),
            transforms.PILToTensor(),
            transforms.Lambda(lambda t: (t.float() - 127) / 128),
        ]
    )

    def __init__(self):
        super().__init__()
        self.network = EfficientNet.from_name("efficientnet-lite0")
        self.network.load_state_dict(torch.load(weights, weights_only=True))
        self.network.eval()

    def forward(self, images):
        return self.network.extract_features(images).mean((2, 3))


hashes = PHash(verbose=False).encode_images(image_dir=folder, num_enc_workers=0)
custom = CustomModel(name=Features.name, model=Features(), transform=Features.transform)
cnn = CNN(verbose=False, model_config=custom).encode_images(image_dir=folder, num_enc_workers=0)
names = sorted(hashes)
numpy.save(folder / "cnn.npy", numpy.stack([cnn[name].reshape(-1) for name in names]).astype(numpy.float32))
print(json.dumps({"hashes": [hashes[name] for name in names], "tools": [f"{p} {version(p)}" for p in ("imagededup", "torch", "torchvision", "pillow")]}))
