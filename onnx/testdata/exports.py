"""Writes the ONNX files of this folder: small networks, as PyTorch's exporters write them.

    python onnx/testdata/exports.py onnx/testdata

It needs torch, numpy, onnx, onnxscript and onnxruntime. values.json has the embeddings that
ONNX Runtime computes of two images, whose byte i, counted over both in the order (image, row,
column, channel), is (i*i*7 + i*13) % 251, divided by 255.
"""

import json
import pathlib
import sys
import warnings

import numpy
import onnx
import onnxruntime
import torch
from torch import nn
from torch.nn import functional as F

SIZE = 32


def conv(channels, filters, kernel, stride=1, groups=1, activation=None):
    layers = [nn.Conv2d(channels, filters, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(filters)]
    return nn.Sequential(*layers, *([activation] if activation else []))


class BasicBlock(nn.Module):
    def __init__(self, channels, filters, stride):
        super().__init__()
        self.body = nn.Sequential(conv(channels, filters, 3, stride, activation=nn.ReLU()), conv(filters, filters, 3))
        self.shortcut = conv(channels, filters, 1, stride) if stride > 1 or channels != filters else nn.Identity()

    def forward(self, x):
        return F.relu(self.body(x) + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(conv(3, 4, 7, 2, activation=nn.ReLU()), nn.MaxPool2d(3, 2, 1))
        self.blocks = nn.Sequential(BasicBlock(4, 4, 1), BasicBlock(4, 6, 2))
        self.fc = nn.Linear(6, 5)

    def forward(self, x):
        x = F.adaptive_avg_pool2d(self.blocks(self.stem(x)), 1)
        return self.fc(x.view(x.size(0), -1))


class SqueezeExcite(nn.Module):
    def __init__(self, channels, squeezed, activation, gate):
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)
        self.activation, self.gate = activation, gate

    def forward(self, x):
        scale = F.adaptive_avg_pool2d(x, 1)
        return x * self.gate(self.fc2(self.activation(self.fc1(scale))))


class Inverted(nn.Module):
    def __init__(self, channels, filters, kernel, stride, activation, squeeze):
        super().__init__()
        self.block = nn.Sequential(
            conv(channels, 2 * channels, 1, activation=activation), conv(2 * channels, 2 * channels, kernel, stride, 2 * channels, activation),
            squeeze, conv(2 * channels, filters, 1),
        )
        self.residual = stride == 1 and channels == filters

    def forward(self, x):
        return x + self.block(x) if self.residual else self.block(x)


class MobileNet(nn.Module):
    """Inverted residual blocks, TensorFlow's padding, and embeddings of length 1."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 4, 3, 2), nn.ReLU6())
        self.blocks = nn.Sequential(
            Inverted(4, 4, 3, 1, nn.SiLU(), SqueezeExcite(8, 2, nn.SiLU(), nn.Sigmoid())),
            Inverted(4, 6, 5, 2, nn.Hardswish(), SqueezeExcite(8, 3, nn.ReLU(), nn.Hardsigmoid())),
        )

    def forward(self, x):
        return F.normalize(self.blocks(self.stem(x)).mean((2, 3)))


class ConvNeXtBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.expand, self.project = nn.Linear(channels, 2 * channels), nn.Linear(2 * channels, channels)
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x):
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + self.scale * self.project(F.gelu(self.expand(y))).permute(0, 3, 1, 2)


class ConvNeXt(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.stem_norm = nn.Conv2d(3, 4, 4, 4), nn.LayerNorm(4, eps=1e-6)
        self.blocks = nn.Sequential(ConvNeXtBlock(4), ConvNeXtBlock(4))
        self.norm = nn.LayerNorm(4, eps=1e-6)

    def forward(self, x):
        x = self.stem_norm(self.stem(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        x = F.adaptive_avg_pool2d(self.blocks(x), 1)
        return torch.flatten(self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), 1)


def randomize(network):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in list(network.parameters()) + [b for b in network.buffers() if b.is_floating_point()]:
            if tensor.dim() > 1 and tensor[0].numel() > 1:
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * (2 / tensor[0].numel()) ** 0.5)
            else:
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)


def pixels():
    i = numpy.arange(2 * SIZE * SIZE * 3, dtype=numpy.int64)
    return ((i * i * 7 + i * 13) % 251).reshape(2, SIZE, SIZE, 3)


def export(network, path, exporter, operators, **options):
    images = torch.tensor(pixels() / 255, dtype=torch.float32).permute(0, 3, 1, 2).contiguous()
    names = {"input_names": ["images"], "output_names": ["embeddings"]}
    if exporter == "torchscript":
        torch.onnx.export(network, (images,), str(path), dynamo=False, opset_version=operators,
                          dynamic_axes={"images": {0: "batch"}, "embeddings": {0: "batch"}}, **names, **options)
    else:
        program = torch.onnx.export(network, (images,), dynamo=True, dynamic_shapes=({0: torch.export.Dim("batch")},), verbose=False, **names, **options)
        program.save(str(path), external_data=False)
    model = onnx.load(str(path))
    del model.metadata_props[:]  # traces of the stack with the paths of this machine
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    onnx.save(model, str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    [embeddings] = session.run(None, {"images": images.numpy()})
    return [float(v) for v in embeddings.reshape(-1)]


def main():
    warnings.filterwarnings("ignore")
    folder = pathlib.Path(sys.argv[1])
    values = {}
    for name, network in {"resnet": ResNet(), "mobilenet": MobileNet(), "convnext": ConvNeXt()}.items():
        randomize(network.eval())
        for exporter, operators, options in [
            ("torchscript", 20, {}),
            # Older operators are composed of several nodes; batch norm stays a node of its own.
            ("torchscript", 13, {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}),
            ("dynamo", None, {}),
        ]:
            title = f"{name}-{exporter}" + ("-13" if operators == 13 else "")
            values[title] = export(network, folder / f"{title}.onnx", exporter, operators, **options)
    (folder / "values.json").write_text(json.dumps(values) + "\n")


main()
