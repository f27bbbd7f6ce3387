"""The Python peer of benchmarks/peers/onnx.

    python benchmarks/peers/onnx_runtime.py versions
    python benchmarks/peers/onnx_runtime.py network FOLDER NAME
    python benchmarks/peers/onnx_runtime.py head FOLDER NAME
    python benchmarks/peers/onnx_runtime.py learn FOLDER

versions prints those of Python and the packages. network and head run a file
that benchmarks/peers/onnx has written and print a row of a Markdown table; the
exit status is 1 where it disagrees with the library's answers. learn trains
networks in PyTorch for some steps and saves them, each in a folder of its own
with images and their embeddings, for the library to import.
"""

import pathlib
import platform
import sys

import numpy
import onnxruntime
import safetensors
import torch
from safetensors.numpy import load_file
from safetensors.torch import save_file
from torch import nn

try:
    import onnx.checker
    import onnx.numpy_helper
except ImportError:  # the check goes on without
    onnx = None

TOLERANCE = 1e-4
BATCHES = (1, 7)


def versions():
    print("Python", platform.python_version())
    for package in [onnxruntime, torch, safetensors, *([onnx] if onnx else [])]:
        print(package.__name__, package.__version__)


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def error(found, expected):
    """The largest difference, relative to the value, or absolute where that is below 1."""
    if found.shape != expected.shape or found.dtype != expected.dtype:
        raise ValueError(f"found {found.dtype} {found.shape}, expected {expected.dtype} {expected.shape}")
    return (numpy.abs(found - expected) / numpy.maximum(numpy.abs(expected), 1)).max()


def errors(path, inputs, output, answers):
    """The error of an output for each batch size."""
    running = session(path)
    return [error(running.run([output], {i: answers[f"{i} {b}"] for i in inputs})[0], answers[f"{output} {b}"]) for b in BATCHES]


def checked(path):
    """Validates the file with onnx.checker, which raises if it is invalid."""
    if onnx is None:
        return "not installed"
    onnx.checker.check_model(path, full_check=True)
    return "passes"


def weights_equal(folder):
    """The number of tensors in model.safetensors; all must be bitwise equal in network.onnx."""
    saved = load_file(folder / "model.safetensors")
    if onnx is None:
        return f"{len(saved)} read"
    written = {i.name: onnx.numpy_helper.to_array(i) for i in onnx.load(folder / "network.onnx").graph.initializer}
    for name, values in saved.items():
        if values.dtype != numpy.float32 or written[name].reshape(values.shape).tobytes() != values.tobytes():
            raise ValueError(f"{name} differs between model.safetensors and network.onnx")
    return str(len(saved))


def expect_variety(embeddings):
    """Raises if the embeddings of all images are nearly equal, which would hide an error."""
    deviation = embeddings.std(0).max() / numpy.abs(embeddings).max()
    if not deviation > 0.02:
        raise ValueError(f"found a standard deviation of the embeddings of {deviation:.1e} relative to the largest number, expected more than 0.02")


def row(name, cells, differences):
    """Prints a row and exits with status 1 if a difference exceeds the tolerance."""
    agrees = all(d <= TOLERANCE for d in differences)
    print("| " + " | ".join([name, *cells, "yes" if agrees else "no"]) + " |")
    sys.exit(not agrees)


def network(folder, name):
    answers = load_file(folder / "answers.safetensors")
    expect_variety(answers["embeddings 7"])
    found = errors(folder / "network.onnx", ["images"], "embeddings", answers)
    row(name, [*(f"{e:.1e}" for e in found), weights_equal(folder), checked(folder / "network.onnx")], found)


def head(folder, name):
    answers = load_file(folder / "answers.safetensors")
    path, inputs = folder / "head.onnx", ["left", "right"]
    found = errors(path, inputs, "distance", answers)
    probable = errors(path, inputs, "probability", answers) if "probability 1" in answers else []
    cells = [*(f"{e:.1e}" for e in found), f"{max(probable):.1e}" if probable else "", checked(path)]
    row(name, cells, found + probable)


