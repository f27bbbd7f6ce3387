"""Writes torch_layers.json: layers in PyTorch, with gradients, for TestLayersOfPyTorch.

    python torch_layers.py > torch_layers.json

Images are (batch, height, width, channels) in the file. Weights have the names of package graph.
"""

import json

import torch
import torchvision
from torch import nn
from torch.nn import functional

torch.manual_seed(1)
torch.set_default_dtype(torch.float64)
cases = {}


def flat(x):
    return [float(f"{v:.17g}") for v in x.detach().flatten().tolist()]


def last(x):
    return x.permute(0, 2, 3, 1) if x.dim() == 4 else x


def case(name, shape, forward, weights=None, running=None, scale=1.0):
    """forward takes an input with the channels second; weights and running are by name."""
    weights, running = weights or {}, running or {}
    x = (torch.randn(shape) * scale).requires_grad_()
    before = {k: v.detach().clone() for k, v in {**weights, **running}.items()}
    y = forward(x)
    dy = torch.randn(y.shape)
    (y * dy).sum().backward()
    cases[name] = {
        "shape": list(last(x).shape), "x": flat(last(x)), "y": flat(last(y)), "dy": flat(last(dy)), "dx": flat(last(x.grad)),
        "weights": {k: {"shape": list(v.shape), "values": flat(v)} for k, v in before.items()},
        "gradients": {k: flat(v.grad) for k, v in weights.items()},
        "running": {k: flat(v) for k, v in running.items()},
    }


def randomize(module):
    for p in module.parameters():
        nn.init.normal_(p, 0, 0.7)
    return module


class Hardsigmoid(nn.Module):
    """As torch defines it: the gradient of its own operation has a constant in single precision."""

    def forward(self, x):
        return functional.relu6(x + 3) / 6


for name, function in {"relu6": functional.relu6, "silu": functional.silu, "gelu": functional.gelu,
                       "hardswish": functional.hardswish, "hardsigmoid": Hardsigmoid()}.items():
    case(name, (4, 6), function, scale=4)

norm = randomize(nn.LayerNorm(5, eps=1e-6))
case("layernorm", (2, 5, 3, 2), lambda x: norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2),
     {"layernorm1.weight": norm.weight, "layernorm1.bias": norm.bias})

for name, activation, gate in (("squeezeexcite silu", nn.SiLU, nn.Sigmoid), ("squeezeexcite hardsigmoid", nn.ReLU, Hardsigmoid)):
    se = randomize(torchvision.ops.SqueezeExcitation(5, 2, activation=activation, scale_activation=gate))
    reduce, expand = (w.detach()[:, :, 0, 0].clone().requires_grad_() for w in (se.fc1.weight, se.fc2.weight))

    def forward(x, se=se, reduce=reduce, expand=expand):
        parameters = {"fc1.weight": reduce[:, :, None, None], "fc1.bias": se.fc1.bias,
                      "fc2.weight": expand[:, :, None, None], "fc2.bias": se.fc2.bias}
        return torch.func.functional_call(se, parameters, x)
    case(name, (2, 5, 3, 4), forward, {"squeezeexcite1.reduce.weight": reduce, "squeezeexcite1.reduce.bias": se.fc1.bias,
                                       "squeezeexcite1.expand.weight": expand, "squeezeexcite1.expand.bias": se.fc2.bias})

case("maxpool", (2, 3, 6, 7), nn.MaxPool2d(3, 2, 1))

exponent = torch.tensor([2.7], requires_grad=True)
case("gem", (2, 3, 4, 3), lambda x: x.clamp(min=1e-2).pow(exponent).mean((2, 3)).pow(1 / exponent), {"gem1.weight": exponent})

factor = torch.randn(3, requires_grad=True)
case("scale", (2, 3, 2, 2), lambda x: x * factor[:, None, None], {"scale1.weight": factor})


def batch_norm(prefix, training):
    norm = randomize(nn.BatchNorm2d(3, eps=1e-3, momentum=0.01).train(training))
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    return norm, {prefix + ".weight": norm.weight, prefix + ".bias": norm.bias}, {
        prefix + ".running_mean": norm.running_mean, prefix + ".running_var": norm.running_var}


for name, training in (("batchnorm training", True), ("batchnorm frozen", False)):
    norm, weights, running = batch_norm("batchnorm1", training)
    case(name, (2, 3, 3, 4), norm, weights, running)

for name, activation in (("conv silu", nn.SiLU()), ("conv relu6", nn.ReLU6()), ("conv hardswish", nn.Hardswish())):
    conv = randomize(nn.Conv2d(2, 3, 3, padding=1, bias=False))
    norm, weights, running = batch_norm("norm1", True)
    case(name, (2, 2, 4, 3), nn.Sequential(conv, norm, activation), {"conv1.weight": conv.weight, **weights}, running)

print(json.dumps({"torch": torch.__version__, "cases": cases}))
