"""Compares two photographs by an ONNX network, as `likeness compare` does: the process that
benchmarks/start measures beside it. Arguments: the network and two image files."""

import sys

import numpy
import onnxruntime
from PIL import Image


def pixels(path):
    image = Image.open(path)
    image.draft("RGB", (256, 256))  # scaled decoding
    image = image.convert("RGB")
    shorter = min(image.size)
    image = image.resize((image.width * 256 // shorter, image.height * 256 // shorter), Image.BOX)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    return numpy.asarray(image.crop((left, top, left + 224, top + 224)), dtype=numpy.float32)


session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
name = session.get_inputs()[0]
images = [pixels(path) for path in sys.argv[2:4]]
if name.shape[1] == 3:
    images = [image.transpose(2, 0, 1) for image in images]
a, b = session.run(None, {name.name: numpy.stack(images)})[0].astype(numpy.float64)
print("distance %.4f" % (1 - a @ b / numpy.sqrt(a @ a) / numpy.sqrt(b @ b)))
