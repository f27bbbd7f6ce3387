package main

import (
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/likeness-go/likeness/zoo"
	"github.com/pkg/errors"
	"golang.org/x/image/draw"
)

// fileRounds is the number of rounds, in each of which both sides embed all files.
const fileRounds = 3

// peerBatch is the batch of the peer, which compiles its network for each size of a batch.
const peerBatch = 16

// fileKinds are the files that are embedded: their size, and one in how many of -count.
var fileKinds = []struct {
	name          string
	width, height int
	part          int
}{
	{"1 megapixel", 1152, 864, 1},
	{"12 megapixels", 4000, 3000, 5},
}

// fromFiles measures the time from JPEG files to vectors by the bundled model, beside that of
// PyTorch with its own loader.
func fromFiles(o options) error {
	start := time.Now()
	model, err := zoo.Load(zoo.Photo)
	if err != nil {
		return err
	}
	found, err := imaging.Find(o.data)
	if err != nil {
		return errors.Wrap(err, "read -data")
	}
	versions, err := exec.Command(o.python, "-c", "import platform, torch, PIL; print('Python', platform.python_version()); print('torch', torch.__version__); print('Pillow', PIL.__version__)").Output()
	if err != nil {
		return errors.Wrapf(err, "%s cannot import torch and PIL: give the path of an interpreter that can with -python", o.python)
	}
	var table strings.Builder
	fmt.Fprint(&table, "| files | likeness, s | decoding alone | PyTorch, s | PyTorch's variant | PyTorch / likeness |\n|---|---|---|---|---|---|\n")
	for _, kind := range fileKinds {
		folder, err := os.MkdirTemp("", "files-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(folder)
		count := max(1, o.count/kind.part/peerBatch) * peerBatch
		files, err := makeFiles(folder, found.Files, count, kind.width, kind.height)
		if err != nil {
			return err
		}
		var own, decoding, theirs, ratios []float64
		variant := ""
		for round := range fileRounds {
			fmt.Fprintf(os.Stderr, "%s: round %d\n", kind.name, round+1)
			seconds, err := timeOwn(model, files)
			if err != nil {
				return err
			}
			alone, err := timeDecoding(model, files)
			if err != nil {
				return err
			}
			peer, err := o.timeFiles(folder, variant)
			if err != nil {
				return err
			}
			variant = peer.Variant
			own, decoding, theirs = append(own, seconds), append(decoding, alone), append(theirs, peer.Seconds)
			ratios = append(ratios, peer.Seconds/seconds)
		}
		for _, all := range [][]float64{own, decoding, theirs, ratios} {
			slices.Sort(all)
		}
		middle := fileRounds / 2
		row := fmt.Sprintf("| %d of %s | %.2f | %.0f %% | %.2f | %s | %.2f [%.2f – %.2f] |\n", count, kind.name, own[middle],
			100*decoding[middle]/own[middle], theirs[middle], variant, ratios[middle], ratios[0], ratios[fileRounds-1])
		fmt.Print(row)
		table.WriteString(row)
	}
	return record.Record{
		Title:   "From JPEG files to vectors",
		Command: fmt.Sprintf("%s -count %d", o.command(), o.count),
		Tools:   strings.Split(strings.TrimSpace(string(versions)), "\n"),
		Took:    time.Since(start),
		Result:  fmt.Sprintf("Reading, decoding, resizing and embedding of JPEG files (quality 90) by EfficientNet-Lite0 at 224×224 pixels: likeness by\nretrieval.Embed and its bundled model, PyTorch by a DataLoader with Pillow, in the fastest of its variants on the first files.\nBoth begin with models that are loaded and have embedded images before. Medians of %d rounds in turn; in brackets the smallest and\nthe largest ratio of a round. Decoding alone is the time of reading, decoding and resizing without embedding.\n\n", fileRounds) + table.String(),
	}.WriteFile(filepath.Join(o.out, "photographs-files.md"))
}

// makeFiles writes JPEG files of a size, made of pictures, of which each may be used several
// times.
func makeFiles(folder string, pictures []string, count, width, height int) ([]string, error) {
	files := make([]string, count)
	err := parallel.Each(context.Background(), 0, count, func(i int) error {
		img, err := imaging.DecodeFile(pictures[i*len(pictures)/count])
		if err != nil {
			return err
		}
		large := image.NewRGBA(image.Rect(0, 0, width, height))
		draw.CatmullRom.Scale(large, large.Rect, img, img.Bounds(), draw.Src, nil)
		files[i] = filepath.Join(folder, fmt.Sprintf("%05d.jpg", i))
		file, err := os.Create(files[i])
		if err != nil {
			return err
		}
		defer file.Close()
		if err := jpeg.Encode(file, large, &jpeg.Options{Quality: 90}); err != nil {
			return err
		}
		return file.Close()
	})
	return files, err
}

// timeOwn embeds the files.
func timeOwn(model *likeness.Model, files []string) (float64, error) {
	if _, err := retrieval.Embed(context.Background(), model, files[:min(16, len(files))], retrieval.Options{}); err != nil {
		return 0, err
	}
	start := time.Now()
	_, err := retrieval.Embed(context.Background(), model, files, retrieval.Options{})
	return time.Since(start).Seconds(), err
}

// timeDecoding only decodes and resizes them.
func timeDecoding(model *likeness.Model, files []string) (float64, error) {
	start := time.Now()
	err := parallel.Each(context.Background(), parallel.MaxOpenFiles, len(files), func(i int) error {
		img, err := model.Preprocessing.DecodeFile(files[i])
		if err == nil {
			model.Preprocessing.Pixels(img)
		}
		return err
	})
	return time.Since(start).Seconds(), err
}

// fileTime is the answer of the peer.
type fileTime struct {
	Seconds float64 `json:"seconds"`
	Variant string  `json:"variant"`
}

// timeFiles runs the peer on a folder, in the given variant or, if that is empty, in the fastest.
func (o options) timeFiles(folder, variant string) (fileTime, error) {
	var t fileTime
	command := exec.Command(o.python, "-B", filepath.Join(filepath.Dir(o.script), "reference_files.py"), o.weights, folder, variant)
	command.Stderr = os.Stderr
	text, err := command.Output()
	if err != nil {
		return t, errors.Wrap(err, "run the peer")
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return t, errors.Wrap(json.Unmarshal([]byte(lines[len(lines)-1]), &t), "answer of the peer")
}

// largePart is the part of the files that the peer of largeFiles gets, because it takes long.
const largePart = 5

// largeFiles measures the first and the second run of likeness near-duplicates on files of 12
// megapixels, beside imagededup with the same weights on a fifth of them.
func largeFiles(o options) error {
	start := time.Now()
	found, err := imaging.Find(o.data)
	if err != nil {
		return errors.Wrap(err, "read -data")
	}
	folder, err := os.MkdirTemp("", "large-")
	if err != nil {
		return errors.WithStack(err)
	}
	defer os.RemoveAll(folder)
	pictures, part := filepath.Join(folder, "pictures"), filepath.Join(folder, "part")
	for _, f := range []string{pictures, part} {
		if err := os.Mkdir(f, 0o777); err != nil {
			return errors.WithStack(err)
		}
	}
	kind := fileKinds[1]
	files, err := makeFiles(pictures, found.Files, o.count, kind.width, kind.height)
	if err != nil {
		return err
	}
	few := max(1, len(files)/largePart)
	for i := range few {
		file := files[i*len(files)/few]
		if err := os.Link(file, filepath.Join(part, filepath.Base(file))); err != nil {
			return errors.WithStack(err)
		}
	}
	tool := filepath.Join(folder, "likeness")
	if output, err := exec.Command("go", "build", "-o", tool, "./cmd/likeness").CombinedOutput(); err != nil {
		return errors.Wrapf(err, "build the tool: %s", output)
	}
	var seconds [3]float64
	for i, flags := range [][]string{nil, nil, {"--flips"}} {
		command := exec.Command(tool, append([]string{"near-duplicates", "--model", zoo.Photo}, append(flags, pictures)...)...)
		command.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(folder, "cache"))
		command.Stderr = os.Stderr
		begin := time.Now()
		if err := command.Run(); err != nil {
			return errors.Wrap(err, "likeness near-duplicates")
		}
		seconds[i] = time.Since(begin).Seconds()
		fmt.Fprintf(os.Stderr, "near-duplicates %v: %.1f s\n", flags, seconds[i])
	}
	command := exec.Command(o.python, "-B", filepath.Join(filepath.Dir(o.script), "reference_large.py"), o.weights, part)
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		return errors.Wrap(err, "run the peer")
	}
	var peer struct {
		Seconds float64  `json:"seconds"`
		Workers int      `json:"workers"`
		Tools   []string `json:"tools"`
	}
	if err := json.Unmarshal(output, &peer); err != nil {
		return errors.Wrapf(err, "read the answer of the peer: %s", output)
	}
	each := func(seconds float64, count int) float64 { return 1000 * seconds / float64(count) }
	text := "| | files | seconds | milliseconds for each file |\n|---|---|---|---|\n"
	row := func(name string, count int, seconds float64) {
		text += fmt.Sprintf("| %s | %d | %.1f | %.1f |\n", name, count, seconds, each(seconds, count))
	}
	row("`likeness near-duplicates`, first run", len(files), seconds[0])
	row("second run", len(files), seconds[1])
	row("then with `--flips`, whose other seven views are not in the cache", len(files), seconds[2])
	row(fmt.Sprintf("imagededup's CNN with the same weights, %d worker processes", peer.Workers), few, peer.Seconds)
	text += fmt.Sprintf("\nFor each file imagededup takes **%.2f** times as long as the first run.", each(peer.Seconds, few)/each(seconds[0], len(files)))
	fmt.Println(text)
	return record.Record{
		Title:   "Near-duplicates among photographs of 12 megapixels",
		Command: fmt.Sprintf("%s -count %d", o.command(), o.count),
		Tools:   peer.Tools,
		Took:    time.Since(start),
		Result: fmt.Sprintf("JPEG files of %d×%d pixels (quality 90), made of Caltech-101. The tool as a whole process, with its cache of embeddings,\nwhich is empty before the first run; imagededup's find_duplicates in a process that has loaded its network, with the faster of 0\nand 2 worker processes. Its time grows with the number of files, so the time for each file is compared.\n\n",
			kind.width, kind.height) + text,
	}.WriteFile(filepath.Join(o.out, "photographs-large.md"))
}
