package main

import (
	"testing"
)

// The attacks that take seconds; the command runs all attacks.
func TestAttack(t *testing.T) {
	m := small(t)
	for _, only := range []string{"resume", "models", "choice", "images", "orientation", "litter", "descriptors", "lists", "names", "environment"} {
		t.Run(only, func(t *testing.T) {
			if _, err := m.attackAll(t.Context(), only, t.Logf); err != nil {
				t.Error(err)
			}
		})
	}
	if _, err := m.attackAll(t.Context(), "no such attack", t.Logf); err == nil {
		t.Error("an attack of another name: found no error")
	}
}

// A success, an output and a message without the flag are not refusals.
func TestIsRefusal(t *testing.T) {
	for name, s := range map[string]said{
		"accepted": {code: 0, err: "--rate"}, "a result": {code: 1, out: "distance 0.1", err: "--rate"}, "another flag": {code: 1, err: "--batch"},
	} {
		if err := s.isRefusal("--rate"); err == nil {
			t.Errorf("%s: found no error", name)
		}
	}
	if err := (said{code: 1, err: "--rate: found NaN"}).isRefusal("--rate"); err != nil {
		t.Error(err)
	}
}
