package onnx

import (
	"math"
	"strconv"
)

// settings reads the attributes of a node. One that nobody asks for is an error, because it
// might change what the node computes.
type settings struct {
	of    *operator
	asked map[string]bool
	err   error
}

func (o *operator) settings() *settings { return &settings{of: o, asked: map[string]bool{}} }

func (a *settings) find(name string, kind int64, kindName string) (setting, bool) {
	a.asked[name] = true
	for _, s := range a.of.attributes {
		if s.name != name {
			continue
		}
		// Old files leave the type out.
		if s.kind != kind && s.kind != 0 && a.err == nil {
			a.err = a.of.errorf("attribute %q is of type %d, expected %s", name, s.kind, kindName)
		}
		return s, true
	}
	return setting{}, false
}

func (a *settings) integer(name string, otherwise int) int {
	s, found := a.find(name, attributeInt, "an integer")
	if !found {
		return otherwise
	}
	return a.small(name, s.integer)
}

// small limits integers, so that sums of a few do not overflow.
func (a *settings) small(name string, v int64) int {
	if v < math.MinInt32 || v > math.MaxInt32 {
		if v == math.MaxInt64 || v == math.MinInt64 { // "to the end"
			return int(max(min(v, math.MaxInt32), math.MinInt32))
		}
		if a.err == nil {
			a.err = a.of.errorf("attribute %q is %d", name, v)
		}
	}
	return int(int32(v))
}

func (a *settings) integers(name string) (list []int, found bool) {
	s, found := a.find(name, attributeInts, "a list of integers")
	if found && len(s.list) > 2*maxRank && a.err == nil {
		a.err = a.of.errorf("attribute %q has %d elements", name, len(s.list))
	}
	if a.err != nil {
		return nil, found
	}
	for _, v := range s.list {
		list = append(list, a.small(name, v))
	}
	return list, found
}

func (a *settings) float(name string, otherwise float64) float64 {
	s, found := a.find(name, settingFloat, "a number")
	if !found {
		return otherwise
	}
	return decimal(s.float)
}

func (a *settings) text(name, otherwise string) string {
	s, found := a.find(name, settingString, "a text")
	if !found {
		return otherwise
	}
	return s.text
}

// done returns the first error, or one that names an attribute that was not asked for.
func (a *settings) done() error {
	for _, s := range a.of.attributes {
		if a.err == nil && !a.asked[s.name] {
			a.err = a.of.errorf("attribute %q is not supported", s.name)
		}
	}
	return a.err
}

// decimal is the number that was meant where a program wrote a decimal fraction, such as
// 1e-3, as float32.
func decimal(v float32) float64 {
	f, err := strconv.ParseFloat(strconv.FormatFloat(float64(v), 'g', -1, 32), 64)
	if err != nil {
		return float64(v)
	}
	return f
}
