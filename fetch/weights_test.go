package fetch_test

import (
	"context"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/fetch"
	"github.com/pkg/errors"
)

// prefixed returns a set of one file, of which the beginning of the checksum and a maximum
// size are known.
func prefixed(content []byte, urls ...string) fetch.Set {
	return fetch.Set{Name: "toys", Files: []fetch.File{{Name: "toys.bin", URLs: urls, MaxSize: 300_000, SHA256Prefix: sum(content)[:8]}}}
}

// The files of torchvision's weights are named after their checksums, and come over an
// encrypted connection.
func TestWeights(t *testing.T) {
	want := map[string]string{
		"resnet18": "resnet18-f37072fd.pth", "resnet34": "resnet34-b627a593.pth",
		"resnet50": "resnet50-11ad3fa6.pth", "resnet50-v1": "resnet50-0676ba61.pth",
		"mobilenet-v2": "mobilenet_v2-7ebf99e0.pth", "mobilenet-v2-v1": "mobilenet_v2-b0353104.pth",
		"efficientnet-b0": "efficientnet_b0_rwightman-7f5810bc.pth", "convnext-tiny": "convnext_tiny-983f1562.pth",
	}
	found := map[string]string{}
	for _, name := range fetch.WeightNames() {
		set, err := fetch.Weights(name)
		if err != nil || set.Name != name || len(set.Files) != 1 || set.Size() != 0 || !strings.HasPrefix(name, set.Backbone) || set.Backbone == "" {
			t.Fatalf("%s: found %+v, %v", name, set, err)
		}
		file := set.Files[0]
		found[name] = file.Name
		if !strings.HasSuffix(file.Name, "-"+file.SHA256Prefix+".pth") || file.MaxSize < 1<<20 || file.MaxSize > 256<<20 {
			t.Errorf("%s: found %+v", name, file)
		}
		for _, address := range file.URLs {
			parsed, err := url.Parse(address)
			if err != nil || parsed.Scheme != "https" || parsed.Host != "download.pytorch.org" || parsed.Path != "/models/"+file.Name {
				t.Errorf("%s comes from %q, %v", name, address, err)
			}
		}
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := fetch.Weights("resnet19"); err == nil || !strings.Contains(err.Error(), `did you mean "resnet18"?`) {
		t.Errorf("found %v", err)
	}
}

// A file of unknown size is downloaded by the size that the server announces, and verified
// by the beginning of its checksum; the progress has that size.
func TestUnknownSize(t *testing.T) {
	toys := content(1, 200_000)
	server := newSource(t, toys)
	folder := t.TempDir()
	set := prefixed(toys, server.URL)
	if missing := set.Missing(folder); len(missing) != 1 {
		t.Errorf("%q count as missing, expected the file", missing)
	}
	client := hasty()
	var size, last int64
	client.OnProgress = func(file fetch.File, done int64) { size, last = file.Size, done }
	for range 2 {
		size, last = 0, 0
		if err := client.Fetch(context.Background(), set, folder); err != nil {
			t.Fatal(err)
		}
		if size != 200_000 || last != 200_000 {
			t.Errorf("the progress ends at %d of %d, expected 200,000", last, size)
		}
	}
	expectFiles(t, folder, map[string][]byte{"toys.bin": toys})
	if len(server.ranges()) != 1 || len(set.Missing(folder)) != 0 {
		t.Errorf("found %d requests and %q missing, expected one and none", len(server.ranges()), set.Missing(folder))
	}
}

// A lost connection is resumed in the same call and by another process, which knows the
// announced size; the part of another version is not.
func TestResumeUnknownSize(t *testing.T) {
	toys, old := content(1, 200_000), content(2, 150_000)
	for _, test := range []struct {
		name   string
		begun  []byte
		tag    string
		ranges []string
	}{
		{"the same file", toys, `"first"`, []string{"", "bytes=70000-"}},
		{"a file of another size", old, `"second"`, []string{"", "bytes=70000-"}},
		{"another file of the same tag", old, `"first"`, []string{"", "bytes=70000-", ""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := newSource(t, toys, cut(test.begun, 70_000))
			folder := t.TempDir()
			set := prefixed(toys, server.URL)
			expectFailure(t, fetch.Client{Attempts: 1}, set, folder, "gave up after 1 attempts", "after 70000 of")
			expectFiles(t, folder, map[string][]byte{"toys.bin.part": test.begun[:70_000], "toys.bin.part.json": nil})
			server.replace(toys, test.tag)
			if err := hasty().Fetch(context.Background(), set, folder); err != nil {
				t.Fatal(err)
			}
			expectFiles(t, folder, map[string][]byte{"toys.bin": toys})
			if diff := cmp.Diff(test.ranges, server.ranges()); diff != "" {
				t.Errorf("ranges (-want +got):\n%s", diff)
			}
		})
	}
	server := newSource(t, toys, cut(toys, 70_000), status(http.StatusBadGateway))
	folder := t.TempDir()
	if err := hasty().Fetch(context.Background(), prefixed(toys, server.URL), folder); err != nil {
		t.Fatal(err)
	}
	expectFiles(t, folder, map[string][]byte{"toys.bin": toys})
}

// The origin of a part may announce no size that the file cannot have, and none for a file
// of known size.
func TestPartsOfUnknownSize(t *testing.T) {
	toys := content(1, 1000)
	server := newSource(t, toys)
	for _, test := range []struct {
		name, size string
		set        fetch.Set
		ranges     []string
	}{
		{"the size", `, "size": 1000`, prefixed(toys, server.URL), []string{"bytes=300-"}},
		{"no size", ``, prefixed(toys, server.URL), []string{""}},
		{"too large", `, "size": 300001`, prefixed(toys, server.URL), []string{""}},
		{"too small", `, "size": 200`, prefixed(toys, server.URL), []string{""}},
		{"negative", `, "size": -1`, prefixed(toys, server.URL), []string{""}},
		{"another", `, "size": 1200`, prefixed(toys, server.URL), []string{"bytes=300-", ""}},
		{"one that is known", `, "size": 200`, published(toys, server.URL), []string{"bytes=300-"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server.requests = nil
			folder := t.TempDir()
			write(t, filepath.Join(folder, "toys.bin.part"), toys[:300])
			write(t, filepath.Join(folder, "toys.bin.part.json"), []byte(`{"url": "`+server.URL+`", "validator": "\"first\""`+test.size+`}`))
			if err := hasty().Fetch(context.Background(), test.set, folder); err != nil {
				t.Fatal(err)
			}
			expectFiles(t, folder, map[string][]byte{"toys.bin": toys})
			if diff := cmp.Diff(test.ranges, server.ranges()); diff != "" {
				t.Errorf("ranges (-want +got):\n%s", diff)
			}
		})
	}
}

// A file of another checksum, of no announced size or above the maximum is refused and not
// kept, and an existing file of another checksum is not overwritten.
func TestWrongFilesOfUnknownSize(t *testing.T) {
	toys, other := content(1, 5000), content(2, 5000)
	chunked := func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		w.Write(toys)
	}
	for _, test := range []struct {
		name     string
		answer   http.HandlerFunc
		sentinel error
		text     string
	}{
		{"another file", newSource(t, other).whole, fetch.ErrChecksum, "found SHA-256 " + sum(other) + ", expected one that begins with " + sum(toys)[:8]},
		{"too large", newSource(t, make([]byte, 300_001)).whole, fetch.ErrSize, "found 300001 bytes, expected 1 to 300000"},
		{"empty", newSource(t, nil).whole, fetch.ErrSize, "found 0 bytes"},
		{"no size", chunked, fetch.ErrSize, "found no Content-Length, expected 1 to 300000 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := newSource(t, toys, test.answer, test.answer)
			folder := t.TempDir()
			err := expectFailure(t, hasty(), prefixed(toys, server.URL), folder, "fetch toys: toys.bin: ", test.text)
			if !errors.Is(err, test.sentinel) || len(server.ranges()) != 1 {
				t.Errorf("found %v after %d requests, expected %v after one", err, len(server.ranges()), test.sentinel)
			}
			expectFiles(t, folder, nil)
		})
	}
	folder := t.TempDir()
	write(t, filepath.Join(folder, "toys.bin"), other)
	expectFailure(t, hasty(), prefixed(toys, "http://localhost"), folder, "expected one that begins with", "remove it or choose another folder")
	expectFiles(t, folder, map[string][]byte{"toys.bin": other})
}

