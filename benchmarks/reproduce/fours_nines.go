package main

import (
	"cmp"
	"slices"
	"sync"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/internal/random"
)

// foursNines are so many training images of either digit, and all test images,
// in the first few of the shifts; with one, as they are.
func foursNines(each, copies int) (train, test *datasets.Dataset, err error) {
	splits, err := datasets.MNIST("")
	if err != nil {
		return nil, nil, err
	}
	if train, err = splits.Train.OnlyClasses("4", "9"); err != nil {
		return nil, nil, err
	}
	if test, err = splits.Test.OnlyClasses("4", "9"); err != nil {
		return nil, nil, err
	}
	var chosen []int
	for _, images := range train.ByClass() {
		r := random.New(trialSeed, "digits", len(chosen))
		r.Shuffle(len(images), func(i, j int) { images[i], images[j] = images[j], images[i] })
		chosen = append(chosen, images[:each]...)
	}
	train = train.Subset(chosen)
	if copies == 1 {
		return train, test, nil
	}
	return shift(train), shift(test), nil
}

// shift is a dataset in every shift, one after the other.
func shift(d *datasets.Dataset) *datasets.Dataset {
	all := &datasets.Dataset{Name: d.Name + " shifted", Size: d.Size, Classes: d.Classes}
	for _, by := range shifts {
		for i, image := range d.Images {
			moved := make([]uint8, len(image))
			for p, v := range image {
				if column := p%d.Size.Width + by; column >= 0 && column < d.Size.Width {
					moved[p+by] = v
				}
			}
			all.Images = append(all.Images, moved)
			all.Labels = append(all.Labels, d.Labels[i])
		}
	}
	return all
}

// nearest are the places of the neighbours of each image.
func nearest(images [][]uint8) [][]int {
	near := make([][]int, len(images))
	var workers sync.WaitGroup
	for worker := range 2 {
		workers.Go(func() {
			type other struct{ distance, place int }
			for i := worker; i < len(images); i += 2 {
				others := make([]other, 0, len(images))
				for j, image := range images {
					if j != i {
						others = append(others, other{squares(images[i], image), j})
					}
				}
				slices.SortFunc(others, func(a, b other) int { return cmp.Or(cmp.Compare(a.distance, b.distance), a.place-b.place) })
				for _, o := range others[:neighbours] {
					near[i] = append(near[i], o.place)
				}
			}
		})
	}
	workers.Wait()
	return near
}

// squares is the squared distance of two images.
func squares(a, b []uint8) (sum int) {
	for i, v := range a {
		d := int(v) - int(b[i])
		sum += d * d
	}
	return sum
}
