"""The PyTorch peer of benchmarks/peers/backbones.

    python benchmarks/peers/backbones.py NETWORK SIZE BATCH SEED FOLDER

It builds the network of torchvision, or of the package efficientnet-lite-pytorch, in
float64 without its classifier, with random weights and random running statistics, and
writes FOLDER/reference.safetensors: the weights, a batch of random images, and, for batch
norm with its running statistics ("evaluation") and with those of the batch ("training"),
the embeddings, the gradients of the sum of embeddings times random factors, and, for the
latter, the running statistics after the step. The same embeddings and gradients by PyTorch
in float32, named "float32 evaluation embeddings" and so on, show which error is of the
type and not of an implementation.
"""

import copy
import pathlib
import sys

import torch
from safetensors.torch import save_file
from torch import nn


def torchvision_network(name):
    import torchvision

    options = {}
    if name.startswith(("efficientnet", "convnext")):
        options["stochastic_depth_prob"] = 0.0
    network = getattr(torchvision.models, name.replace("-", "_"))(weights=None, **options)
    if name.startswith("resnet"):
        network.fc = nn.Identity()
    elif name.startswith("convnext"):
        network.classifier[2] = nn.Identity()
    else:
        network.classifier = nn.Identity()
    return network


class Lite(nn.Module):
    """EfficientNet-Lite0 without its classifier."""

    def __init__(self, size):
        super().__init__()
        from efficientnet_lite_pytorch import EfficientNet

        self.network = EfficientNet.from_name("efficientnet-lite0", image_size=size, drop_connect_rate=0.0)
        self.network._fc = nn.Identity()

    def forward(self, x):
        return self.network.extract_features(x).mean((2, 3))


def build(name, size):
    network = Lite(size) if name == "efficientnet-lite0" else torchvision_network(name)
    return network.double()


def randomize(network, generator):
    """Draws what initialization leaves constant, so that no term of a gradient vanishes."""
    def uniform(tensor, low, high):
        tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype) * (high - low) + low)

    with torch.no_grad():
        for name, p in network.named_parameters():
            if name.endswith("layer_scale"):
                uniform(p, 0.2, 0.5)
            elif p.dim() == 1 and name.endswith("bias"):
                uniform(p, -0.2, 0.2)
            elif p.dim() == 1:
                uniform(p, 0.5, 1.5)
            else:
                fan_in = p[0].numel()
                p.copy_(torch.randn(p.shape, generator=generator, dtype=p.dtype) * (2 / fan_in) ** 0.5)
        for name, b in network.named_buffers():
            if name.endswith("running_mean"):
                uniform(b, -0.2, 0.2)
            elif name.endswith("running_var"):
                uniform(b, 0.5, 1.5)


def bare(name):
    return name.removeprefix("network.")


def step(network, mode, images, factors):
    """Returns the embeddings and the gradients by name, in float64."""
    network.train(mode == "training")
    network.zero_grad()
    dtype = next(network.parameters()).dtype
    embeddings = network(images.to(dtype))
    (embeddings * factors.to(dtype)).sum().backward()
    return embeddings.detach().double(), {k: p.grad.double() for k, p in network.named_parameters()}


def main():
    name, (size, batch, seed), folder = sys.argv[1], map(int, sys.argv[2:5]), pathlib.Path(sys.argv[5])
    torch.set_num_threads(2)
    generator = torch.Generator().manual_seed(seed)
    network = build(name, size)
    randomize(network, generator)
    tensors = {f"weight {bare(k)}": v.clone() for k, v in network.state_dict().items() if v.is_floating_point()}
    images = torch.rand((batch, 3, size, size), generator=generator, dtype=torch.float64) * 2 - 1
    tensors["images"] = images.permute(0, 2, 3, 1).contiguous()
    with torch.no_grad():
        shape = network.eval()(images).shape
    tensors["factors"] = torch.randn(shape, generator=generator, dtype=torch.float64)
    single = copy.deepcopy(network).float()
    for mode in ("evaluation", "training"):
        for kind, n in (("", network), ("float32 ", single)):
            embeddings, gradients = step(n, mode, images, tensors["factors"])
            tensors[f"{kind}{mode} embeddings"] = embeddings
            for key, gradient in gradients.items():
                tensors[f"{kind}{mode} gradient {bare(key)}"] = gradient
    for key, b in network.named_buffers():
        if b.is_floating_point():
            tensors[f"after {bare(key)}"] = b.clone()
    save_file({k: v.contiguous() for k, v in tensors.items()}, str(folder / "reference.safetensors"))


main()