// A whole checksum is compared whole, and a file that could not be verified is refused
// before anything is asked.
func TestUnverifiableFiles(t *testing.T) {
	toys := content(1, 100)
	server := newSource(t, toys)
	for name, test := range map[string]struct {
		change func(*fetch.File)
		want   string
	}{
		"the beginning as a whole": {func(f *fetch.File) { f.SHA256 = f.SHA256[:8] }, "found SHA-256"},
		"no checksum":              {func(f *fetch.File) { f.SHA256 = "" }, `toys.bin: found no SHA256 and the SHA256Prefix ""`},
		"seven digits":             {func(f *fetch.File) { f.SHA256, f.SHA256Prefix = "", f.SHA256[:7] }, "expected 8 to 63 hexadecimal digits"},
		"no digits":                {func(f *fetch.File) { f.SHA256, f.SHA256Prefix = "", "ABCDEF01" }, "hexadecimal digits in lower case"},
		"both checksums":           {func(f *fetch.File) { f.SHA256Prefix = f.SHA256[:8] }, "expected one of the two"},
		"no size":                  {func(f *fetch.File) { f.Size = 0 }, "found Size 0 and MaxSize 0"},
		"both sizes":               {func(f *fetch.File) { f.MaxSize = 100 }, "found Size 100 and MaxSize 100"},
		"a negative maximum":       {func(f *fetch.File) { f.Size, f.MaxSize = 0, -1 }, "MaxSize -1"},
	} {
		set := published(toys, server.URL)
		test.change(&set.Files[0])
		err := hasty().Fetch(context.Background(), set, t.TempDir())
		if err == nil || !strings.Contains(err.Error(), "fetch toys: ") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: found the error %v, expected %q", name, err, test.want)
		}
	}
	if len(server.ranges()) > 1 { // that of the beginning
		t.Errorf("found %d requests, expected one", len(server.ranges()))
	}
}
