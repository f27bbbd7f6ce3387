package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/internal/random"
)

// vinyalsTest is how many of the 1,623 characters are tested on, and
// vinyalsValidation how many of the others Vinyals et al. held out to choose
// settings by; here nothing is chosen, and they are not looked at.
const (
	vinyalsTest       = 423
	vinyalsValidation = 172
)

// vinyals trains on 1,028 characters and measures episodes across alphabets of
// 423 others, each in four turns as classes of their own. The characters are
// drawn at random: the list that Vinyals et al. 2016 drew is not part of the
// data.
func vinyals(ctx context.Context, s settings) ([]Row, error) {
	splits, _, err := s.open("background")
	if err != nil {
		return nil, err
	}
	classes := slices.Concat(splits.Train.Classes, splits.Test.Classes)
	r := random.New(trialSeed, "vinyals")
	r.Shuffle(len(classes), func(i, j int) { classes[i], classes[j] = classes[j], classes[i] })
	all, err := datasets.Join("Omniglot", splits.Train, splits.Test)
	if err != nil {
		return nil, err
	}
	test, err := all.OnlyClasses(classes[:vinyalsTest]...)
	if err != nil {
		return nil, err
	}
	train, err := all.OnlyClasses(classes[vinyalsTest+vinyalsValidation:]...)
	if err != nil {
		return nil, err
	}
	if test, err = turned(test); err != nil {
		return nil, err
	}
	recipe := usual(backgroundSteps)
	recipe.grouped = false
	settings, err := recipe.settings(s)
	if err != nil {
		return nil, err
	}
	network, took, err := recipe.train(ctx, s, train)
	if err != nil {
		return nil, err
	}
	field, err := newField(network)
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, task := range []struct {
		way, shot int
		published float64
	}{{5, 1, 98.8}, {20, 1, 96.0}, {5, 5, 99.7}, {20, 5, 98.9}} {
		m, err := episodes(test, task.way, task.shot, 5, 1000, false)
		if err != nil {
			return nil, err
		}
		row := Row{
			Settings:  settings,
			Protocol:  fmt.Sprintf("1,028 / 172 / 423 characters drawn at random, four turns, %d-way %d-shot across alphabets, 1,000 episodes", task.way, task.shot),
			Published: fmt.Sprintf("prototypical net %g", task.published),
		}
		more, err := field.measure(s.fill(row, "n-pair, cosine, Conv7", took), m, false)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// turned is images in four turns, each a class of its own.
func turned(images *datasets.Dataset) (*datasets.Dataset, error) {
	all, err := images.Symmetries()
	if err != nil {
		return nil, err
	}
	return all.OnlyClasses(slices.DeleteFunc(slices.Clone(all.Classes), func(name string) bool {
		return strings.Contains(name, "mirrored")
	})...)
}
