"""The PyTorch peer of benchmarks/peers/agreement.

    ls -d folders/* | python benchmarks/peers/agreement.py

Each line of the input is a folder with a model.safetensors saved by the library and,
in float32.safetensors and float64.safetensors, inputs and the results of the library.
The network is built from the description in the model file, with the weights of the
file. For each folder, one row of a Markdown table is printed: the largest error of
each kind in float32, the largest of all kinds in float64, and whether all are within
tolerance: yes, no, or kink if only the gradients in float32 are not. The exit status is
1 if the answer to any folder is no.
"""

import json
import pathlib
import sys

import torch
from safetensors import safe_open

from losses import cost_of
from networks import build

# The largest allowed error of each kind. Rounding errors in float64 are about 1e-13.
TOLERANCES = {
    torch.float32: {"embeddings": 1e-4, "loss": 1e-4, "gradients": 1e-4, "statistics": 1e-5},
    torch.float64: {"embeddings": 1e-11, "loss": 1e-11, "gradients": 1e-11, "statistics": 1e-11},
}


def read(path):
    """The tensors of a safetensors file by name, and its metadata."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()


def under(prefix, tensors):
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def error(found, expected, scale):
    """The largest difference, relative to scale. NaN if any value is NaN."""
    if found.shape != expected.shape:
        raise ValueError(f"found shape {tuple(found.shape)}, expected {tuple(expected.shape)}")
    return ((found - expected).abs() / scale).max().item()


def largest(errors):
    """The maximum, NaN if any value is NaN, zero if there are no values."""
    return max(errors, key=lambda e: (e != e, e), default=0.0)


def gradient_error(found, expected):
    """The error relative to the largest gradient of each tensor. If that is below 1e-5 of
    the largest gradient of all, the gradients of the tensor are zero except for rounding,
    like those of a bias that cancels between two embeddings, and the error is relative to
    the largest gradient of all."""
    if found.keys() != expected.keys():
        raise ValueError(f"found gradients of {sorted(found)}, expected {sorted(expected)}")
    most = {name: g.abs().max().item() for name, g in expected.items()}
    of_all = max(most.values())
    return largest(error(found[name], g, most[name] if most[name] > 1e-5 * of_all else of_all) for name, g in expected.items())


def compare(folder, dtype):
    """The errors of one folder in float32 or float64, by kind."""
    saved, description = read(folder / "model.safetensors")
    ours, question = read(folder / f"{str(dtype).removeprefix('torch.')}.safetensors")
    loss = json.loads(question["loss"])

    network = build(description["likeness.backbone"])
    network.load_state_dict({name: t for name, t in saved.items() if not name.startswith("head.")}, strict=True)
    network.to(dtype)
    head = {name: torch.nn.Parameter(t.to(dtype)) for name, t in saved.items() if name.startswith("head.")}
    head |= {name: torch.nn.Parameter(t) for name, t in under("weight ", ours).items()}
    towers = [ours[f"images {i}"] for i in range(loss["towers"])]

    network.eval()
    with torch.no_grad():
        embeddings = [network(images) for images in towers]

    network.train()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.eval()
    parameters = dict(network.named_parameters()) | head
    cost = cost_of(loss, [network(images) for images in towers], ours.get("labels"), parameters)
    cost.backward()

    statistics = {name: t for name, t in network.named_buffers() if t.is_floating_point()}
    expected = under("after ", ours)
    if statistics.keys() != expected.keys():
        raise ValueError(f"found statistics {sorted(statistics)}, expected {sorted(expected)}")
    return {
        "embeddings": largest(error(ours[f"embeddings {i}"], e, e.abs().clamp(min=1)) for i, e in enumerate(embeddings)),
        "loss": error(ours["cost"].reshape(()), cost.detach(), max(1, abs(cost.item()))),
        "gradients": gradient_error(under("gradient ", ours), {name: p.grad for name, p in parameters.items()}),
        "statistics": largest(error(expected[name], t, t.abs().clamp(min=1)) for name, t in statistics.items()),
    }


def verdict(errors):
    """At a kink, such as the zero of a ReLU or a tie in a max pool, two float32 programs may
    take different branches, which changes only the gradients."""
    above = {(dtype, kind) for dtype, most in TOLERANCES.items() for kind in most if not errors[dtype][kind] <= most[kind]}
    if not above:
        return "yes"
    return "kink" if above == {(torch.float32, "gradients")} else "no"


def main():
    torch.use_deterministic_algorithms(True)
    verdicts = set()
    for line in sys.stdin:
        folder = pathlib.Path(line.rstrip("\n"))
        errors = {dtype: compare(folder, dtype) for dtype in TOLERANCES}
        verdicts.add(verdict(errors))
        cells = [f"{e:.1e}" for e in [*errors[torch.float32].values(), largest(errors[torch.float64].values())]]
        print("| " + " | ".join([*folder.name.split(", ", 1), *cells, verdict(errors)]) + " |", flush=True)
    sys.exit("no" in verdicts)


if __name__ == "__main__":
    main()
