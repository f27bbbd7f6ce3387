package main

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/solver"
	"github.com/pkg/errors"
)

// setup is what settings come to.
type setup struct {
	settings  Settings // with nothing left to choose
	material  material
	network   backbone.Network
	shape     backbone.Shape
	objective objectives.Loss
	head      heads.Head
	plan      *report.Plan
	notes     []string // what was decided and passed over
	validated string   // by what measure; empty if by none
}

// prepare finds the data, the network and the objective. What the settings
// leave open is chosen.
func (s Settings) prepare() (*setup, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if s.Threads > 0 {
		graph.SetThreads(s.Threads)
		runtime.GOMAXPROCS(s.Threads)
	}
	if s.Head == "" {
		s.Head = usualHead(s.Objective)
	}
	// Refuse before the data are read what can be refused: how many features there
	// are is not known yet.
	if _, _, err := objectives.Named(s.Objective, s.Head, s.asked(1)); err != nil {
		return nil, err
	}
	var err error
	if s.Data, err = locate(s.Data); err != nil {
		return nil, err
	}
	// The network may demand a size of the data, and the data give one to it.
	if err := s.spellOutNetwork(); err != nil {
		return nil, err
	}
	demanded, err := s.demandedSize()
	if err != nil {
		return nil, err
	}
	material, notes, err := s.open(demanded)
	if err != nil {
		return nil, err
	}
	s.Size, s.Unseen = material.images().Size.String(), material.unseen()
	network, err := s.network(material.images().Size)
	if err != nil {
		return nil, err
	}
	shape, err := backbone.ShapeOf(network)
	if err != nil {
		return nil, err
	}
	objective, head, err := s.judge(shape.Features)
	if err != nil {
		return nil, err
	}
	plan, err := material.plan(s.Seed)
	if err != nil {
		return nil, err
	}
	return &setup{settings: s, material: material, network: network, shape: shape, objective: objective, head: head, plan: plan, notes: notes}, nil
}

// introduce says what is about to be trained.
func (s *setup) introduce(c *console) {
	objective := s.settings.Objective
	if s.settings.Margin != 0 {
		objective += fmt.Sprintf(" (margin %v)", s.settings.Margin)
	}
	if s.settings.Scale != 0 {
		objective += fmt.Sprintf(" (scale %v)", s.settings.Scale)
	}
	if s.settings.Temperature != 0 {
		objective += fmt.Sprintf(" (temperature %v)", s.settings.Temperature)
	}
	for _, note := range s.notes {
		c.say("%s", note)
	}
	c.say("data         %s", s.material.summary())
	c.say("protocol     %s", s.plan.Protocol)
	c.say("network      %s, %d parameters, %d features", s.network.Name, s.shape.Parameters, s.shape.Features)
	c.say("objective    %s with %s", objective, s.settings.Head)
	c.say("validation   %s", cmp.Or(s.validated, "none"))
}

// check refuses numbers that no training can have, before anything is read.
func (s Settings) check() error {
	for field := range reflect.TypeFor[Settings]().Fields() {
		key := keyOf(field)
		least, most, err := limits(field)
		if err != nil {
			return err
		}
		var number float64
		switch value := s.field(key); value.Kind() {
		case reflect.Int:
			number = float64(value.Int())
		case reflect.Uint8:
			number = float64(value.Uint())
		case reflect.Float64:
			number = value.Float()
		default:
			continue
		}
		if expected := numbers(least, most); !(number >= least && number <= most) || math.IsInf(number, 0) {
			return errors.Errorf("--%s: found %v, expected %s", flagName(key), s.value(key), expected)
		}
	}
	if s.Seed > 1<<63-1 {
		return errors.Errorf("--seed: found %d, expected at most 2^63 - 1, which TOML can hold", s.Seed)
	}
	if s.ScaleMin > s.ScaleMax {
		return errors.Errorf("--scale-min: found %v, expected at most --scale-max, which is %v", s.ScaleMin, s.ScaleMax)
	}
	if err := s.checkImages(); err != nil {
		return err
	}
	length := solver.Length{Epochs: s.Epochs, EpochSteps: max(s.EpochSteps, 1)}
	if _, _, err := solver.New(s.solver(), length); err != nil {
		// Its errors begin with the key of the setting.
		if key, found, ok := strings.Cut(strings.TrimPrefix(err.Error(), "solver configuration: "), ": "); ok && slices.Contains(keys(), key) {
			return errors.Errorf("--%s: %s", flagName(key), found)
		}
		return err
	}
	// Augmentation that is off is checked, too: a mistake in it is not silent.
	on := s
	on.Augment = cmp.Or(s.Augment, 1)
	if err := on.augmentation().Validate(); err != nil {
		return errors.WithMessage(err, "augmentation")
	}
	return nil
}

// limits are the least and the greatest number that a setting may be.
func limits(field reflect.StructField) (least, most float64, err error) {
	most = math.Inf(1)
	for tag, limit := range map[string]*float64{"min": &least, "max": &most} {
		if text := field.Tag.Get(tag); text != "" {
			if *limit, err = strconv.ParseFloat(text, 64); err != nil {
				return 0, 0, errors.Wrapf(err, "setting %s", field.Name)
			}
		}
	}
	if field.Name == "Threads" {
		most = graph.MaxThreads
	}
	return least, most, nil
}

// numbers says which numbers lie between two limits.
func numbers(least, most float64) string {
	if math.IsInf(most, 1) {
		return fmt.Sprintf("a number of %v or more", least)
	}
	return fmt.Sprintf("a number from %v to %v", least, most)
}

// judge is the objective with its head, for vectors of so many features; its
// margin, scale or temperature is spelt out.
func (s *Settings) judge(features int) (objectives.Loss, heads.Head, error) {
	options, err := objectives.Defaults(s.Objective, s.Head, s.asked(features))
	if err != nil {
		return nil, nil, err
	}
	s.Margin, s.Scale, s.Temperature = options.Margin, options.Scale, options.Temperature
	return objectives.Named(s.Objective, s.Head, options)
}

// asked are the options of the objective.
func (s Settings) asked(features int) objectives.Options {
	return objectives.Options{Margin: s.Margin, Scale: s.Scale, Temperature: s.Temperature, Soft: s.Soft, Balanced: s.Balanced, Features: features}
}
