"""The workloads of benchmarks/peers/speed in PyTorch, ONNX Runtime and OpenVINO."""

import json
import pathlib
import tempfile

import torch
from safetensors import safe_open

from losses import cost_of
from networks import build


def prepare(folder, variant, threads, fresh):
    """Returns the workload described in the folder, prepared in one of the variants."""
    folder = pathlib.Path(folder)
    with safe_open(folder / "inputs.safetensors", framework="pt") as inputs:
        described = json.loads(inputs.metadata()["workload"])
        batches = 1 if fresh else described["batches"]
        batches = [{n.split(" ", 1)[1]: inputs.get_tensor(n) for n in inputs.keys() if n.startswith(f"{i} ")} for i in range(batches)]
        expected = None if described["loss"] else inputs.get_tensor("embeddings")
    with safe_open(folder / "model.safetensors", framework="pt") as model:
        network = build(model.metadata()["likeness.backbone"])
        head = {n: torch.nn.Parameter(model.get_tensor(n)) for n in model.keys() if n.startswith("head.")}
        if not fresh:
            network.load_state_dict({n: model.get_tensor(n) for n in model.keys() if n not in head}, strict=True)
    for batch in batches:
        for name, values in batch.items():
            if name.startswith("images"):  # from (batch, height, width, channels)
                batch[name] = values.permute(0, 3, 1, 2).contiguous()
    if described["loss"]:
        return Training(network, head, described["loss"], described["solver"], batches, variant)
    if variant == "onnxruntime":
        return Session(network, batches[0]["images 0"], expected, threads)
    if variant == "onnxruntime-int8":
        return QuantizedSession(network, batches[0]["images 0"], expected, threads)
    if variant == "openvino":
        return Request(network, batches[0]["images 0"], expected, threads)
    if variant == "openvino-bf16":
        return LowPrecisionRequest(network, batches[0]["images 0"], expected, threads)
    if variant == "openvino-int8":
        return QuantizedRequest(network, batches[0]["images 0"], expected, threads)
    if variant == "bfloat16":
        return BfloatEmbedding(network, batches[0]["images 0"], expected)
    return Embedding(network, batches[0]["images 0"], expected, variant)


def arranged(network, images, variant):
    """Converts the network and its images to the memory format of the variant."""
    if variant == "channels_last":
        network.to(memory_format=torch.channels_last)
        return [i.contiguous(memory_format=torch.channels_last) for i in images]
    return images


def hard_triplets(distances, labels, margin):
    """The batch-hard triplet loss (Hermans, Beyer & Leibe 2017) without a loop over anchors."""
    same = labels[:, None] == labels
    positive = torch.where(same, distances, 0).amax(1)
    negative = torch.where(same, torch.inf, distances).amin(1)
    return (positive - negative + margin).clamp(min=0).mean()


class Training:
    """A training step: forward pass, backward pass and optimizer."""

    def __init__(self, network, head, loss, solver, batches, variant):
        self.loss = {"soft": False, "balanced": False, "penalties": []} | loss
        self.network, self.head, self.steps = network.train(), head, 0
        # Without batch norm, images do not affect each other, and all towers can be one batch.
        self.together = not any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())
        self.batches = []
        for batch in batches:
            images = [batch[f"images {i}"] for i in range(loss["towers"])]
            images = arranged(network, [torch.cat(images)] if self.together else images, variant)
            self.batches.append((images, batch.get("labels")))
        self.cost = torch.compile(self.forward) if variant == "compile" else self.forward
        parameters = [*network.parameters(), *head.values()]
        if solver["name"] == "adam":
            self.solver = torch.optim.Adam(parameters, lr=solver["learning_rate"], fused=True)
        else:
            self.solver = torch.optim.SGD(parameters, lr=solver["learning_rate"], momentum=solver["momentum"], fused=True)

    def forward(self, images, labels):
        embeddings = [self.network(i) for i in images]
        if self.together:
            embeddings = list(embeddings[0].chunk(self.loss["towers"]))
        if self.loss["objective"] == "batch-hard":
            [x] = embeddings
            return hard_triplets(torch.cdist(x, x), labels, self.loss["margin"])
        return cost_of(self.loss, embeddings, labels, self.head)

    def step(self):
        images, labels = self.batches[self.steps % len(self.batches)]
        self.steps += 1
        self.solver.zero_grad(set_to_none=True)
        cost = self.cost(images, labels)
        cost.backward()
        self.solver.step()
        return cost.item()

    def check(self, count):
        return {"losses": [self.step() for _ in range(count)]}


