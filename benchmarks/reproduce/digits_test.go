package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/internal/random"
)

// writeCIFAR writes images in the official binary format, a label and 3,072 values each,
// with a different brightness for each class.
func writeCIFAR(t *testing.T, folder string) {
	t.Helper()
	r := random.New(1, "cifar")
	for _, name := range []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"} {
		var content []byte
		for i := range 10 {
			class := i % 10
			content = append(content, byte(class))
			for range 3072 {
				content = append(content, byte(20*class+r.IntN(20)))
			}
		}
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// The job runs on files of the official format; batches are smaller here.
func TestCIFAR(t *testing.T) {
	folder := t.TempDir()
	writeCIFAR(t, folder)
	s := settings{data: folder, seed: 1, side: side, steps: 1, note: t.Logf}
	r := cifarRecipe()
	r.classes, r.images = 4, 2
	rows, err := r.cifar(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1 || rows[0].Figure < 50 || !strings.Contains(rows[0].Protocol, "CIFAR-10") {
		t.Errorf("found %+v", rows)
	}
}

func TestCIFARRefuses(t *testing.T) {
	for want, data := range map[string]string{"-data is missing": "", "": t.TempDir()} {
		if _, err := cifar(context.Background(), settings{data: data, note: t.Logf}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: found %v", data, err)
		}
	}
}
