"""The losses of the library in PyTorch: functions of PyTorch where they exist, otherwise
the equations of the papers over explicit pairs and triplets."""

import math
from fnmatch import fnmatch

import torch
from torch.nn import functional as F


def distance(head, x, y, parameters):
    """Distances over the last axis."""
    match head:
        case "l2":
            return torch.linalg.vector_norm(x - y, dim=-1)
        case "squared-l2":
            return (x - y).square().sum(-1)
        case "l1":
            return (x - y).abs().sum(-1)
        case "weighted-l1":
            return ((x - y).abs() * F.softplus(parameters["head.weight"])).sum(-1)
        case "signed-weighted-l1":
            return (x - y).abs() @ parameters["head.weight"]
        case "cosine":
            return 1 - F.cosine_similarity(x, y, dim=-1)
    raise ValueError(f"unknown head {head!r}")


def contrastive(loss, d, different, parameters):
    """Hadsell, Chopra & LeCun 2006, equation 4, of each pair."""
    return torch.where(different == 1, 0.5 * (loss["margin"] - d).clamp(min=0).square(), 0.5 * d.square())


def cross_entropy(loss, d, different, parameters):
    """Koch, Zemel & Salakhutdinov 2015, section 3.2, of each pair."""
    logits = parameters["head.bias"] - d
    return F.binary_cross_entropy_with_logits(logits, 1 - different, reduction="none")


def ranking(loss, gaps):
    """The loss of a triplet as a function of D(a,p) - D(a,n)."""
    if loss["soft"]:
        return -F.logsigmoid(-gaps)  # equals softplus, which PyTorch approximates above 20
    return (gaps + loss["margin"]).clamp(min=0)


def triplet_ratio(loss, positive, negative):
    """Hoffer & Ailon 2015, as in their code: the mean squared error of a softmax, here of
    scaled distances."""
    probabilities = F.softmax(loss["scale"] * torch.stack([positive, negative], -1), -1)
    return F.mse_loss(probabilities, torch.tensor([0.0, 1.0], dtype=probabilities.dtype).expand_as(probabilities))


def over_pairs(loss, judge, d, labels, parameters):
    """The mean over all pairs i < j or, if balanced, the mean of the means over pairs of the
    same class and of different classes."""
    i, j = torch.triu_indices(len(labels), len(labels), 1)
    different = (labels[i] != labels[j]).to(d.dtype)
    losses = judge(loss, d[i, j], different, parameters)
    if not loss["balanced"]:
        return losses.mean()
    return (losses[different == 0].mean() + losses[different == 1].mean()) / 2


def over_triplets(loss, d, labels):
    """Mining: batch-all and batch-hard (Hermans, Beyer & Leibe 2017), semi-hard
    (Schroff, Kalenichenko & Philbin 2015)."""
    gaps = []
    for a, label in enumerate(labels):
        positives = [p for p, other in enumerate(labels) if other == label and p != a]
        negatives = [n for n, other in enumerate(labels) if other != label]
        if loss["mining"] == "easy-positive":
            positives = [min(positives, key=lambda p: d[a, p].item())]
        match loss["objective"]:
            case "batch-all" | "batch-ratio":
                gaps += [d[a, p] - d[a, n] for p in positives for n in negatives]
            case "batch-hard":
                gaps.append(d[a, positives].max() - d[a, negatives].min())
            case "semi-hard":
                for p in positives:
                    within = [d[a, n] for n in negatives if d[a, p] < d[a, n] < d[a, p] + loss["margin"]]
                    if within:
                        gaps.append(d[a, p] - torch.stack(within).min())
    if loss["objective"] == "batch-ratio":
        return torch.sigmoid(loss["scale"] * torch.stack(gaps)).square().mean()
    losses = ranking(loss, torch.stack(gaps))
    if loss["objective"] == "batch-all" and not loss["soft"]:
        losses = losses[losses > 0]
    return losses.mean()


def over_anchors(loss, d, labels, x):
    """Losses of the softmax of -d / temperature over all other images: n-pair (Sohn 2016), supervised
    contrastive (Khosla et al. 2020), NCA (Goldberger et al. 2004), prototypical (Snell,
    Swersky & Zemel 2017) with each image against the mean of the others of its class."""
    logits, losses = -d / loss["temperature"], []
    if loss["head"] == "cosine":
        x = F.normalize(x) / 2**0.5
    for a, label in enumerate(labels):
        positives = [p for p, other in enumerate(labels) if other == label and p != a]
        negatives = [n for n, other in enumerate(labels) if other != label]
        if loss["mining"] == "easy-positive":
            positives = [min(positives, key=lambda p: d[a, p].item())]
        own, all_others = logits[a, positives], logits[a, positives + negatives]
        match loss["objective"]:
            case "n-pair":
                losses += [F.softplus(logits[a, negatives].logsumexp(0) - logits[a, p]) for p in positives]
            case "supervised-contrastive":
                losses.append(all_others.logsumexp(0) - own.mean())
            case "nca":
                losses.append(all_others.logsumexp(0) - own.logsumexp(0))
            case "prototypical":
                classes = sorted(set(labels))
                means = [x[[i for i, other in enumerate(labels) if other == c and i != a]].mean(0) for c in classes]
                near = torch.stack([-(x[a] - m).square().sum() / loss["temperature"] for m in means])
                losses.append(F.cross_entropy(near, torch.tensor(classes.index(label))))
    return torch.stack(losses).mean()


