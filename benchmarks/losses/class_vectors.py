"""The reference of benchmarks/losses -reference class-vectors: losses with class vectors by pytorch-metric-learning
2.9.0, in float64.

    python benchmarks/losses/class_vectors.py < cases.json > answers.json

A case has the name of a loss and its parameters, embeddings (N, D), class vectors (Classes * K, D) and labels (N). The
answer has the cost and the gradients of embeddings and class vectors, null where a number is not finite; or the error.
Only proxy-nca is the equation itself, because the library's ProxyNCALoss has the target in the denominator.
"""

import json
import math
import platform
import sys

import pytorch_metric_learning
import torch
from pytorch_metric_learning import distances, losses


def distance(head):
    """The distance of a head of the library."""
    match head:
        case "cosine":
            return distances.CosineSimilarity()
        case "l2":
            return distances.LpDistance(normalize_embeddings=False)
        case "squared-l2":
            return distances.LpDistance(normalize_embeddings=False, power=2)
        case "l1":
            return distances.LpDistance(normalize_embeddings=False, p=1)
    raise ValueError(f"unknown head {head!r}")


def cost_of(case, embeddings, vectors, labels):
    """The cost, a function of the two tensors."""
    size = {"num_classes": case["classes"], "embedding_size": embeddings.shape[1]}
    margin, scale, temperature = case["margin"], case["scale"], case["temperature"]
    match case["loss"]:
        case "arcface":
            loss, name = losses.ArcFaceLoss(**size, margin=margin, scale=scale), "W"
        case "subcenter-arcface":
            loss = losses.SubCenterArcFaceLoss(**size, margin=margin, scale=scale, sub_centers=case["centers"])
            name = "W"
        case "cosface":
            loss, name = losses.CosFaceLoss(**size, margin=margin, scale=scale), "W"
        case "normalized-softmax":
            loss, name = losses.NormalizedSoftmaxLoss(**size, temperature=temperature), "W"
        case "soft-triple":
            loss = losses.SoftTripleLoss(**size, centers_per_class=case["centers"], la=scale, gamma=temperature, margin=margin)
            name = "fc"
        case "proxy-nca++":
            loss = losses.ProxyNCALoss(**size, softmax_scale=1 / temperature, distance=distance(case["head"]))
            name = "proxies"
        case "proxy-anchor":
            loss, name = losses.ProxyAnchorLoss(**size, margin=margin, alpha=scale), "proxies"
        case "proxy-nca":
            return proxy_nca(case, embeddings, vectors, labels)
        case _:
            raise ValueError(f"unknown loss {case['loss']!r}")
    # The parameter is replaced by the given vectors, which are its columns in W and fc.
    del loss._parameters[name]
    loss.__dict__[name] = vectors if name == "proxies" else vectors.t()
    loss.cast_types = lambda dtype, device: None  # would detach it
    return loss(embeddings, labels)


def proxy_nca(case, embeddings, vectors, labels):
    """Movshovitz-Attias et al. 2017, equation 6."""
    measure = distance(case["head"])
    similarity = measure(embeddings, vectors)
    if not measure.is_inverted:
        similarity = -similarity
    logits = similarity / case["temperature"]
    own = torch.nn.functional.one_hot(labels, case["classes"]).bool()
    return (logits.masked_fill(own, -torch.inf).logsumexp(1) - logits[own]).mean()


def numbers(tensor):
    """The elements, None for those that are not finite."""
    return [v if math.isfinite(v) else None for v in tensor.detach().flatten().tolist()]


def answer(case):
    def tensor(name):
        features = case["features"]
        return torch.tensor(case[name], dtype=torch.float64).reshape(-1, features).requires_grad_()

    embeddings, vectors = tensor("embeddings"), tensor("vectors")
    try:
        cost = cost_of(case, embeddings, vectors, torch.tensor(case["labels"]))
        gradients = torch.autograd.grad(cost, [embeddings, vectors], allow_unused=True)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    found = [torch.zeros_like(t) if g is None else g for t, g in zip((embeddings, vectors), gradients)]
    return {"cost": numbers(cost), "embeddings": numbers(found[0]), "vectors": numbers(found[1])}


if __name__ == "__main__":
    answers = [answer(case) for case in json.load(sys.stdin)]
    versions = [f"Python {platform.python_version()}", f"torch {torch.__version__}",
                f"pytorch-metric-learning {pytorch_metric_learning.__version__}"]
    json.dump({"versions": versions, "answers": answers}, sys.stdout)
