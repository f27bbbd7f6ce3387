package datasets_test

import (
	"archive/tar"
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/imaging"
)

// cifarRecord is one image that is r, g, b everywhere but in its second pixel,
// which is black.
func cifarRecord(label, r, g, b byte) []byte {
	record := []byte{label}
	for _, v := range []byte{r, g, b} {
		plane := bytes.Repeat([]byte{v}, 1024)
		plane[1] = 0
		record = append(record, plane...)
	}
	return record
}

func smallCIFAR() map[string][]byte {
	return map[string][]byte{
		"data_batch_1.bin": append(cifarRecord(3, 10, 20, 30), cifarRecord(9, 40, 50, 60)...),
		"data_batch_2.bin": cifarRecord(0, 70, 80, 90),
		"test_batch.bin":   cifarRecord(1, 1, 2, 3),
		"batches.meta.txt": []byte("airplane\n"),
	}
}

func checkSmallCIFAR(t *testing.T, splits datasets.Splits) {
	t.Helper()
	train, test := splits.Train, splits.Test
	if diff := cmp.Diff([]int{3, 9, 0}, train.Labels); diff != "" {
		t.Error(diff)
	}
	if train.Size != (imaging.Size{Height: 32, Width: 32, Channels: 3}) || train.Classes[9] != "truck" {
		t.Errorf("found size %v and classes %v", train.Size, train.Classes)
	}
	if diff := cmp.Diff([]string{"data_batch_1.bin[0]", "data_batch_1.bin[1]", "data_batch_2.bin[0]"}, train.Sources); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]uint8{40, 50, 60, 0, 0, 0, 40, 50, 60}, train.Images[1][:9]); diff != "" {
		t.Errorf("the first three pixels:\n%s", diff)
	}
	if test.Len() != 1 || test.Labels[0] != 1 || test.Images[0][2] != 3 {
		t.Errorf("found %d test images", test.Len())
	}
	for _, d := range []*datasets.Dataset{train, test} {
		if err := d.Validate(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenCIFAR(t *testing.T) {
	splits, err := datasets.Open(folder(t, smallCIFAR()), datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	checkSmallCIFAR(t, splits)
}

func TestOpenCIFARPacked(t *testing.T) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for name, data := range smallCIFAR() {
		if err := w.WriteHeader(&tar.Header{Name: "cifar-10-batches-bin/" + name, Typeflag: tar.TypeReg, Size: int64(len(data))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	splits, err := datasets.Open(folder(t, map[string][]byte{"cifar-10-binary.tar.gz": packed(t, archive.Bytes())}), datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	checkSmallCIFAR(t, splits)
}

func TestOpenCIFARInGray(t *testing.T) {
	splits, err := datasets.Open(folder(t, smallCIFAR()), datasets.Options{Size: imaging.Size{Channels: 1}})
	if err != nil {
		t.Fatal(err)
	}
	// 0.299·10 + 0.587·20 + 0.114·30 = 18.15
	if train := splits.Train; train.Size.String() != "32x32x1" || train.Images[0][0] != 18 {
		t.Errorf("found size %v and gray %d", train.Size, train.Images[0][0])
	}
}

func TestOpenCIFARRefuses(t *testing.T) {
	var claim bytes.Buffer
	header := &tar.Header{Name: "cifar-10-batches-bin/test_batch.bin", Typeflag: tar.TypeReg, Size: 1 << 40}
	if err := tar.NewWriter(&claim).WriteHeader(header); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name     string
		files    map[string][]byte
		mentions []string
	}{
		{"cut short", map[string][]byte{"data_batch_1.bin": make([]byte, 3072)}, []string{"data_batch_1.bin", "found 3072 bytes", "multiple of 3073"}},
		{"empty", map[string][]byte{"test_batch.bin": {}}, []string{"test_batch.bin", "found 0 bytes"}},
		{"another data set", map[string][]byte{"test_batch.bin": append(cifarRecord(9, 1, 1, 1), cifarRecord(10, 1, 1, 1)...)}, []string{"record 1", "label 10"}},
		{"no archive", map[string][]byte{"cifar-10-binary.tar.gz": []byte("404: the page was not found")}, []string{"cifar-10-binary.tar.gz", "gzip"}},
		{"an archive that claims too much", map[string][]byte{"cifar-10-binary.tar.gz": packed(t, claim.Bytes())}, []string{"expected at most"}},
		{"an archive cut short", map[string][]byte{"cifar-10-binary.tar.gz": packed(t, claim.Bytes()[:100])}, []string{"unexpected EOF"}},
		{"an archive of something else", map[string][]byte{"cifar-10-binary.tar.gz": packed(t, make([]byte, 1024))}, []string{"not a data set of a known format"}},
	} {
		_, err := datasets.Open(folder(t, test.files), datasets.Options{})
		expectError(t, test.name, err, nil, test.mentions...)
	}
}