def over_vectors(loss, x, labels, parameters):
    """Losses with class vectors: the margin softmaxes (Deng et al. 2019 and 2020, Wang et al. 2018, Zhai & Wu 2019),
    SoftTriple (Qian et al. 2019), Proxy-NCA (Movshovitz-Attias et al. 2017) and with the target in the denominator
    (Teh et al. 2020), Proxy-Anchor (Kim et al. 2020)."""
    vectors, labels = parameters["loss.vectors"], labels.long()
    d = distance(loss["head"], x[:, None], vectors[None], parameters)
    cosines = (1 - d).reshape(len(x), -1, loss["centers"] or 1)
    own = F.one_hot(labels, cosines.shape[1]).bool()
    match loss["objective"]:
        case "arcface" | "subcenter-arcface":
            cosines = cosines.amax(2)
            angles, margin = cosines.acos(), torch.tensor(loss["margin"], dtype=x.dtype).deg2rad()
            beyond = cosines - margin * margin.sin()
            target = torch.where(angles <= torch.pi - margin, (angles + margin).cos(), beyond)
            return F.cross_entropy(loss["scale"] * torch.where(own, target, cosines), labels)
        case "cosface":
            return F.cross_entropy(loss["scale"] * (cosines[..., 0] - loss["margin"] * own.to(x.dtype)), labels)
        case "normalized-softmax":
            return F.cross_entropy(cosines[..., 0] / loss["temperature"], labels)
        case "soft-triple":
            similarity = ((cosines / loss["temperature"]).softmax(2) * cosines).sum(2)
            return F.cross_entropy(loss["scale"] * (similarity - loss["margin"] * own.to(x.dtype)), labels)
        case "proxy-nca":
            logits = -d / loss["temperature"]
            return (logits.masked_fill(own, -torch.inf).logsumexp(1) - logits[own]).mean()
        case "proxy-nca++":
            return F.cross_entropy(-d / loss["temperature"], labels)
        case "proxy-anchor":
            cosines, zero = cosines[..., 0], torch.zeros(1, cosines.shape[1], dtype=x.dtype)
            pull = (-loss["scale"] * (cosines - loss["margin"])).masked_fill(~own, -torch.inf)
            push = (loss["scale"] * (cosines + loss["margin"])).masked_fill(own, -torch.inf)
            pull, push = (torch.cat([zero, each]).logsumexp(0) for each in (pull, push))
            return pull.sum() / own.any(0).sum() + push.mean()


def over_rankings(loss, d, labels, parameters):
    """Losses with the defaults of the library: angular (Wang et al. 2017), circle (Sun et al. 2020), FastAP (Cakir
    et al. 2019), lifted structure (Hermans, Beyer & Leibe 2017), margin over all triplets (Wu et al. 2017),
    multi-similarity (Wang et al. 2019), Smooth-AP (Brown et al. 2020), tuplet margin (Yu & Tao 2019)."""
    s, losses, terms = 1 - d, [], []
    m, scale, zero = loss["margin"], loss["scale"], torch.zeros(1, dtype=d.dtype)

    def log_one_plus_sum(exponents):
        return torch.cat([exponents, zero]).logsumexp(0)

    for a, label in enumerate(labels):
        p = [i for i, other in enumerate(labels) if other == label and i != a]
        n = [i for i, other in enumerate(labels) if other != label]
        match loss["objective"]:
            case "angular":
                t = math.tan(math.radians(40)) ** 2
                losses += [log_one_plus_sum(4 * t * (s[a, n] + s[i, n]) - 2 * (1 + t) * s[a, i]) for i in p]
            case "circle":
                near = -scale * (1 + m - s[a, p]).clamp(min=0).detach() * (s[a, p] - 1 + m)
                far = scale * (s[a, n] + m).clamp(min=0).detach() * (s[a, n] - m)
                losses.append(log_one_plus_sum((near.logsumexp(0) + far.logsumexp(0))[None]))
            case "fastap":
                centers = torch.linspace(0, 2, 11, dtype=d.dtype)[:, None]
                own = (1 - (d[a, p] - centers).abs() / 0.2).clamp(min=0).sum(1)
                every = own + (1 - (d[a, n] - centers).abs() / 0.2).clamp(min=0).sum(1)
                used = own > 0
                losses.append(1 - (own * own.cumsum(0))[used].div(every.cumsum(0)[used]).sum() / len(p))
            case "lifted-structure":
                losses.append((d[a, p].logsumexp(0) + (m - d[a, n]).logsumexp(0)).clamp(min=0))
            case "margin":
                beta = parameters["loss.beta"]
                terms += [((2 * d[a, i]).sqrt() - beta + m).clamp(min=0) for i in p for _ in n]
                terms += [(beta - (2 * d[a, j]).sqrt() + m).clamp(min=0) for _ in p for j in n]
            case "multi-similarity":
                near = [i for i in p if s[a, i] - 0.1 < s[a, n].max()]
                far = [j for j in n if s[a, j] + 0.1 > s[a, p].min()]
                losses.append(log_one_plus_sum(-2 * (s[a, near] - 0.5)) / 2 + log_one_plus_sum(50 * (s[a, far] - 0.5)) / 50)
            case "smooth-ap":
                own, others = torch.cat([d[a, p], zero]), d[a, n]
                ranks = 0.5 + torch.sigmoid((own[:, None] - own) / loss["temperature"]).sum(1)  # without itself, 1/2
                every = ranks + torch.sigmoid((own[:, None] - others) / loss["temperature"]).sum(1)
                losses.append(1 - (ranks / every).mean())
            case "tuplet-margin":
                angles = torch.acos(s[a, p]) - math.radians(m)
                losses += [log_one_plus_sum(scale * (s[a, n] - torch.cos(angle))) for angle in angles]
    if terms:
        terms = torch.cat(terms)
        return terms.sum() / (terms > 0).sum()
    return torch.stack(losses).mean()


