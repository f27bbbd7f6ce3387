"""Writes the files of TestCheckpoints: one network in both formats of torch.save, a
checkpoint of a training, and the values that they have, as PyTorch itself reads them.

    python checkpoints.py
"""

import json

import torch

torch.manual_seed(1)
network = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 2, bias=False), torch.nn.BatchNorm2d(2))
optimizer = torch.optim.Adam(network.parameters())
network(torch.ones(1, 3, 4, 4)).square().sum().backward()
optimizer.step()
state = network.state_dict()  # an OrderedDict with the attribute _metadata
grid = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4) / 8
state["transposed"] = grid.permute(2, 0, 1)  # strides (1, 12, 4) of the storage of grid
state["part"] = grid[1, 1:, ::2]  # an offset, and a stride that skips
state["whole"] = grid  # the same storage again
state["repeated"] = torch.tensor([[1.5], [-2.0]]).expand(2, 3)  # a stride of 0
state["double"] = torch.tensor([0.1, 1e-30, -7.0], dtype=torch.float64)
state["half"] = torch.tensor([[1.0, -0.333], [65504.0, 6e-8]], dtype=torch.float16)
state["brain"] = torch.tensor([1.0, -3.14, 1e30], dtype=torch.bfloat16)
state["number"] = torch.tensor(2.5)
state["empty"] = torch.zeros(0, 4)
state["parameter"] = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
torch.save(state, "zip.pth")
torch.save(state, "legacy.pth", _use_new_zipfile_serialization=False)
torch.save(state, "protocol4.pth", pickle_protocol=4, _use_new_zipfile_serialization=False)

torch.save(
    {
        "epoch": 3,
        "state_dict": {"module." + name: tensor for name, tensor in state.items()},
        "optimizer": optimizer.state_dict(),
        "best": 0.75,
        "size": torch.Size([4, 4]),
    },
    "training.pth",
)

values = {}
for name, tensor in torch.load("zip.pth", weights_only=True).items():
    if tensor.is_floating_point():
        values[name] = {"shape": list(tensor.shape), "values": tensor.detach().to(torch.float32).flatten().tolist()}
with open("values.json", "w") as file:
    file.write(json.dumps(values, indent=1).replace("\n   ", " ").replace("\n  ]", " ]") + "\n")
