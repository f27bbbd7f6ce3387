"""PyTorch's solvers on a small least-squares problem, for the tests of package solver.

    python benchmarks/peers/solver_reference.py > solver/testdata/pytorch.json

The problem: W (2, 3) and b (2,) minimize half the sum of (W x + b - y)^2 over
four samples. Double precision; each trajectory is 20 steps of W, row-major, and b.
PyTorch's weight_decay adds wd * w to the gradient of Adam and SGD, so wd is twice
the L2 of this module.
"""

import json

import torch

X = [[0.5, -1.0, 2.0], [1.5, 0.25, -0.5], [-0.75, 1.25, 1.0], [0.1, 0.2, -0.3]]
Y = [[1.0, -2.0], [0.5, 0.25], [-1.5, 1.0], [2.0, 0.75]]
W = [[0.3, -0.2, 0.1], [-0.4, 0.6, 0.05]]
B = [0.5, -0.5]
STEPS = 20


def trajectory(solver, schedule=None, decay=0.0, **settings):
    """Weight decay is on W alone."""
    x, y = torch.tensor(X, dtype=torch.float64), torch.tensor(Y, dtype=torch.float64)
    weight = torch.tensor(W, dtype=torch.float64, requires_grad=True)
    bias = torch.tensor(B, dtype=torch.float64, requires_grad=True)
    groups = [{"params": [weight], "weight_decay": decay}, {"params": [bias], "weight_decay": 0.0}]
    optimizer = solver(groups, **settings)
    scheduler = schedule(optimizer) if schedule else None
    steps = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        (0.5 * (x @ weight.T + bias - y).square().sum()).backward()
        optimizer.step()
        if scheduler:
            scheduler.step()
        steps.append(weight.detach().flatten().tolist() + bias.detach().tolist())
    return steps


def main():
    sgd, adam, adamw = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW
    rates = torch.optim.lr_scheduler
    trajectories = {
        "sgd": trajectory(sgd, lr=0.05),
        "sgd momentum": trajectory(sgd, lr=0.03, momentum=0.9),
        "sgd nesterov": trajectory(sgd, lr=0.03, momentum=0.9, nesterov=True),
        "sgd momentum l2": trajectory(sgd, lr=0.03, momentum=0.9, decay=0.2),
        "adam": trajectory(adam, lr=0.1),
        "adam settings": trajectory(adam, lr=0.1, betas=(0.8, 0.95), eps=1e-3),
        "adam l2": trajectory(adam, lr=0.1, decay=0.2),
        "adamw": trajectory(adamw, lr=0.1, decay=0.1),
        "adam exponential": trajectory(adam, lambda o: rates.ExponentialLR(o, 0.9), lr=0.1),
        "adam step": trajectory(adam, lambda o: rates.StepLR(o, 4, 0.5), lr=0.1),
        "adam cosine": trajectory(adam, lambda o: rates.CosineAnnealingLR(o, STEPS, 0.01), lr=0.1),
    }
    lines = [f"{json.dumps(name)}: [\n" + ",\n".join(map(json.dumps, steps)) + "]" for name, steps in trajectories.items()]
    source = json.dumps("python benchmarks/peers/solver_reference.py, torch " + torch.__version__)
    print(f'{{"source": {source}, "trajectories": {{\n' + ",\n".join(lines) + "}}")


if __name__ == "__main__":
    main()
