"""The PyTorch peer of benchmarks/photographs.

    python benchmarks/photographs/reference.py features|classes WEIGHTS FOLDER

It runs EfficientNet-Lite0 by its own definition (the package efficientnet-lite-pytorch) on
the pixels in FOLDER/pixels.bin, (pictures, 224, 224, 3) bytes, and writes the features or
the logits of the classes to FOLDER/result.npy.
"""

import pathlib
import sys

import numpy
import torch
from efficientnet_lite_pytorch import EfficientNet

what, weights, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
network = EfficientNet.from_name("efficientnet-lite0")
network.load_state_dict(torch.load(weights, weights_only=True))
network.eval()
pixels = numpy.fromfile(folder / "pixels.bin", dtype=numpy.uint8).reshape(-1, 224, 224, 3)
results = []
with torch.no_grad():
    for part in numpy.array_split(pixels, max(1, len(pixels) // 32)):
        images = (torch.from_numpy(part).permute(0, 3, 1, 2).float() - 127) / 128
        results.append(network(images) if what == "classes" else network.extract_features(images).mean((2, 3)))
numpy.save(folder / "result.npy", torch.cat(results).numpy())
