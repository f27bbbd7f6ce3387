"""Measures training steps of PyTorch's DistributedDataParallel with gloo on two processes.

Arguments: the workload, the number of processes, the seconds. It prints the seconds of the fastest step.
"""

import os
import sys
import time

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "peers"))
import networks


def contrastive(embeddings, labels):
    left, right = embeddings
    d = (left - right).square().sum(1).add(1e-12).sqrt()
    return ((1 - labels) * 0.5 * d * d + labels * 0.5 * (1 - d).clamp(min=0).square()).mean()


def n_pair(embeddings, labels):
    x = F.normalize(embeddings[0])
    similarities = x @ x.T / 0.1
    same = labels[:, None] == labels[None, :]
    own = torch.eye(len(labels), dtype=torch.bool)
    negatives = similarities.masked_fill(same, -1e9).logsumexp(1, keepdim=True)
    losses = torch.logaddexp(similarities, negatives) - similarities
    return losses[same & ~own].mean()


def work(rank, processes, workload, text, seconds):
    torch.set_num_threads(1)
    network = networks.build(text)
    network = network[0] if isinstance(network, tuple) else network
    if processes > 1:
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29577")
        dist.init_process_group("gloo", rank=rank, world_size=processes)
        network = nn.parallel.DistributedDataParallel(network)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-5)
    pairs = workload == "conv4"
    count, shape = (128, (1, 28, 28)) if pairs else (64, (3, 224, 224))
    count //= processes
    images = [torch.rand(count, *shape) for _ in range(2 if pairs else 1)]
    labels = torch.arange(count) % 2 if pairs else torch.arange(count) // 4
    times, began = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        optimizer.zero_grad()
        if pairs:  # one forward pass, since DistributedDataParallel expects one for each backward pass
            embeddings = network(torch.cat(images)).chunk(2)
            loss = contrastive(embeddings, labels.float())
        else:
            loss = n_pair([network(images[0])], labels)
        loss.backward()
        optimizer.step()
        times.append(time.perf_counter() - start)
        if processes > 1:
            go_on = torch.tensor([float(len(times) < 3 or time.perf_counter() - began < seconds)])
            dist.broadcast(go_on, 0)
            if not go_on.item():
                break
    if rank == 0:
        print(min(times[1:]))
    if processes > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    workload, processes, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    text = sys.stdin.read()
    if processes == 1:
        work(0, 1, workload, text, seconds)
    else:
        mp.spawn(work, args=(processes, workload, text, seconds), nprocs=processes)
