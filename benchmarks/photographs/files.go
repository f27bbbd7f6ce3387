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

// largeCopies is the number of files of largeFiles with the same picture and another comment: to make pictures takes long.
const largeCopies = 10

// largePart is the part of the files that the peer of largeFiles gets, because it takes long.
const largePart = 5

// The measurements of largeFiles.
const (
	largeFirst  = "first run"
	largeSecond = "second run"
	largeFlips  = "with --flips"
	largePeer   = "peer"
)

// largeFiles measures the first and the second run of likeness near-duplicates on files of 12
// megapixels, beside imagededup with the same weights on a fifth of them. With -keep the files and
// the times stay in a folder, and -step does a part of the work, so that the machine need not be
// free of other programs for the whole of it.
func largeFiles(o options) error {
	start := time.Now()
	steps := []string{"make", "first", "second", "flips", "peer", "record"}
	if o.step != "" && (o.keep == "" || !slices.Contains(steps, o.step)) {
		return errors.Errorf("found -step %q with -keep %q, expected a folder and one of %s", o.step, o.keep, strings.Join(steps, ", "))
	}
	wanted := func(step string) bool { return o.step == "" || o.step == step }
	folder := o.keep
	if folder == "" {
		temporary, err := os.MkdirTemp("", "large-")
		if err != nil {
			return errors.WithStack(err)
		}
		defer os.RemoveAll(temporary)
		folder = temporary
	}
	all, part, kept := filepath.Join(folder, "pictures"), filepath.Join(folder, "part"), filepath.Join(folder, "times.json")
	kind := fileKinds[1]
	few := max(1, o.count/largePart)
	if wanted("make") {
		if err := o.makeLarge(all, part, few); err != nil {
			return err
		}
	}
	times := struct {
		Seconds map[string]float64
		Workers int
		Tools   []string
	}{Seconds: map[string]float64{}}
	if text, err := os.ReadFile(kept); err == nil {
		if err := json.Unmarshal(text, &times); err != nil {
			return errors.Wrap(err, kept)
		}
	}
	tool := filepath.Join(folder, "likeness")
	if wanted("make") {
		if output, err := exec.Command("go", "build", "-o", tool, "./cmd/likeness").CombinedOutput(); err != nil {
			return errors.Wrapf(err, "build the tool: %s", output)
		}
	}
	for _, each := range []struct {
		step, name string
		flags      []string
	}{{"first", largeFirst, nil}, {"second", largeSecond, nil}, {"flips", largeFlips, []string{"--flips"}}} {
		if !wanted(each.step) {
			continue
		}
		cache := filepath.Join(folder, "cache")
		if each.step == "first" {
			if err := os.RemoveAll(cache); err != nil {
				return errors.WithStack(err)
			}
		}
		command := exec.Command(tool, append([]string{"near-duplicates", "--model", zoo.Photo}, append(each.flags, all)...)...)
		command.Env = append(os.Environ(), "XDG_CACHE_HOME="+cache)
		command.Stderr = os.Stderr
		begin := time.Now()
		if err := command.Run(); err != nil {
			return errors.Wrap(err, "likeness near-duplicates")
		}
		times.Seconds[each.name] = time.Since(begin).Seconds()
		fmt.Fprintf(os.Stderr, "near-duplicates, %s: %.1f s\n", each.name, times.Seconds[each.name])
	}
	if wanted("peer") {
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
		times.Seconds[largePeer], times.Workers, times.Tools = peer.Seconds, peer.Workers, peer.Tools
	}
	if text, err := json.Marshal(times); err != nil {
		return errors.WithStack(err)
	} else if err := os.WriteFile(kept, text, 0o666); err != nil {
		return errors.WithStack(err)
	}
	if !wanted("record") {
		return nil
	}
	for _, name := range []string{largeFirst, largeSecond, largePeer} {
		if times.Seconds[name] == 0 {
			return errors.Errorf("%s: found no time of the %s: measure it first, with -step", kept, name)
		}
	}
	took := time.Since(start)
	if o.step != "" {
		took = 0
		for _, seconds := range times.Seconds {
			took += time.Duration(seconds * float64(time.Second))
		}
	}
	each := func(seconds float64, count int) float64 { return 1000 * seconds / float64(count) }
	text := "| | files | seconds | milliseconds for each file |\n|---|---|---|---|\n"
	row := func(name string, count int, seconds float64) {
		if seconds > 0 {
			text += fmt.Sprintf("| %s | %d | %.1f | %.1f |\n", name, count, seconds, each(seconds, count))
		}
	}
	row("`likeness near-duplicates`, first run", o.count, times.Seconds[largeFirst])
	row("second run", o.count, times.Seconds[largeSecond])
	row("then with `--flips`, whose other seven views are not in the cache", o.count, times.Seconds[largeFlips])
	row(fmt.Sprintf("imagededup's CNN with the same weights, %d worker processes", times.Workers), few, times.Seconds[largePeer])
	text += fmt.Sprintf("\nFor each file imagededup takes **%.2f** times as long as the first run.", each(times.Seconds[largePeer], few)/each(times.Seconds[largeFirst], o.count))
	fmt.Println(text)
	return record.Record{
		Title:   "Near-duplicates among photographs of 12 megapixels",
		Command: fmt.Sprintf("%s -count %d", o.command(), o.count),
		Tools:   times.Tools,
		Took:    took,
		Result: fmt.Sprintf("JPEG files of %d×%d pixels (quality 90), made of Caltech-101, %d for each picture, which differ in a\ncomment. The tool as a whole process, with its cache of embeddings,\nwhich is empty before the first run; imagededup's find_duplicates in a process that has loaded its network, with the faster of 0\nand 2 worker processes. Its time grows with the number of files, so the time for each file is compared.\n\n",
			kind.width, kind.height, largeCopies) + text,
	}.WriteFile(filepath.Join(o.out, "photographs-large.md"))
}

// makeLarge writes -count different large files to the folder all, and links few of them into part.
func (o options) makeLarge(all, part string, few int) error {
	found, err := imaging.Find(o.data)
	if err != nil {
		return errors.Wrap(err, "read -data")
	}
	for _, f := range []string{all, part} {
		if err := os.RemoveAll(f); err != nil {
			return errors.WithStack(err)
		}
		if err := os.MkdirAll(f, 0o777); err != nil {
			return errors.WithStack(err)
		}
	}
	pictures, err := makeFiles(all, found.Files, (o.count+largeCopies-1)/largeCopies, fileKinds[1].width, fileKinds[1].height)
	if err != nil {
		return err
	}
	files := slices.Clone(pictures)
	for i := range o.count - len(pictures) {
		picture, number := pictures[i%len(pictures)], i/len(pictures)+1
		text, err := os.ReadFile(picture)
		if err != nil {
			return errors.WithStack(err)
		}
		// A comment segment after the start of the image: its marker, its length and one byte.
		text = slices.Insert(text, 2, 0xff, 0xfe, 0, 3, byte(number))
		files = append(files, strings.TrimSuffix(picture, ".jpg")+fmt.Sprintf("-%d.jpg", number))
		if err := os.WriteFile(files[len(files)-1], text, 0o666); err != nil {
			return errors.WithStack(err)
		}
	}
	for i := range few {
		file := files[i*len(files)/few]
		if err := os.Link(file, filepath.Join(part, filepath.Base(file))); err != nil {
			return errors.WithStack(err)
		}
	}
	return nil
}
