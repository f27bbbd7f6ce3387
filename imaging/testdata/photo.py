"""Writes what torchvision makes of small images, which TestTorchvision compares:

    python imaging/testdata/photo.py > imaging/testdata/photo.txt

Each line has an operation, its parameters, the height, width and channels of the image that
TestTorchvision generates, too, and the resulting bytes (height, width, channels).
"""
import torch
import torchvision
from torchvision.transforms.v2 import functional


def generated(height, width, channels):
    y, x, c = torch.meshgrid(torch.arange(height), torch.arange(width), torch.arange(channels), indexing="ij")
    return ((37 * y * y + 11 * x * x * (c + 1) + 29 * x * y + 83 * c) % 256).to(torch.uint8).permute(2, 0, 1)


def write(name, parameters, image, result):
    channels, height, width = image.shape
    values = " ".join(str(p) for p in parameters)
    print(f"{name}|{values}|{height} {width} {channels}|{bytes(result.permute(1, 2, 0).flatten().tolist()).hex()}")


print(f"# torchvision {torchvision.__version__.split('+')[0]}, torchvision.transforms.v2.functional on uint8")
for shape in ((11, 9, 3), (11, 9, 1)):
    image = generated(*shape)
    for factor in (0.0, 0.6, 1.35):
        write("brightness", [factor], image, functional.adjust_brightness(image, factor))
        write("contrast", [factor], image, functional.adjust_contrast(image, factor))
        write("saturation", [factor], image, functional.adjust_saturation(image, factor))
    for shift in (-0.5, -0.1, 0.03, 0.4):
        write("hue", [shift], image, functional.adjust_hue(image, shift))
    write("grayscale", [], image, functional.rgb_to_grayscale(image, shape[2]))
    write("flip", [], image, functional.horizontal_flip(image))
    for kernel, sigma in ((3, 0.8), (9, 2.0), (17, 5.0)):
        write("blur", [kernel, sigma], image, functional.gaussian_blur(image, [kernel, kernel], [sigma, sigma]))
    # top, left, height and width of the crop, and the height and width of the result
    for crop in ((0, 0, 11, 9, 5, 4), (2, 1, 7, 8, 7, 8), (3, 2, 5, 4, 12, 13), (1, 0, 10, 3, 2, 9)):
        result = functional.resized_crop(image, *crop[:4], list(crop[4:]), antialias=True)
        write("crop", crop, image, result)
