package fetch_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/likeness-go/likeness/fetch"
	"github.com/pkg/errors"
)

// entry is an entry of an archive; the zero kind is a file.
type entry struct {
	name    string
	content []byte
	kind    byte
	link    string
}

func targz(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	archive := tar.NewWriter(zipped)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Typeflag: e.kind, Linkname: e.link, Size: int64(len(e.content)), Mode: 0o777}
		if err := archive.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write(e.content); err != nil {
			t.Fatal(err)
		}
	}
	for _, closer := range []io.Closer{archive, zipped} {
		if err := closer.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

var red, blue = content(1, 3000), content(2, 500)

// packed returns a set of one archive with two members.
func packed(t *testing.T, archive []byte) (fetch.Set, *source) {
	server := newSource(t, archive)
	set := published(archive, server.URL+"/toys.tar.gz")
	set.Files[0].Name = "toys.tar.gz"
	set.Files[0].Members = []fetch.Member{
		{Path: "toys/red.bin", Size: int64(len(red)), SHA256: sum(red)},
		{Path: "toys/blue.bin", Size: int64(len(blue)), SHA256: sum(blue)},
	}
	return set, server
}

// The members are extracted and the archive is removed; a second call does nothing.
func TestUnpack(t *testing.T) {
	set, server := packed(t, targz(t,
		entry{name: "toys/", kind: tar.TypeDir}, entry{name: "toys/readme.html", content: []byte("not asked for")},
		entry{name: "toys/red.bin", content: red}, entry{name: "toys/blue.bin", content: blue}))
	folder := t.TempDir()
	if len(set.Missing(folder)) != 2 {
		t.Errorf("%q count as missing, expected both members", set.Missing(folder))
	}
	for range 2 {
		if err := hasty().Fetch(context.Background(), set, folder); err != nil {
			t.Fatal(err)
		}
		expectFiles(t, folder, map[string][]byte{"red.bin": red, "blue.bin": blue})
	}
	if len(server.ranges()) != 1 || len(set.Missing(folder)) > 0 {
		t.Errorf("found %d requests and %q missing, expected one and none", len(server.ranges()), set.Missing(folder))
	}
}

// A missing member is downloaded again, whichever it is.
func TestUnpackMissingMember(t *testing.T) {
	set, _ := packed(t, targz(t, entry{name: "toys/red.bin", content: red}, entry{name: "toys/blue.bin", content: blue}))
	for _, there := range []map[string][]byte{{"red.bin": red}, {"blue.bin": blue}} {
		folder := t.TempDir()
		for name, content := range there {
			write(t, filepath.Join(folder, name), content)
		}
		if err := hasty().Fetch(context.Background(), set, folder); err != nil {
			t.Fatal(err)
		}
		expectFiles(t, folder, map[string][]byte{"red.bin": red, "blue.bin": blue})
	}
}

// An existing archive with the correct checksum is unpacked without a server.
func TestUnpackExistingArchive(t *testing.T) {
	archive := targz(t, entry{name: "toys/red.bin", content: red}, entry{name: "toys/blue.bin", content: blue})
	set, server := packed(t, archive)
	folder := t.TempDir()
	write(t, filepath.Join(folder, "toys.tar.gz"), archive)
	if err := hasty().Fetch(context.Background(), set, folder); err != nil || len(server.ranges()) > 0 {
		t.Errorf("found %v after %d requests, expected success after none", err, len(server.ranges()))
	}
	expectFiles(t, folder, map[string][]byte{"red.bin": red, "blue.bin": blue})
}

// An archive that would write outside the folder, create links or fill the disk is an error,
// even with the correct checksum, and nothing is written outside the folder.
func TestHostileArchives(t *testing.T) {
	good := entry{name: "toys/red.bin", content: red}
	for _, test := range []struct {
		name     string
		entries  []entry
		sentinel error
		texts    []string
	}{
		{"a name outside the root", []entry{good, {name: "../outside", content: blue}}, nil, []string{`"../outside"`, "outside the root"}},
		{"a name outside the root later", []entry{good, {name: "toys/../../outside", content: blue}}, nil, []string{"outside the root"}},
		{"an absolute name", []entry{good, {name: "/outside", content: blue}}, nil, []string{`"/outside"`, "outside the root"}},
		{"a name with a backslash", []entry{good, {name: `..\outside`, content: blue}}, nil, []string{"outside the root"}},
		{"a symbolic link", []entry{{name: "toys/red.bin", kind: tar.TypeSymlink, link: "../outside"}, good}, nil, []string{"toys/red.bin", "files and folders only"}},
		{"a hard link", []entry{good, {name: "toys/blue.bin", kind: tar.TypeLink, link: "toys/red.bin"}}, nil, []string{"toys/blue.bin", "files and folders only"}},
		{"a device", []entry{good, {name: "toys/blue.bin", kind: tar.TypeChar}}, nil, []string{"files and folders only"}},
		{"a folder in a file's place", []entry{{name: "toys/red.bin", kind: tar.TypeDir}}, nil, []string{"toys/red.bin"}},
		{"too large a member", []entry{{name: "toys/red.bin", content: append(red, 1)}}, fetch.ErrSize, []string{"found 3001 bytes, expected a file of 3000"}},
		{"another member", []entry{{name: "toys/red.bin", content: content(3, 3000)}}, fetch.ErrChecksum, []string{"red.bin", "expected " + sum(red)}},
		{"a member twice", []entry{good, good}, nil, []string{"toys/red.bin twice"}},
		{"a member missing", []entry{good}, nil, []string{"lacks toys/blue.bin"}},
		{"very many bytes", []entry{{name: "toys/zeros", content: make([]byte, 20<<20)}}, fetch.ErrSize, []string{"more bytes"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			set, _ := packed(t, targz(t, test.entries...))
			around := t.TempDir()
			folder := filepath.Join(around, "folder")
			err := expectFailure(t, hasty(), set, folder, append(test.texts, "unpack", "toys.tar.gz")...)
			if test.sentinel != nil && !errors.Is(err, test.sentinel) {
				t.Errorf("found %v, expected %v", err, test.sentinel)
			}
			expectFiles(t, around, map[string][]byte{"folder": nil})
			left := map[string][]byte{"toys.tar.gz": nil}
			if _, err := os.Stat(filepath.Join(folder, "red.bin")); err == nil {
				left["red.bin"] = red // a sound member that came first
			}
			expectFiles(t, folder, left)
		})
	}
	set, _ := packed(t, []byte("this is no archive"))
	expectFailure(t, hasty(), set, t.TempDir(), "unpack", "gzip")
}
