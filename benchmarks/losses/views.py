"""The peer of `go run ./benchmarks/losses -reference views`: losses without labels in float64.

SimCLR is SelfSupervisedLoss(NTXentLoss) and VICReg VICRegLoss of pytorch-metric-learning, Barlow
Twins is BarlowTwinsLoss of lightly. KoLeo is the equation; lightly's also adds 1e-8 to each
coordinate of a difference. The input is a JSON list of cases: a loss, its options and the
embeddings of two views. The output is a JSON object: the versions of the libraries, and for each
case the value and the gradient, or the error that the library raises. Numbers that are not finite
are null.
"""

import json
import math
import sys
from importlib.metadata import version

import torch
import torch.nn.functional as F
from lightly.loss.barlow_twins_loss import BarlowTwinsLoss
from pytorch_metric_learning import losses

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


def koleo(x):
    units = F.normalize(x)
    squares = (units[:, None] - units).square().sum(2)
    nearest = squares.detach().fill_diagonal_(torch.inf).argmin(1)
    return -(squares[torch.arange(len(x)), nearest].sqrt() + 1e-8).log().mean()


def cost(case, x, y):
    o = case["options"]
    match case["loss"]:
        case "simclr":
            return losses.SelfSupervisedLoss(losses.NTXentLoss(temperature=o["Temperature"]))(x, y)
        case "vicreg":
            return losses.VICRegLoss(invariance_lambda=o["Invariance"], variance_mu=o["Variance"], covariance_v=o["Covariance"])(x, ref_emb=y)
        case "barlow-twins":
            return BarlowTwinsLoss(lambda_param=o["Redundancy"])(x, y)
        case "koleo":
            return (koleo(x) + koleo(y)) / 2
    raise ValueError(f"no class for the loss {case['loss']!r}")


def finite(values):
    return [v if math.isfinite(v) else None for v in values]


def answer(case):
    views = [torch.tensor(view, requires_grad=True) for view in case["views"]]
    value = cost(case, *views)
    value.backward()
    return {"value": finite([value.item()])[0], "gradient": finite(torch.cat([view.grad.flatten() for view in views]).tolist())}


def main():
    answers = []
    for case in json.load(sys.stdin):
        try:
            answers.append(answer(case))
        except Exception as error:
            answers.append({"raises": f"{type(error).__name__}: {error}".split("\n")[0]})
    versions = [f"Python {sys.version.split()[0]}", f"torch {torch.__version__}"]
    versions += [f"{name} {version(name)}" for name in ("pytorch-metric-learning", "lightly")]
    json.dump({"versions": versions, "answers": answers}, sys.stdout)


main()
