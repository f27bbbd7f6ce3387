"""A peer of benchmarks/peers/speed: runs the workloads in PyTorch, ONNX Runtime or OpenVINO.

    python benchmarks/peers/speed.py eager|channels_last|compile|bfloat16|onnxruntime|onnxruntime-int8|openvino|openvino-bf16|openvino-int8 THREADS

benchmarks/peers/speed starts it. Each line of the input is a request in JSON, and each
line of the output its answer:

    {"do": "prepare", "folder": F}  builds the workload described in the folder; with
                                    "fresh", which is for measuring memory, with the
                                    initial weights of PyTorch and only one batch
    {"do": "check", "count": n}     {"losses": [...]} of n steps, or the {"difference": d}
                                    of the embeddings from the library's
    {"do": "steps", "count": n}     {"milliseconds": [...]} of each of n steps
    {"do": "memory"}                {"resident": r, "peak": p} of the process in bytes, the
                                    peak since the last such request
    {"do": "release"}               releases the workload

If a request fails, the answer is {"error": message}.
"""

import gc
import json
import os
import sys
import time
import traceback

import torch

from speed_workloads import prepare


def status(field):
    """A field of /proc/self/status in bytes."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))


def milliseconds(step):
    start = time.perf_counter()
    step()
    return (time.perf_counter() - start) * 1e3


class Server:
    def __init__(self, variant, threads):
        self.variant, self.threads, self.workload = variant, threads, None

    def prepare(self, request):
        self.workload = prepare(request["folder"], self.variant, self.threads, request.get("fresh", False))
        return {}

    def check(self, request):
        return self.workload.check(request["count"])

    def steps(self, request):
        return {"milliseconds": [milliseconds(self.workload.step) for _ in range(request["count"])]}

    def memory(self, request):
        answer = {"resident": status("VmRSS"), "peak": status("VmHWM")}
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # resets the peak
        return answer

    def release(self, request):
        self.workload = None
        torch.compiler.reset()
        gc.collect()
        return {}


def main():
    variant, threads = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(threads)
    # Libraries that print to the standard output must not mix their text with the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    server = Server(variant, threads)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(server, request["do"])(request)
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
