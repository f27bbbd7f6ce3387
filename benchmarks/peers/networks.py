"""Builds networks of the library in PyTorch from their TOML, with the same weight names."""

import tomllib
from collections import Counter, OrderedDict

import torch
from torch import nn
from torch.nn import functional as F

ACTIVATIONS = {
    "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu6": nn.ReLU6, "silu": nn.SiLU,
    "hardswish": nn.Hardswish, "hardsigmoid": nn.Hardsigmoid, "gelu": nn.GELU,
}


class Subsampling(nn.Module):
    """Average pooling with a trainable factor and bias per channel (LeCun et al. 1998)."""

    def __init__(self, channels, size, stride):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.size, self.stride = size, stride

    def forward(self, x):
        means = F.avg_pool2d(x, self.size, self.stride)
        return means * self.weight[:, None, None] + self.bias[:, None, None]


class Normalize(nn.Module):
    def forward(self, x):
        return F.normalize(x)


class GlobalAveragePool(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


class SameConv2d(nn.Conv2d):
    """A convolution that pads as TensorFlow's SAME does."""

    def forward(self, x):
        pads = []
        for size in (x.shape[3], x.shape[2]):
            total = max((-(-size // self.stride[0]) - 1) * self.stride[0] + self.kernel_size[0] - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(x, pads))


class Residual(nn.Sequential):
    """The output of the body plus the output of the shortcut."""

    def __init__(self, body, shortcut):
        super().__init__(body)
        self.add_module("shortcut", nn.Sequential(shortcut))

    def forward(self, x):
        y = x
        for name, layer in self.named_children():
            if name != "shortcut":
                y = layer(y)
        return y + self.shortcut(x)


def activation(name, function, channels):
    """The layer of an activation function, named after the layer that it follows."""
    if not function:
        return []
    layer = nn.PReLU(channels) if function == "prelu" else ACTIVATIONS[function]()
    return [(f"{name}_{function}", layer)]


def layers_of(block, number, x):
    """The named layers of a block; number counts blocks of its kind, x is an example input."""
    kind, channels = block["kind"], x.shape[1]
    name, function = f"{kind}{number}", block.get("activation", "")
    pool = [(f"{name}_pool", nn.MaxPool2d(block["pool"]))] if block.get("pool") else []
    bias = not block.get("no_bias", False)
    match kind:
        case "conv":
            filters = block["filters"]
            make = SameConv2d if block.get("same_padding") else nn.Conv2d
            conv = make(channels, filters, block["kernel"], block.get("stride") or 1, block.get("padding", 0), groups=block.get("groups") or 1, bias=bias)
            norm = [(f"norm{number}", nn.BatchNorm2d(filters, block.get("epsilon") or 1e-5, block.get("momentum") or 0.1))] if block.get("batch_norm") else []
            return [(name, conv), *norm, *activation(name, function, filters), *pool]
        case "linear":
            return [(name, nn.Linear(channels, block["units"], bias=bias)), *activation(name, function, block["units"])]
        case "residual":
            layer = Residual(sequence(block["body"], x), sequence(block.get("shortcut", []), x))
            return [(name, layer), *activation(name, function, layer(x).shape[1]), *pool]
        case "averagepool":
            size, stride = block["size"], block.get("stride") or block["size"]
            return [(name, Subsampling(channels, size, stride) if block.get("trainable") else nn.AvgPool2d(size, stride))]
        case "maxpool":
            return [(name, nn.MaxPool2d(block["size"], block.get("stride") or None, block.get("padding", 0)))]
        case "batchnorm":
            return [(name, nn.BatchNorm2d(channels) if x.dim() == 4 else nn.BatchNorm1d(channels))]
        case "activation":
            return activation(name, function, channels)
        case "dropout":
            return [(name, nn.Dropout(block["rate"]))]
        case "flatten":
            return [(name, nn.Flatten())]
        case "globalaveragepool":
            return [(name, GlobalAveragePool())]
        case "normalize":
            return [(name, Normalize())]
    raise ValueError(f"found a block of kind {kind!r}, which is not implemented here")


def sequence(blocks, x):
    """The named layers of blocks, numbered from 1 for each kind. The example input x of the
    first is passed through them to find the channels of each layer."""
    numbers, layers = Counter(), OrderedDict()
    for block in blocks:
        numbers[block["kind"]] += 1
        for name, layer in layers_of(block, numbers[block["kind"]], x):
            layers[name] = layer
            x = layer.eval()(x)
    return layers


@torch.no_grad()
def build(text):
    """Builds the network described by the TOML."""
    spec = tomllib.loads(text)
    size = spec["input"]
    return nn.Sequential(sequence(spec["block"], torch.zeros(1, size["channels"], size["height"], size["width"])))
