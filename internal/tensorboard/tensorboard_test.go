package tensorboard

import (
	"encoding/binary"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
)

// The checksum of "123456789" in CRC-32C is e3069283; TFRecord turns it to the
// right by 15 bits and adds a282ead8.
func TestMasked(t *testing.T) {
	sum := uint32(0xe3069283)
	want := sum>>15 | sum<<17
	want += 0xa282ead8
	if got := masked([]byte("123456789")); got != want {
		t.Errorf("found %08x, expected %08x", got, want)
	}
}

// scalar is what an event says.
type scalar struct {
	Time    float64
	Step    uint64
	Version string
	Tag     string
	Value   float32
}

// decode reads a message's fields by number into a scalar.
func decode(t *testing.T, message []byte, level string, s *scalar) {
	t.Helper()
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		message = message[n:]
		switch kind {
		case protowire.Fixed64Type:
			v, n := protowire.ConsumeFixed64(message)
			s.Time, message = math.Float64frombits(v), message[n:]
		case protowire.VarintType:
			v, n := protowire.ConsumeVarint(message)
			s.Step, message = v, message[n:]
		case protowire.Fixed32Type:
			v, n := protowire.ConsumeFixed32(message)
			s.Value, message = math.Float32frombits(v), message[n:]
		case protowire.BytesType:
			v, n := protowire.ConsumeBytes(message)
			message = message[n:]
			switch {
			case level == "event" && number == eventFileVersion:
				s.Version = string(v)
			case level == "event" && number == eventSummary:
				decode(t, v, "summary", s)
			case level == "summary":
				decode(t, v, "value", s)
			case level == "value":
				s.Tag = string(v)
			}
		default:
			t.Fatalf("found the wire type %v", kind)
		}
	}
}

// records are what a file of TFRecords holds; its checksums must hold, too.
func records(t *testing.T, path string) (all []scalar) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for len(content) > 0 {
		length := binary.LittleEndian.Uint64(content)
		if sum := binary.LittleEndian.Uint32(content[8:]); sum != masked(content[:8]) {
			t.Errorf("checksum of a length: %08x", sum)
		}
		record := content[12 : 12+length]
		if sum := binary.LittleEndian.Uint32(content[12+length:]); sum != masked(record) {
			t.Errorf("checksum of a record: %08x", sum)
		}
		var s scalar
		decode(t, record, "event", &s)
		all = append(all, s)
		content = content[16+length:]
	}
	return all
}

func TestEvents(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "tensorboard")
	events, err := Create(folder, func() time.Time { return time.Unix(1500, 500_000_000) })
	if err != nil {
		t.Fatal(err)
	}
	if err := events.Scalar(7, "loss", 0.25); err != nil {
		t.Fatal(err)
	}
	if err := events.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*tfevents*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("found %v, %v", files, err)
	}
	want := []scalar{{Time: 1500.5, Version: "brain.Event:2"}, {Time: 1500.5, Step: 7, Tag: "loss", Value: 0.25}}
	if diff := cmp.Diff(want, records(t, files[0])); diff != "" {
		t.Error(diff)
	}
}

// gray is an image of one row.
func gray(pixels ...uint8) image.Image {
	return &image.Gray{Pix: pixels, Stride: len(pixels), Rect: image.Rect(0, 0, len(pixels), 1)}
}

func TestProjection(t *testing.T) {
	folder := t.TempDir()
	p := Projection{
		Embeddings: [][]float32{{1, -0.5}, {2, 0.25}, {3, 4}},
		Images:     []image.Image{gray(10, 20), gray(30, 40), gray(50, 60)},
		Classes:    []string{"a", "b\tc", "d"},
	}
	if err := p.Write(folder); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"tensors.tsv": "1\t-0.5\n2\t0.25\n3\t4\n", "metadata.tsv": "a\nb c\nd\n"} {
		got, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil || string(got) != want {
			t.Errorf("%s: found %q, %v, expected %q", name, got, err, want)
		}
	}
	file, err := os.Open(filepath.Join(folder, "sprite.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	sprite, err := png.Decode(file)
	if err != nil || sprite.Bounds().Dx() != 4 || sprite.Bounds().Dy() != 2 {
		t.Fatalf("found %v, %v, expected 4x2", sprite.Bounds(), err)
	}
	if r, _, _, _ := sprite.At(1, 1).RGBA(); r>>8 != 60 {
		t.Errorf("the third image's right pixel is %d, expected 60", r>>8)
	}
	p.Images[1] = gray(30)
	if err := p.Write(folder); err == nil || !strings.Contains(err.Error(), "image 1 has the size (1,1), expected (2,1)") {
		t.Errorf("images of two sizes: found %v", err)
	}
	p.Classes = p.Classes[:2]
	if err := p.Write(folder); err == nil || !strings.Contains(err.Error(), "3 embeddings, 3 images and 2 classes") {
		t.Errorf("found %v", err)
	}
}