def over_views(loss, x, y):
    """Losses of two views of each image with the defaults of the library: Barlow Twins (Zbontar et al. 2021), SimCLR
    (Chen et al. 2020), VICReg (Bardes et al. 2022)."""
    match loss["objective"]:
        case "simclr":
            z = F.normalize(torch.cat([x, y]))
            logits = (z @ z.T / loss["temperature"]).fill_diagonal_(-torch.inf)
            return F.cross_entropy(logits, torch.arange(len(z)).roll(len(x)))
        case "vicreg":
            cost = 25 * F.mse_loss(x, y)
            for z in (x, y):
                covariance = z.T.cov()
                cost = cost + 25 * F.relu(1 - (z.var(0) + 1e-4).sqrt()).mean() / 2
                cost = cost + (covariance.square().sum() - covariance.diagonal().square().sum()) / z.shape[1]
            return cost
        case "barlow-twins":
            a, b = ((z - z.mean(0)) / (z.var(0, correction=0) + 1e-5).sqrt() for z in (x, y))
            c = a.T @ b / len(x)
            equal = c.diagonal()
            return (1 - equal).square().sum() + 5e-3 * (c.square().sum() - equal.square().sum())


def penalty(loss, parameters):
    """The sum of lambda |w|^2 over kernels, with the lambda of the first matching pattern."""
    total = 0
    for name, weight in parameters.items():
        kernel = weight.dim() > 1 or name == "head.weight" and loss["head"] == "signed-weighted-l1"
        named = [p["lambda"] for p in loss["penalties"] or [] if fnmatch(name, p["pattern"])]
        if kernel and named:
            total = total + named[0] * weight.square().sum()
    return total


def cost_of(loss, embeddings, labels, parameters):
    """The loss of the embeddings of one to three towers, a scalar."""
    def between(x, y):
        return distance(loss["head"], x, y, parameters)

    match loss["objective"], embeddings:
        case "contrastive", [x, y]:
            cost = contrastive(loss, between(x, y), labels, parameters).mean()
        case "cross-entropy", [x, y]:
            cost = cross_entropy(loss, between(x, y), labels, parameters).mean()
        case "triplet", [a, p, n] if loss["soft"]:
            cost = ranking(loss, between(a, p) - between(a, n)).mean()
        case "triplet", [a, p, n]:
            cost = F.triplet_margin_with_distance_loss(a, p, n, distance_function=between, margin=loss["margin"])
        case "triplet-ratio", [a, p, n]:
            cost = triplet_ratio(loss, between(a, p), between(a, n))
        case "simclr" | "vicreg" | "barlow-twins", [x, y]:
            cost = over_views(loss, x, y)
        case _, [x]:
            d = between(x[:, None], x[None])
            match loss["objective"]:
                case "batch-contrastive":
                    cost = over_pairs(loss, contrastive, d, labels, parameters)
                case "batch-cross-entropy":
                    cost = over_pairs(loss, cross_entropy, d, labels, parameters)
                case "n-pair" | "supervised-contrastive" | "nca" | "prototypical":
                    cost = over_anchors(loss, d, labels.tolist(), x)
                case _ if "loss.vectors" in parameters:
                    cost = over_vectors(loss, x, labels, parameters)
                case "batch-all" | "batch-hard" | "batch-ratio" | "semi-hard":
                    cost = over_triplets(loss, d, labels.tolist())
                case _:
                    cost = over_rankings(loss, d, labels.tolist(), parameters)
    return cost + penalty(loss, parameters)
