package fetch

import "github.com/likeness-go/likeness/internal/wording"

// weightSets lists the weights of networks, which torchvision's authors trained on
// ImageNet and publish under the BSD 3-clause license. A file has the beginning of its
// SHA-256 in its name and no published size; the maximum is about one and a half times
// what its network takes, four bytes for each of its parameters.
var weightSets = []Set{
	torchvision("resnet18", "resnet18", "ResNet-18 (He et al. 2016)", "resnet18", "f37072fd", 64<<20),
	torchvision("resnet34", "resnet34", "ResNet-34 (He et al. 2016)", "resnet34", "b627a593", 128<<20),
	torchvision("resnet50", "resnet50", "ResNet-50 (He et al. 2016), torchvision's second version", "resnet50", "11ad3fa6", 160<<20),
	torchvision("resnet50-v1", "resnet50", "ResNet-50 (He et al. 2016), torchvision's first version", "resnet50", "0676ba61", 160<<20),
	torchvision("mobilenet-v2", "mobilenet-v2", "MobileNetV2 (Sandler et al. 2018), torchvision's second version", "mobilenet_v2", "7ebf99e0", 24<<20),
	torchvision("mobilenet-v2-v1", "mobilenet-v2", "MobileNetV2 (Sandler et al. 2018), torchvision's first version", "mobilenet_v2", "b0353104", 24<<20),
	torchvision("efficientnet-b0", "efficientnet-b0", "EfficientNet-B0 (Tan & Le 2019), weights of Wightman", "efficientnet_b0_rwightman", "7f5810bc", 32<<20),
	torchvision("convnext-tiny", "convnext-tiny", "ConvNeXt-T (Liu et al. 2022)", "convnext_tiny", "983f1562", 176<<20),
}

// torchvision is a file FILE-SUM.pth of torchvision's weights.
func torchvision(name, backbone, title, file, sum string, maxSize int64) Set {
	file += "-" + sum + ".pth"
	return Set{Name: name, Title: title, Backbone: backbone, Files: []File{{
		Name: file, URLs: []string{"https://download.pytorch.org/models/" + file}, MaxSize: maxSize, SHA256Prefix: sum,
	}}}
}

// WeightNames returns the names of the sets that Weights returns.
func WeightNames() []string {
	var names []string
	for _, set := range weightSets {
		names = append(names, set.Name)
	}
	return names
}

// Weights returns the published weights of a network by their name, which is that of the
// network in package backbone or, for other weights of the same network, begins with it.
// Package pytorch reads the file. An unknown name is an error that suggests the most
// similar one.
func Weights(name string) (Set, error) {
	for _, set := range weightSets {
		if set.Name == name {
			return set, nil
		}
	}
	return Set{}, wording.Unknown("set of weights", name, WeightNames())
}
