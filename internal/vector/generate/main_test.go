package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// The generated files of package vector must be exactly those that this command writes.
func TestFilesAreThoseOfTheGenerator(t *testing.T) {
	all := files()
	for name, want := range all {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s differs from what the generator writes: run \"go -C internal/vector/generate run . ..\"", name)
		}
	}
	assembly, err := filepath.Glob("../*.s")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range assembly {
		if all[filepath.Base(path)] == nil {
			t.Errorf("%s is not a file of the generator: delete it", path)
		}
	}
}

func TestFilesAreTheSameEachTime(t *testing.T) {
	first := files()
	for name, text := range files() {
		if !bytes.Equal(text, first[name]) {
			t.Errorf("%s differs", name)
		}
	}
}

// Slices and tables have the alignment of a float32. An instruction that needs more faults on
// some of them, and which ones depends on where the linker puts a table.
func TestNoAccessNeedsAlignment(t *testing.T) {
	aligned := regexp.MustCompile(`(?m)^\s*VMOV(?:APS|APD|DQA|DQA32|DQA64|NTPS|NTPD|NTDQ|NTDQA)(?:\.Z)?\s.*\(.*$`)
	if !aligned.MatchString("\tVMOVAPS     (AX), K1, Z4") {
		t.Fatal("the pattern does not match an aligned access")
	}
	for name, text := range files() {
		for _, line := range aligned.FindAllString(string(text), -1) {
			t.Errorf("%s: %s needs an aligned address: load it with VMOVUPS", name, line)
		}
	}
}
