package datasets

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/testutil"
)

// The readers behind Open, on bytes in memory: whatever these are, a reader gives
// an error or a sound dataset, and takes no memory for what they only claim.

func FuzzIDX(f *testing.F) {
	images := []byte{0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3, 4}
	f.Add(images, false)
	f.Add(packed(f, images), true)
	f.Add([]byte{0, 0, 8, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}, false)
	f.Add(packed(f, []byte{0, 0, 8, 3, 127, 255, 255, 255, 0, 0, 0, 1, 0, 0, 0, 1}), true)
	f.Fuzz(func(t *testing.T, data []byte, zipped bool) {
		name, most := "idx", 4*len(data)
		if zipped {
			name, most = "idx.gz", 4*1032*len(data)
		}
		var sizes []int
		var values []byte
		var err error
		testutil.LimitAllocations(t, most, func() { sizes, values, err = decodeIDX(bytes.NewReader(data), name, int64(len(data)), 3) })
		if err != nil {
			return
		}
		if sizes[0]*sizes[1]*sizes[2] != len(values) {
			t.Errorf("found %d values, expected those of the sizes %v", len(values), sizes)
		}
		// What was read is written again as it was.
		again := []byte{0, 0, 8, 3}
		for _, size := range sizes {
			again = binary.BigEndian.AppendUint32(again, uint32(size))
		}
		if again = append(again, values...); !zipped && !bytes.Equal(again, data) {
			t.Errorf("read %x and wrote %x", data, again)
		}
	})
}

func FuzzCIFAR(f *testing.F) {
	f.Add(make([]byte, 3073), uint8(2))
	f.Add(append([]byte{10}, make([]byte, 3072)...), uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, records uint8) {
		if records > 0 { // of the right length, which chance would not find
			data = append(data, make([]byte, 3073)...)[:len(data)/3073*3073+3073]
		}
		d := &Dataset{Classes: cifarClasses}
		if d.appendCIFAR("batch", data, Options{Size: imaging.Size{Height: 1, Width: 1}}) != nil {
			return
		}
		if err := d.Validate(); err != nil || d.Len() != len(data)/3073 {
			t.Errorf("found %d images (%v), expected %d", d.Len(), err, len(data)/3073)
		}
	})
}

func FuzzCIFARArchive(f *testing.F) {
	f.Add(archive(f, tar.Header{Name: "cifar-10-batches-bin/data_batch_1.bin", Size: 5}))
	f.Add(archive(f, tar.Header{Name: "../../test_batch.bin", Size: 1 << 40}))
	f.Add(archive(f, tar.Header{Name: "data_batch_7.bin", Size: 200 << 20}))
	f.Fuzz(func(t *testing.T, data []byte) {
		testutil.LimitAllocations(t, 8*len(data), func() {
			files, err := unpackCIFAR(bytes.NewReader(data), mostCIFAR)
			for name := range files {
				if !cifarName.MatchString(name) {
					t.Errorf("found %q (%v)", name, err)
				}
			}
		})
	})
}

// Batches that are each small enough may be too many.
func TestUnpackCIFARBoundsAllBatches(t *testing.T) {
	two := append(archive(t, tar.Header{Name: "data_batch_1.bin", Size: 5})[:1024], archive(t, tar.Header{Name: "data_batch_2.bin", Size: 5})...)
	if files, err := unpackCIFAR(bytes.NewReader(two), 10); err != nil || len(files) != 2 {
		t.Errorf("found %d batches (%v), expected 2", len(files), err)
	}
	if _, err := unpackCIFAR(bytes.NewReader(two), 9); err == nil || !strings.Contains(err.Error(), "data_batch_2.bin: found 5 bytes, expected at most 9 for all batches") {
		t.Errorf("found error %v", err)
	}
}

func FuzzAlphabets(f *testing.F) {
	f.Add(zipped(f, "images/Greek/character01/0001_01.png", string(dot(f))))
	f.Add(zipped(f, "images/Greek/character01/0001_99999999999999999999.png", ""))
	f.Add(zipped(f, "../character01/0001_01.png", ""))
	f.Add(zipped(f, `Greek\character01\0001_01.png`, "", "__MACOSX/x", "", "/character1/0_1.png", ""))
	f.Fuzz(func(t *testing.T, data []byte) {
		files := opened(data)
		if files == nil || inflated(files) > 1<<16 {
			return
		}
		testutil.LimitAllocations(t, 1<<22, func() { // the decoder of each image has tables of its own
			splits, err := ReadAlphabets(files, "fuzz", Options{Size: imaging.Size{Height: 2, Width: 2, Channels: 1}})
			if err != nil {
				return
			}
			d := splits.Train
			if err := d.Validate(); err != nil || d.Len() == 0 || len(d.Drawers) != d.Len() {
				t.Errorf("found %d images, %v", d.Len(), err)
			}
		})
	})
}

func FuzzRuns(f *testing.F) {
	one := string(dot(f))
	f.Add(zipped(f, "run01/class_labels.txt", "run01/test/a.png run01/training/b.png\n", "run01/test/a.png", one, "run01/training/b.png", one))
	f.Add(zipped(f, "run01/class_labels.txt", "../../etc/passwd run01/training/b.png\n", "run01/training/b.png", one))
	f.Add(zipped(f, "run[/class_labels.txt", "x", "run01/class_labels.txt", ""))
	f.Fuzz(func(t *testing.T, data []byte) {
		files := opened(data)
		if files == nil || inflated(files) > 1<<16 {
			return
		}
		testutil.LimitAllocations(t, 1<<22, func() {
			runs, err := ReadRuns(files, Options{Size: imaging.Size{Height: 2, Width: 2}})
			for _, run := range runs {
				if err == nil && (len(run.Answers) != len(run.Test) || len(run.Test) == 0) {
					t.Errorf("found %d answers for %d images", len(run.Answers), len(run.Test))
				}
			}
		})
	})
}

func FuzzTuples(f *testing.F) {
	f.Add([]byte("a,b,different\nann/1.png,ann/2.png,0\nann/1.png,../bob/1.png,true\n"))
	f.Add([]byte("\ufeffanchor,positive,negative,split\n1.png,2.png,/3.png,val\n"))
	f.Add([]byte("a,b,different,different\n1,2,0,1\n"))
	f.Add([]byte("a,b\n\"1"))
	f.Add([]byte("a,b,different\r1,2,0\r2,1,1\r1,1,1\r"))
	f.Fuzz(func(t *testing.T, data []byte) {
		testutil.LimitAllocations(t, 256*len(data), func() {
			list, err := parseTuples(data, "folder/list.csv")
			if err != nil {
				return
			}
			list.warnings()
			for _, row := range list.rows {
				if len(row.images) < 2 || len(row.images) > 3 || partNames[row.part] != row.part {
					t.Errorf("found the row %+v", row)
				}
				for _, image := range row.images {
					if image < 0 || image >= len(list.sources) {
						t.Errorf("found image %d of %d", image, len(list.sources))
					}
				}
			}
		})
	})
}
