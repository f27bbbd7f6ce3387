package main

import (
	"context"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
	"github.com/pkg/errors"
)

// cifar trains the CIFAR network of Hoffer & Ailon 2015 by their loss on the
// 50,000 images as they are, and measures the accuracy of a linear classifier
// on the embeddings.
func cifar(ctx context.Context, s settings) ([]Row, error) {
	if s.data == "" {
		return nil, errors.New("-data is missing: the folder of CIFAR-10's binary version (data_batch_1.bin to test_batch.bin), from https://www.cs.toronto.edu/~kriz/cifar.html")
	}
	splits, err := datasets.Open(s.data, datasets.Options{})
	if err != nil {
		return nil, err
	}
	size := backbone.HofferCIFAR().Size
	if splits.Train == nil || splits.Test == nil || splits.Train.Size != size {
		return nil, errors.Errorf("%s: expected CIFAR-10's training and test images of %v", s.data, size)
	}
	r := hoffer(20_000)
	r.network = func(imaging.Size) backbone.Network { return backbone.HofferCIFAR() }
	row := Row{
		Protocol: "CIFAR-10, linear classifier on embeddings of the 50,000 training images, 10,000 test images, trained as they are",
		Method:   "ratio, l2, all triplets of a batch, Hoffer's network", Published: "Hoffer & Ailon 87.1",
	}
	return r.digits(ctx, s, row, splits.Train, splits.Test)
}
