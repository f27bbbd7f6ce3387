"""A peer of the comparison of speed: does the library's works in another way.

    python benchmarks/peers/speed.py eager|channels_last|compile|onnxruntime THREADS

It is started by benchmarks/peers/speed and serves it. Each line of the input is
a request in JSON, each line of the output its answer:

    {"do": "prepare", "folder": F}  builds the work that is described in the folder;
                                    with "fresh" its weights are PyTorch's own first
                                    ones and there is one batch: to measure memory
    {"do": "check", "count": n}     {"losses": [...]} of n steps, or the {"difference": d}
                                    of embeddings from the library's
    {"do": "steps", "count": n}     {"milliseconds": [...]} of each of n steps
    {"do": "memory"}                {"resident": r, "peak": p} of the process in bytes, the
                                    peak since the last such request
    {"do": "release"}               forgets the work

An answer with "error" says why there is no other.
"""

import gc
import json
import os
import sys
import time
import traceback

import torch

from speed_works import prepare


def status(field):
    """A line of the process's status, in bytes."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))


def milliseconds(step):
    start = time.perf_counter()
    step()
    return (time.perf_counter() - start) * 1e3


class Server:
    def __init__(self, way, threads):
        self.way, self.threads, self.work = way, threads, None

    def prepare(self, request):
        self.work = prepare(request["folder"], self.way, self.threads, request.get("fresh", False))
        return {}

    def check(self, request):
        return self.work.check(request["count"])

    def steps(self, request):
        return {"milliseconds": [milliseconds(self.work.step) for _ in range(request["count"])]}

    def memory(self, request):
        answer = {"resident": status("VmRSS"), "peak": status("VmHWM")}
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the peak begins anew
        return answer

    def release(self, request):
        self.work = None
        torch.compiler.reset()
        gc.collect()
        return {}


def main():
    way, threads = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(threads)
    # Whatever prints to the standard output must not get among the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    server = Server(way, threads)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(server, request["do"])(request)
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