def difference(found, expected):
    """The largest difference, relative to the value, or absolute where that is below 1."""
    return {"difference": ((found - expected).abs() / expected.abs().clamp(min=1)).max().item()}


def length(found, expected):
    """The length of the difference, relative to that of the expected embeddings."""
    return {"difference": ((found.float() - expected).norm() / expected.norm()).item()}


class Embedding:
    """PyTorch in evaluation mode."""

    def __init__(self, network, images, expected, variant):
        self.network, self.expected = network.eval(), expected
        [self.images] = arranged(network, [images], variant)
        if variant == "compile":
            torch._inductor.config.freezing = True  # weights become constants, into which batch norm is folded
            self.network = torch.compile(self.network)

    @torch.no_grad()
    def step(self):
        return self.network(self.images)

    def check(self, count):
        return difference(self.step(), self.expected)


class Session:
    """ONNX Runtime on the network as PyTorch exports it."""

    def __init__(self, network, images, expected, threads):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "network.onnx"
            torch.onnx.export(network.eval(), (images,), path, input_names=["images"], dynamo=True, verbose=False)
            self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.images, self.expected = {"images": images.numpy()}, expected

    def step(self):
        return self.session.run(None, self.images)[0]

    def check(self, count):
        return difference(torch.from_numpy(self.step()), self.expected)


class BfloatEmbedding:
    """PyTorch in evaluation mode, compiled, with weights and activations in bfloat16."""

    def __init__(self, network, images, expected):
        torch._inductor.config.freezing = True
        self.network = torch.compile(network.eval().to(torch.bfloat16).to(memory_format=torch.channels_last))
        self.images = images.to(torch.bfloat16).contiguous(memory_format=torch.channels_last)
        self.expected = expected

    @torch.no_grad()
    def step(self):
        return self.network(self.images)

    def check(self, count):
        return length(self.step(), self.expected)


class Calibration:
    """The images as ONNX Runtime reads them to calibrate, one at a time."""

    def __init__(self, images):
        self.images = iter(images.split(1))

    def get_next(self):
        image = next(self.images, None)
        return None if image is None else {"images": image.numpy()}


def quantize(network, images, folder):
    """The file of ONNX Runtime's static quantization: QDQ, with a scale for each channel of the weights."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    exported, prepared, quantized = (str(pathlib.Path(folder) / name) for name in ["network.onnx", "prepared.onnx", "quantized.onnx"])
    torch.onnx.export(network.eval(), (images[:1],), exported, input_names=["images"], dynamo=False, opset_version=17, dynamic_axes={"images": {0: "batch"}})
    quant_pre_process(exported, prepared)
    quantize_static(prepared, quantized, Calibration(images), quant_format=QuantFormat.QDQ, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, per_channel=True)
    return quantized


class QuantizedSession:
    """ONNX Runtime on the network as it quantizes it."""

    def __init__(self, network, images, expected, threads):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        with tempfile.TemporaryDirectory() as folder:
            self.session = onnxruntime.InferenceSession(quantize(network, images, folder), options, providers=["CPUExecutionProvider"])
        self.images, self.expected = {"images": images.numpy()}, expected

    def step(self):
        return self.session.run(None, self.images)[0]

    def check(self, count):
        return length(torch.from_numpy(self.step()), self.expected)


class Request:
    """OpenVINO on the network as it converts it from PyTorch."""

    precision = "f32"

    def __init__(self, network, images, expected, threads):
        import openvino

        self.request = openvino.compile_model(self.model(network, images), "CPU", {
            "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": self.precision, "INFERENCE_NUM_THREADS": threads,
        }).create_infer_request()
        self.images, self.expected = openvino.Tensor(images.numpy()), expected

    def model(self, network, images):
        import openvino

        return openvino.convert_model(network.eval(), example_input=images, input=[list(images.shape)])

    def step(self):
        return self.request.infer([self.images], share_inputs=True, share_outputs=True)[0]

    def check(self, count):
        return difference(torch.from_numpy(self.step()), self.expected)


class LowPrecisionRequest(Request):
    """OpenVINO in bfloat16, where the processor has it."""

    precision = "bf16"

    def check(self, count):
        return length(torch.from_numpy(self.step()), self.expected)


class QuantizedRequest(LowPrecisionRequest):
    """OpenVINO on the file of ONNX Runtime's quantization."""

    precision = "f32"

    def model(self, network, images):
        import openvino

        with tempfile.TemporaryDirectory() as folder:
            model = openvino.Core().read_model(quantize(network, images, folder))
            model.reshape(list(images.shape))
            return model
