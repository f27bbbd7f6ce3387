"""The PyTorch peer of benchmarks/peers/imports.

    python benchmarks/peers/imports.py versions
    python benchmarks/peers/imports.py NETWORK EXPORTER ENDING SIZE FOLDER

It builds the network of torchvision, or of the package efficientnet-lite-pytorch, with
random weights and random running statistics, exports it in evaluation mode with one of
PyTorch's exporters, "torchscript" or "dynamo", with the ending "classifier" or, where an
identity replaces the classifier, "embeddings", and writes to the folder:

    network.onnx          the exported network; the batch size is variable
    answers.safetensors   "images" (batch, height, width, channels), int64 from 0 to 255, and
                          "embeddings" (batch, features), computed by ONNX Runtime, and
                          "exact", computed by PyTorch in float64

The network is given (v/255 - 0.5)/0.25.
"""

import pathlib
import sys
import warnings

BATCH = 2


def torchvision_network(name, classifier):
    import torchvision
    from torch import nn

    network = getattr(torchvision.models, name.replace("-", "_"))(weights=None)
    if not classifier:
        if name.startswith("resnet"):
            network.fc = nn.Identity()
        elif name.startswith("convnext"):
            network.classifier[2] = nn.Identity()
        else:
            network.classifier = nn.Identity()
    return network


def lite_network(classifier, size):
    from efficientnet_lite_pytorch import EfficientNet
    from torch import nn

    network = EfficientNet.from_name("efficientnet-lite0", image_size=size)
    if not classifier:
        network._fc = nn.Identity()
    return network


def build(name, classifier, size):
    if name == "efficientnet-lite0":
        return lite_network(classifier, size)
    return torchvision_network(name, classifier)


def randomize(network, generator):
    """Draws what initialization leaves constant, so that no layer is without effect."""
    import torch

    def uniform(tensor, low, high):
        tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)

    with torch.no_grad():
        for name, p in network.named_parameters():
            if name.endswith("layer_scale"):
                uniform(p, 0.2, 0.5)
            elif p.dim() == 1 and name.endswith("bias"):
                uniform(p, -0.2, 0.2)
            elif p.dim() == 1:
                uniform(p, 0.5, 1.5)
            else:
                p.copy_(torch.randn(p.shape, generator=generator) * (2 / p[0].numel()) ** 0.5)
        for name, b in network.named_buffers():
            if name.endswith("running_mean"):
                uniform(b, -0.2, 0.2)
            elif name.endswith("running_var"):
                uniform(b, 0.5, 1.5)


def export(network, images, path, exporter):
    import torch

    if exporter == "torchscript":
        torch.onnx.export(network, (images,), str(path), dynamo=False, input_names=["images"], output_names=["embeddings"],
                          dynamic_axes={"images": {0: "batch"}, "embeddings": {0: "batch"}})
        return
    program = torch.onnx.export(network, (images,), dynamo=True, input_names=["images"], output_names=["embeddings"],
                                dynamic_shapes=({0: torch.export.Dim("batch")},), verbose=False)
    program.save(str(path), external_data=False)


def main():
    warnings.filterwarnings("ignore")
    import numpy
    import onnxruntime
    import torch
    from safetensors.numpy import save_file

    if sys.argv[1] == "versions":
        import torchvision

        for module in torch, torchvision, onnxruntime:
            print(module.__name__, module.__version__)
        return
    name, exporter, ending, size, folder = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), pathlib.Path(sys.argv[5])
    generator = torch.Generator().manual_seed(1)
    network = build(name, ending == "classifier", size).eval()
    randomize(network, generator)
    pixels = torch.randint(0, 256, (BATCH, size, size, 3), generator=generator)
    images = ((pixels.float() / 255 - 0.5) / 0.25).permute(0, 3, 1, 2).contiguous()
    path = folder / "network.onnx"
    export(network, images, path, exporter)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    [embeddings] = session.run(None, {"images": images.numpy()})
    with torch.no_grad():
        exact = network.double()(images.double()).reshape(BATCH, -1).numpy().copy()
    answers = {"images": pixels.numpy().astype(numpy.int64), "embeddings": embeddings.reshape(BATCH, -1).copy(), "exact": exact}
    save_file(answers, str(folder / "answers.safetensors"))


main()
