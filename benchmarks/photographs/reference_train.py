"""The peer of benchmarks/photographs train: fine-tuning in PyTorch.

    python benchmarks/photographs/reference_train.py WEIGHTS FOLDER SECONDS SEED

It trains EfficientNet-Lite0 (the package efficientnet-lite-pytorch) with the given weights as a
classifier of the classes in FOLDER/known, one folder of pictures for each class, as torchvision's
reference training does: random resized crops, horizontal flips, cross-entropy with label
smoothing, SGD with momentum and a learning rate that falls by a cosine. It ends when it has used
SECONDS of processor time, without the time to start. Then it writes the features of the pictures
that FOLDER/unseen.txt lists, one path on each line, to FOLDER/result.npy, and prints JSON.
"""

import json
import math
import pathlib
import random
import sys
import time
from importlib.metadata import version

import numpy
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from torchvision import transforms

weights, folder, seconds, seed = sys.argv[1], pathlib.Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
batch, rate, decay, smoothing = 32, 0.02, 2e-5, 0.1
torch.manual_seed(seed)
random.seed(seed)

tensor = transforms.Compose([transforms.PILToTensor(), transforms.Lambda(lambda t: (t.float() - 127) / 128)])
augment = transforms.Compose([transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), tensor])
plain = transforms.Compose([transforms.Resize((224, 224)), tensor])


def read(path, transform):
    with Image.open(path) as picture:
        return transform(picture.convert("RGB"))


classes = sorted(f for f in (folder / "known").iterdir() if f.is_dir())
pictures = [(file, label) for label, each in enumerate(classes) for file in sorted(each.iterdir())]
network = EfficientNet.from_name("efficientnet-lite0")
network.load_state_dict(torch.load(weights, weights_only=True))
network.to(memory_format=torch.channels_last)  # the faster form on these processors
head = torch.nn.Linear(1280, len(classes))


def features(images):
    return network.extract_features(images.to(memory_format=torch.channels_last)).mean((2, 3))


parameters = [
    {"params": network.parameters(), "scale": 0.1},  # the pretrained layers learn more slowly than the new one
    {"params": head.parameters(), "scale": 1.0},
]
solver = torch.optim.SGD(parameters, lr=rate, momentum=0.9, weight_decay=decay)
begin = time.process_time()
steps, order = 0, []
network.train()
while (used := time.process_time() - begin) < seconds:
    for group in solver.param_groups:
        group["lr"] = rate * group["scale"] * (1 + math.cos(math.pi * used / seconds)) / 2
    if len(order) < batch:
        order = random.sample(pictures, len(pictures))
    drawn, order = order[:batch], order[batch:]
    images = torch.stack([read(file, augment) for file, _ in drawn])
    labels = torch.tensor([label for _, label in drawn])
    loss = torch.nn.functional.cross_entropy(head(features(images)), labels, label_smoothing=smoothing)
    solver.zero_grad()
    loss.backward()
    solver.step()
    steps += 1
    if steps % 20 == 0:
        print(f"step {steps}: loss {loss.item():.3f}, {used:.0f} s", file=sys.stderr, flush=True)

network.eval()
unseen = (folder / "unseen.txt").read_text().splitlines()
with torch.inference_mode():
    rows = [features(torch.stack([read(f, plain) for f in unseen[i : i + 64]])) for i in range(0, len(unseen), 64)]
numpy.save(folder / "result.npy", torch.cat(rows).numpy().astype(numpy.float32))
print(
    json.dumps(
        {
            "steps": steps,
            "images": steps * batch,
            "pictures": len(pictures),
            "tools": [f"{p} {version(p)}" for p in ("torch", "torchvision", "pillow")],
        }
    )
)
