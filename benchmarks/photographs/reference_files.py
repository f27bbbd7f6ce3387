"""The PyTorch peer of `benchmarks/photographs files`.

    python benchmarks/photographs/reference_files.py WEIGHTS FOLDER [VARIANT]

It embeds the JPEG files in the folder by EfficientNet-Lite0, read by a DataLoader with
Pillow, and prints the seconds and the variant as JSON. Variants are the number of worker
processes and whether the network is compiled; without one, the fastest on the first 64
files is chosen.
"""

import json
import pathlib
import sys
import time

import numpy
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from torch.utils.data import DataLoader, Dataset


class Files(Dataset):
    def __init__(self, paths):
        self.paths = paths

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, i):
        image = Image.open(self.paths[i]).convert("RGB").resize((224, 224), Image.BICUBIC)
        return (torch.from_numpy(numpy.array(image)).permute(2, 0, 1).float() - 127) / 128


class Features(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network.extract_features(x).mean((2, 3))


@torch.no_grad()
def embed(network, paths, workers):
    start = time.perf_counter()
    loader = DataLoader(Files(paths), batch_size=16, num_workers=workers)
    vectors = torch.cat([network(images.contiguous(memory_format=torch.channels_last)) for images in loader])
    assert len(vectors) == len(paths)
    return time.perf_counter() - start


def main():
    weights, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(weights, weights_only=True))
    network = Features(network.eval()).to(memory_format=torch.channels_last)
    torch._inductor.config.freezing = True
    networks = {"eager": network, "compiled": torch.compile(network)}
    variants = {f"{workers} workers, {name}": (networks[name], workers) for name in networks for workers in (0, 1, 2)}
    paths = sorted(folder.glob("*.jpg"))
    chosen = sys.argv[3] if len(sys.argv) > 3 else ""
    for name, (n, _) in variants.items():
        if not chosen or name == chosen:
            embed(n, paths[:16], 0)  # compiles
    if not chosen:
        some = paths[: min(64, len(paths) // 16 * 16)]
        chosen = min(variants, key=lambda v: embed(variants[v][0], some, variants[v][1]))
    print(json.dumps({"seconds": embed(variants[chosen][0], paths, variants[chosen][1]), "variant": chosen}))


if __name__ == "__main__":
    main()
