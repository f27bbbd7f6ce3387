package safetensors_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/pkg/errors"
)

func sealed(t *testing.T) safetensors.File {
	t.Helper()
	file := safetensors.File{
		Metadata: map[string]string{"backbone": "conv4", "head": "l2 \"é\" <&>"},
		Tensors: []safetensors.Tensor{
			{Name: "a", Shape: []int{2, 2}, Data: []float32{1, -2, 0.5, 0}},
			{Name: "b", Shape: []int{}, Data: []float64{7}},
		},
	}
	if err := file.Seal(); err != nil {
		t.Fatal(err)
	}
	return file
}

// Whatever bit of a sealed file is changed, reading or verifying it finds that,
// or the file holds what it held: how a number is spelled in its header is not
// part of what it says.
func TestNoBitChangesUnseen(t *testing.T) {
	var content bytes.Buffer
	if err := safetensors.Write(&content, sealed(t)); err != nil {
		t.Fatal(err)
	}
	if file, err := decode(content.Bytes()); err != nil || file.Verify() != nil {
		t.Fatalf("the file itself: %v, %v", err, file.Verify())
	}
	read, verified := 0, 0
	for at := range content.Bytes() {
		for bit := range 8 {
			damaged := bytes.Clone(content.Bytes())
			damaged[at] ^= 1 << bit
			file, err := decode(damaged)
			if err != nil {
				read++
				continue
			}
			if file.Verify() != nil {
				verified++
				continue
			}
			if !bytes.Equal(encode(t, file), content.Bytes()) {
				t.Errorf("bit %d of byte %d is changed, and nobody says so", bit, at)
			}
		}
	}
	if read == 0 || verified == 0 {
		t.Errorf("reading found %d changes and the checksum %d, expected some of each", read, verified)
	}
}

func TestVerifySaysWhatItFound(t *testing.T) {
	file := sealed(t)
	file.Tensors[0].Data.([]float32)[1] = -3
	err := file.Verify()
	if !errors.Is(err, safetensors.ErrChecksum) || !strings.Contains(err.Error(), "expected "+file.Metadata[safetensors.ChecksumKey]) {
		t.Errorf("found %v, expected ErrChecksum with both checksums", err)
	}
	delete(file.Metadata, safetensors.ChecksumKey)
	if err := file.Verify(); !errors.Is(err, safetensors.ErrChecksum) || !strings.Contains(err.Error(), "is missing") {
		t.Errorf("found %v, expected ErrChecksum that it is missing", err)
	}
}

// A seal is of the content: neither of an earlier seal nor of the order of
// tensors, and it leaves the metadata that it was given alone.
func TestSealIsOfTheContent(t *testing.T) {
	first := sealed(t)
	given := first.Metadata
	second := safetensors.File{Metadata: given, Tensors: []safetensors.Tensor{first.Tensors[1], first.Tensors[0]}}
	if err := second.Seal(); err != nil {
		t.Fatal(err)
	}
	if second.Metadata[safetensors.ChecksumKey] != given[safetensors.ChecksumKey] {
		t.Error("two seals of one content differ")
	}
	second.Metadata["backbone"] = "conv7"
	if given["backbone"] != "conv4" || second.Verify() == nil {
		t.Error("the metadata are shared, or not sealed")
	}
}
