"""The peer of `go run ./benchmarks/losses -reference batches`: losses of pytorch-metric-learning in float64.

The input is a JSON list of cases: the name of a loss of package objectives with its options, a
head, embeddings and labels. The output is a JSON object: the versions of the libraries, and for
each case the value, the gradient by the embeddings and that by the weights of the loss, or the
error that the library raises. Numbers that are not finite are null.
"""

import json
import math
import sys

import pytorch_metric_learning
import torch
import torch.nn.functional as F
from pytorch_metric_learning import distances, losses, miners, reducers

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)  # the batches are small


def euclidean(power=1):
    return distances.LpDistance(normalize_embeddings=False, p=2, power=power)


def unit():
    return distances.LpDistance(normalize_embeddings=True, p=2)


def distance_of(head):
    return {"cosine": distances.CosineSimilarity, "l2": euclidean, "squared-l2": lambda: euclidean(2)}[head]()


def circle(o):
    loss = losses.CircleLoss(m=o["Margin"], gamma=o["Scale"])
    loss.soft_plus = torch.nn.Softplus(threshold=700)  # above 20, PyTorch returns x for log(1 + exp(x))
    return loss


def margin(o, classes):
    loss = losses.MarginLoss(margin=o["Margin"], beta=o["Beta"], learn_beta=True, num_classes=classes if o["PerClass"] else None)
    # The first argument of torch.tensor is a list of float, which has the default type only here.
    loss.beta = torch.nn.Parameter(loss.beta.detach().double())
    return loss


class Hadsell(losses.ContrastiveLoss):
    """ContrastiveLoss with the squares of Hadsell, Chopra & LeCun 2006, as a mean over all pairs or over those of each kind."""

    def __init__(self, margin, balanced, distance):
        super().__init__(pos_margin=0, neg_margin=margin, distance=distance, reducer=reducers.DoNothingReducer())
        self.balanced = balanced

    def forward(self, *arguments):
        result = super().forward(*arguments)
        kinds = [result[name]["losses"] ** 2 / 2 for name in ("pos_loss", "neg_loss")]
        if self.balanced:
            return (kinds[0].mean() + kinds[1].mean()) / 2
        return torch.cat(kinds).mean()


Hadsell.__name__ = "ContrastiveLoss"  # CrossBatchMemory accepts losses by the names of their classes


def build(case):
    """The loss and the miner of a case."""
    o, name, head = case["options"], case["loss"], case["head"]
    easy, mined = o["Mining"] == "easy-positive", o["Mining"] != "all"

    def easy_with(negatives, distance):
        return miners.BatchEasyHardMiner("easy", negatives, distance=distance) if easy else None

    match name:
        case "multi-similarity":
            loss = losses.MultiSimilarityLoss(alpha=o["PositiveScale"], beta=o["NegativeScale"], base=o["Base"])
            return loss, miners.MultiSimilarityMiner(epsilon=o["Epsilon"]) if mined else None
        case "circle":
            return circle(o), easy_with("all", distances.CosineSimilarity())
        case "lifted-structure":
            # With similarities the library's margin has the opposite sign: -margin is the same loss.
            sign = -1 if head == "cosine" else 1
            loss = losses.GeneralizedLiftedStructureLoss(neg_margin=sign * o["Margin"], distance=distance_of(head))
            return loss, easy_with("all", distance_of(head))
        case "angular":
            return losses.AngularLoss(alpha=o["Angle"]), None
        case "tuplet-margin":
            return losses.TupletMarginLoss(margin=o["Margin"], scale=o["Scale"]), easy_with("all", distances.CosineSimilarity())
        case "fastap":
            return losses.FastAPLoss(num_bins=o["Bins"]), None
        case "smooth-ap":
            return losses.SmoothAPLoss(temperature=o["Temperature"]), None
        case "margin":
            loss = margin(o, case["classes"])
            loss.distance = unit() if head == "cosine" else distance_of(head)
            return loss, miners.DistanceWeightedMiner() if mined else None
        case "batch-contrastive":
            return Hadsell(o["Margin"], o["Balanced"], distance_of(head)), None
        case "batch-all":
            return losses.TripletMarginLoss(margin=o["Margin"], distance=distance_of(head)), easy_with("all", distance_of(head))
        case "batch-hard":
            miner = easy_with("hard", distance_of(head)) or miners.BatchHardMiner(distance=distance_of(head))
            return losses.TripletMarginLoss(margin=o["Margin"], distance=distance_of(head), reducer=reducers.MeanReducer()), miner
        case "semi-hard":
            return losses.TripletMarginLoss(margin=o["Margin"], distance=distance_of(head)), easy_with("semihard", distance_of(head))
        case "n-pair":
            return losses.NTXentLoss(temperature=o["Temperature"]), easy_with("all", distances.CosineSimilarity())
        case "supervised-contrastive":
            return losses.SupConLoss(temperature=o["Temperature"]), None
    raise ValueError(f"no class for the loss {name!r}")


def finite(values):
    """Nested lists of numbers, with None where one is not finite."""
    if isinstance(values, list):
        return [finite(v) for v in values]
    return values if math.isfinite(values) else None


def answer_with_memory(case):
    """The last of consecutive batches with a cross-batch memory."""
    loss, miner = build(case)
    x = torch.tensor(case["embeddings"], requires_grad=True)
    memory = losses.CrossBatchMemory(loss, x.shape[1], case["memory"], miner)
    prepare = F.normalize if case["loss"] == "angular" else lambda x: x  # as in answer
    for step in case["earlier"] or []:
        memory(prepare(torch.tensor(step["embeddings"])), torch.tensor(step["labels"]))
    loss.zero_grad()
    cost = memory(prepare(x), torch.tensor(case["labels"]))
    cost.backward()
    result = {"value": finite(cost.item()), "gradient": finite(x.grad.flatten().tolist())}
    if case["loss"] == "margin":
        result["beta"] = finite(loss.beta.grad.tolist())
    return result


def answer(case):
    if case["memory"]:
        return answer_with_memory(case)
    loss, miner = build(case)
    x = torch.tensor(case["embeddings"], requires_grad=True)
    labels = torch.tensor(case["labels"])
    embeddings = x
    if case["loss"] == "angular":
        embeddings = F.normalize(x)  # the class normalizes anchors and positives, but not negatives
    torch.manual_seed(1)
    values = []
    for _ in range(case["runs"]):
        indices = miner(embeddings, labels) if miner else None
        cost = loss(embeddings, labels, indices)
        if case["runs"] > 1:
            values.append(cost.item())
    if values:
        values = torch.tensor(values)
        error = (values.std() / len(values) ** 0.5).item()
        return {"value": finite(values.mean().item()), "error_of_mean": finite(error)}
    cost.backward()
    result = {"value": finite(cost.item()), "gradient": finite((torch.zeros_like(x) if x.grad is None else x.grad).flatten().tolist())}
    if case["loss"] == "margin":
        beta = loss.beta.grad
        result["beta"] = finite((torch.zeros_like(loss.beta) if beta is None else beta).tolist())
    return result


def main():
    answers = []
    for case in json.load(sys.stdin):
        try:
            answers.append(answer(case))
        except Exception as error:
            answers.append({"raises": f"{type(error).__name__}: {error}".split("\n")[0]})
    python = sys.version.split()[0]
    versions = [f"Python {python}", f"torch {torch.__version__}", f"pytorch-metric-learning {pytorch_metric_learning.__version__}"]
    json.dump({"versions": versions, "answers": answers}, sys.stdout)


main()