def sequential():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 12, 3, stride=2), nn.PReLU(), nn.Dropout(0.25),
        nn.Conv2d(12, 12, 2), nn.Tanh(), nn.Flatten(),
        nn.Linear(108, 24), nn.BatchNorm1d(24), nn.Sigmoid(), nn.Linear(24, 6),
    )


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(6, 10, 3, padding=1, bias=False), nn.BatchNorm2d(10)
        self.conv2, self.bn2 = nn.Conv2d(10, 10, 3, padding=1, bias=False), nn.BatchNorm2d(10)
        self.downsample = nn.Conv2d(6, 10, 1)

    def forward(self, x):
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (y + self.downsample(x)).relu()


class Residual(nn.Module):
    """A custom network; everything but the classifier computes embeddings."""

    def __init__(self):
        super().__init__()
        self.stem, self.stem_norm = nn.Conv2d(1, 6, 3, bias=False), nn.BatchNorm2d(6)
        self.block, self.classifier = Block(), nn.Linear(10, 3)

    def forward(self, x):
        return self.block(self.stem_norm(self.stem(x)).relu()).mean((2, 3))


class ChannelsLast(nn.Module):
    """A network that flattens images in channels-last order, as TensorFlow does."""

    def __init__(self):
        super().__init__()
        self.conv, self.dense, self.dense_1 = nn.Conv2d(3, 5, 3), nn.Linear(60, 7), nn.Linear(7, 4)

    def forward(self, x):
        x = nn.functional.max_pool2d(self.conv(x).tanh(), 2)
        return self.dense_1(self.dense(x.permute(0, 2, 3, 1).flatten(1)).sigmoid())

    def kernels(self):
        """The weights in the layout and with the names of TensorFlow."""
        return {
            "conv/kernel": self.conv.weight.permute(2, 3, 1, 0), "conv/bias": self.conv.bias,
            "dense/kernel": self.dense.weight.T, "dense/bias": self.dense.bias,
            "dense_1/kernel": self.dense_1.weight.T, "dense_1/bias": self.dense_1.bias,
        }


def train(network, images):
    """Trains for a few steps towards random targets, so that all weights and running statistics change."""
    solver = torch.optim.Adam(network.parameters(), lr=0.003)
    targets = torch.randn_like(network(images))
    for _ in range(20):
        solver.zero_grad()
        (network(images) - targets).square().mean().backward()
        solver.step()


def pixels_of(batch, size):
    """Images of noise of different brightness, (batch, height, width, channels) integers from 0 to 255."""
    return (torch.rand(batch, *size) * torch.linspace(0.3, 1, batch)[:, None, None, None] * 255).round().long()


def learn(folder):
    torch.manual_seed(1)
    torch.set_num_threads(1)
    cases = {
        "sequential": (sequential(), (20, 18, 3)),
        "residual": (Residual(), (16, 16, 1)),
        "channels-last": (ChannelsLast(), (10, 8, 3)),
    }
    for name, (net, size) in cases.items():
        (folder / name).mkdir(parents=True)
        train(net.train(), pixels_of(16, size).permute(0, 3, 1, 2) / 255)
        net.eval()
        weights = net.kernels() if hasattr(net, "kernels") else net.state_dict()
        save_file({n: w.detach().contiguous() for n, w in weights.items()}, folder / name / "weights.safetensors")
        answers = {}
        for batch in BATCHES:
            pixels = pixels_of(batch, size)
            with torch.no_grad():
                answers[f"embeddings {batch}"] = net(pixels.permute(0, 3, 1, 2) / 255).contiguous()
            answers[f"images {batch}"] = pixels
        expect_variety(answers["embeddings 7"].numpy())
        save_file(answers, folder / name / "answers.safetensors")


def main():
    match sys.argv[1:]:
        case ["versions"]:
            versions()
        case ["network", folder, name]:
            network(pathlib.Path(folder), name)
        case ["head", folder, name]:
            head(pathlib.Path(folder), name)
        case ["learn", folder]:
            learn(pathlib.Path(folder))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
