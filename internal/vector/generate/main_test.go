package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// What package vector has must be what this command writes, no more and no
// less.
func TestFilesAreWhatIsWritten(t *testing.T) {
	all := files()
	for name, want := range all {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the generator writes: run \"go run . ..\" here", name)
		}
	}
	assembly, err := filepath.Glob("../*.s")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range assembly {
		if all[filepath.Base(path)] == nil {
			t.Errorf("%s is written by nobody", path)
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
