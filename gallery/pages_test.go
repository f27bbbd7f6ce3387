package gallery

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/likeness-go/likeness/internal/testutil"
	"github.com/pkg/errors"
	bolt "go.etcd.io/bbolt"
)

// smallFile creates a gallery of a few kilobytes with the smallest pages of bbolt, with
// examples in several pages and free pages.
func smallFile(t testing.TB) []byte {
	t.Helper()
	const pageBytes = 1024
	path := filepath.Join(t.TempDir(), "small.gallery")
	db, err := bolt.Open(path, 0o666, &bolt.Options{PageSize: pageBytes, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	s := &store{db: db}
	err = s.create(header{Format: fileFormat, Rule: Nearest})
	for range 2 {
		records := make([]record, 8)
		for i := range records {
			records[i] = record{class: "class", example: Example{Source: "a.png"}, embedding: make([]float32, 20)}
		}
		if err == nil {
			_, err = s.put("", records)
		}
	}
	if err == nil {
		err = s.remove([]uint64{1, 2, 3, 4, 5, 6})
	}
	if err == nil {
		err = s.calibrate(Calibration{Threshold: 3, Source: "images"})
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// Opening any file returns a typed error or a gallery that can be read and changed.
func FuzzFile(f *testing.F) {
	f.Add(smallFile(f))
	f.Add(smallFile(f)[:2051])
	path := filepath.Join(f.TempDir(), "fuzz.gallery")
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
		before, err := read(path)
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNotGallery) && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("found error %v", err)
			}
			return
		}
		s, err := openStore(t.Context(), path, Options{}, false)
		if err != nil {
			return // a part that is needed only for writing is damaged
		}
		s.db.NoSync = true // nothing is to last
		_, err = s.put("", []record{{class: "more", embedding: []float32{1}}})
		if closing := s.close(); err != nil || closing != nil {
			return // as what the pages hold may be damaged
		}
		if after, err := read(path); err == nil && after < before {
			t.Errorf("found %d examples, expected %d or more", after, before)
		}
	})
}

// read reads all of a file except the index and returns the number of examples.
func read(path string) (examples int, err error) {
	s, err := openStore(context.Background(), path, Options{ReadOnly: true}, false)
	if err != nil {
		return 0, err
	}
	defer s.close()
	if _, err := s.header(); err != nil {
		return 0, err
	}
	if _, err := s.calibration(); err != nil {
		return 0, err
	}
	return examples, s.examples(2, func(int) {}, func(...record) error { examples++; return nil })
}

// Any bytes of an example are an error or are decoded and encoded without a change.
func FuzzExample(f *testing.F) {
	value, err := record{class: "a", example: Example{Source: "../b"}, embedding: []float32{1, -2}}.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(value, true)
	f.Add([]byte{255, 255, 255, 255, 0, 0, 0, 0}, false)
	f.Add([]byte("\x02\x00\x00\x00{}"), true)
	f.Fuzz(func(t *testing.T, value []byte, sound bool) {
		if sound { // a checksum that chance would not find
			value = summed(value)
		}
		var r record
		var err error
		testutil.LimitAllocations(t, 16*len(value), func() { r, err = decode(7, value, "", nil) })
		if err != nil {
			return
		}
		again, err := r.encode()
		if err != nil {
			return // a year that JSON does not have
		}
		back, err := decode(7, again, r.class, nil)
		if err != nil || back.class != r.class || back.example.Source != r.example.Source || !back.example.Time.Equal(r.example.Time) || !sameBits(back.embedding, r.embedding) {
			t.Errorf("found %+v (%v), expected %+v", back, err, r)
		}
	})
}

// parseAbout gives what encoding/json gives, for texts as encode writes them and for others.
func TestParseAbout(t *testing.T) {
	for _, text := range []string{
		`{"class":"a","time":"2026-11-30T12:00:00.123456789Z"}`,
		`{"class":"a","time":"2026-11-30T12:00:00+02:00"}`,
		`{"class":"b c","source":"x/y.jpg","time":"2026-11-30T12:00:00Z"}`,
		`{"class":"a","source":"","time":"2026-11-30T12:00:00Z"}`,
		`{"class":"a\"b","time":"2026-11-30T12:00:00Z"}`,
		`{"class":"a","source":"\u0041","time":"2026-11-30T12:00:00Z"}`,
		`{"class":"ä","source":"ö","time":"2026-11-30T12:00:00Z"}`,
		"{\"class\":\"\xff\",\"time\":\"2026-11-30T12:00:00Z\"}",
		`{"class":"a","source":"b","source_bytes":"/w==","time":"2026-11-30T12:00:00Z"}`,
		`{"class":"a","time":"2026-11-30T12:00:00Z","class":"b"}`,
		`{"class":"a","time":"2026-11-30T12:00:00Z","Class":"b"}`,
		`{"class":"a","time":"2026-11-30T12:00:00\u005a"}`,
		`{"class":"a","time":"2026-11-30"}`,
		`{"class":"a","time":null}`,
		`{ "class":"a","time":"2026-11-30T12:00:00Z"}`,
		`{"class":"a","time":"2026-11-30T12:00:00Z"} `,
		`{"class":"a","time":"2026-11-30T12:00:00Z"}}`,
		`{"class":"a"}`, `{"class":"`, `{"class":"a","time":"}`, `{"class":"a","time":""}`, `{}`, ``,
	} {
		var want about
		wrong := json.Unmarshal([]byte(text), &want)
		for _, class := range []string{"", "a", "b"} {
			found, err := parseAbout([]byte(text), class)
			if (err == nil) != (wrong == nil) || err == nil && !reflect.DeepEqual(found, want) {
				t.Errorf("%s: found %+v (%v), expected %+v (%v)", text, found, err, want, wrong)
			}
		}
	}
}

// summed replaces the last four bytes of a value by the checksum of those before.
func summed(value []byte) []byte {
	body := bytes.Clone(value[:max(0, len(value)-4)])
	return binary.LittleEndian.AppendUint32(body, crc32.Checksum(body, castagnoli))
}

func sameBits(a, b []float32) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return false
		}
	}
	return true
}

// Any header is an error or has a known format and rule, and is encoded as it was decoded.
func FuzzHeader(f *testing.F) {
	text, err := json.Marshal(header{Format: fileFormat, ModelName: "../../model", NameBytes: []byte("../caf\xe9"), Rule: Prototype})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"format":"likeness-gallery/1","rule":"nearest"}`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := parseHeader(text)
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNotGallery) {
				t.Errorf("found error %v", err)
			}
			return
		}
		written, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := parseHeader(written); err != nil || !reflect.DeepEqual(again, h) {
			t.Errorf("found %+v (%v), expected %+v", again, err, h)
		}
	})
}
