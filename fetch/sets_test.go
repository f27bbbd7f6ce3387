package fetch_test

import (
	"context"
	"encoding/hex"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/fetch"
)

// Every set has all that is needed to verify its files.
func TestSets(t *testing.T) {
	if diff := cmp.Diff([]string{"mnist", "fashion-mnist", "omniglot", "cifar-10"}, fetch.Names()); diff != "" {
		t.Error(diff)
	}
	check := func(name string, size int64, sum string) {
		if digest, err := hex.DecodeString(sum); err != nil || len(digest) != 32 || size < 1 || strings.ToLower(sum) != sum {
			t.Errorf("%s has %d bytes and the checksum %q", name, size, sum)
		}
	}
	for _, name := range fetch.Names() {
		set, err := fetch.Named(name)
		if err != nil || set.Name != name || set.Title == "" {
			t.Fatalf("%s: found %+v, %v", name, set, err)
		}
		var size int64
		for _, file := range set.Files {
			check(file.Name, file.Size, file.SHA256)
			size += file.Size
			for _, place := range file.URLs {
				address, err := url.Parse(place)
				if err != nil || address.Host == "" || filepath.Base(address.Path) != file.Name {
					t.Errorf("%s comes from %q, %v", file.Name, place, err)
				}
			}
			if len(file.URLs) == 0 {
				t.Errorf("%s comes from nowhere", file.Name)
			}
			for _, member := range file.Members {
				check(member.Path, member.Size, member.SHA256)
			}
		}
		if set.Size() != size {
			t.Errorf("%s has %d bytes, expected %d", name, set.Size(), size)
		}
	}
	if _, err := fetch.Named("omniglott"); err == nil || !strings.Contains(err.Error(), `did you mean "omniglot"?`) {
		t.Errorf("found %v", err)
	}
}

// The copy of MNIST in the module cache has the published checksums. No server is needed if
// the checksums are correct.
func TestMNISTChecksums(t *testing.T) {
	there, err := datasets.FindMNIST("")
	if err != nil {
		t.Fatal(err)
	}
	set, err := fetch.Named("mnist")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for _, file := range set.Files {
		packed, err := os.ReadFile(filepath.Join(there, file.Name))
		if err != nil {
			t.Skip("this copy is not packed as it is published:", err)
		}
		write(t, filepath.Join(folder, file.Name), packed)
	}
	if err := (fetch.Client{Attempts: 1}).Fetch(context.Background(), set, folder); err != nil {
		t.Error(err)
	}
}

// With LIKENESS_OMNIGLOT, the files of Omniglot with the published sizes have the published
// checksums. Other copies may be compressed differently.
func TestOmniglotChecksums(t *testing.T) {
	there := os.Getenv("LIKENESS_OMNIGLOT")
	if there == "" {
		t.Skip("LIKENESS_OMNIGLOT is not set")
	}
	set, err := fetch.Named("omniglot")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range set.Files {
		data, err := os.ReadFile(filepath.Join(there, file.Name))
		if err != nil || int64(len(data)) != file.Size {
			t.Logf("%s is not there as it is published (%d bytes, %v)", file.Name, len(data), err)
			continue
		}
		if sum(data) != file.SHA256 {
			t.Errorf("%s: found SHA-256 %s, expected %s", file.Name, sum(data), file.SHA256)
		}
	}
}
