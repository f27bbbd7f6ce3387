// Start measures what a user waits for before anything is computed: the size of the program, the
// time of one comparison of two photographs by a new process, and the time in which a gallery of a
// million examples is opened.
//
//	go run ./benchmarks/start -python python3 -earlier /tmp/likeness-before
//	go run ./benchmarks/start -runs 3 -examples 10000 -out /tmp/start.md    # a quick test
//
// The photographs are those of -a and -b, or two generated images of a megapixel. -python measures a
// process that does the same with ONNX Runtime, and needs onnxruntime, numpy and pillow. -earlier is
// another executable, such as one of an earlier commit. Run it while no other programs run.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"log"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/benchmarks/internal/clusters"
	"github.com/likeness-go/likeness/benchmarks/internal/record"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// The tool is built as its releases are: without cgo, paths and symbols.
var building = []string{"build", "-trimpath", "-ldflags", "-s -w"}

const features = 64 // of an example of the gallery

// setting is what to measure.
type setting struct {
	a, b, python, script, earlier, cache string
	runs, examples                       int
}

func main() {
	log.SetFlags(0)
	var s setting
	flag.StringVar(&s.a, "a", "", "first photograph; a generated one by default")
	flag.StringVar(&s.b, "b", "", "second photograph")
	flag.IntVar(&s.runs, "runs", 20, "number of processes, of which times are the median")
	flag.IntVar(&s.examples, "examples", 1_000_000, "number of examples of the gallery; 0 measures none")
	flag.StringVar(&s.python, "python", "", "Python `interpreter` with onnxruntime, numpy and pillow; without it only likeness is measured")
	flag.StringVar(&s.script, "script", "benchmarks/peers/start.py", "`file` of Python's part")
	flag.StringVar(&s.earlier, "earlier", "", "another `executable` of likeness to measure")
	flag.StringVar(&s.cache, "cache", filepath.Join(os.TempDir(), "likeness-start"), "`folder` of the gallery and of the tool")
	out := flag.String("out", "benchmarks/results/start.md", "`file` of the record")
	flag.Parse()
	if s.runs < 1 || s.examples < 0 || (s.a == "") != (s.b == "") {
		log.Fatalf("found -runs %d, -examples %d, -a %q and -b %q: -runs must be at least 1, -examples at least 0, and -a and -b belong together", s.runs, s.examples, s.a, s.b)
	}
	start := time.Now()
	text, err := s.measure()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(text)
	command := fmt.Sprintf("go run ./benchmarks/start -runs %d -examples %d", s.runs, s.examples)
	if s.python != "" {
		command += " -python python3"
	}
	if s.earlier != "" {
		command += " -earlier FILE"
	}
	if s.a != "" {
		command += " -a A.jpg -b B.jpg"
	}
	var tools []string
	if s.python != "" {
		version, err := exec.Command(s.python, "-c", "import onnxruntime; print('onnxruntime', onnxruntime.__version__)").Output()
		if err != nil {
			log.Fatalf("-python: %v", err)
		}
		tools = append(tools, strings.TrimSpace(string(version)))
	}
	if err := (record.Record{Title: "Size of the program and time to start", Command: command, Tools: tools, Took: time.Since(start), Result: text}).WriteFile(*out); err != nil {
		log.Fatal(err)
	}
}

// measure returns the text of the record.
func (s setting) measure() (string, error) {
	if err := os.MkdirAll(s.cache, 0o777); err != nil {
		return "", err
	}
	tool := filepath.Join(s.cache, "likeness")
	build := exec.Command("go", append(slices.Clone(building), "-o", tool, "./cmd/likeness")...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return "", errors.Errorf("build: %v: %s", err, output)
	}
	if s.a == "" {
		s.a, s.b = filepath.Join(s.cache, "a.jpg"), filepath.Join(s.cache, "b.jpg")
		for i, path := range []string{s.a, s.b} {
			if err := writePhotograph(path, uint64(i)); err != nil {
				return "", err
			}
		}
	}
	var b strings.Builder
	if err := s.sizes(&b, tool); err != nil {
		return "", err
	}
	if err := s.starts(&b, tool); err != nil {
		return "", err
	}
	if s.examples > 0 {
		if err := s.gallery(&b); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

// sizes writes the sizes of the executable and of the data in it.
func (s setting) sizes(b *strings.Builder, tool string) error {
	megabytes := func(patterns ...string) (float64, error) {
		var bytes int64
		for _, pattern := range patterns {
			files, err := filepath.Glob(pattern)
			if err != nil || len(files) == 0 {
				return 0, errors.Errorf("found no files %s: run it in the module's folder", pattern)
			}
			for _, file := range files {
				info, err := os.Stat(file)
				if err != nil {
					return 0, err
				}
				bytes += info.Size()
			}
		}
		return float64(bytes) / 1e6, nil
	}
	fmt.Fprintf(b, "## Size\n\n`CGO_ENABLED=0 go %s ./cmd/likeness`, in millions of bytes:\n\n| part | MB |\n|---|---|\n", strings.Replace(strings.Join(building, " "), "-s -w", `"-s -w"`, 1))
	whole, err := megabytes(tool)
	if err != nil {
		return err
	}
	rest := whole
	for _, part := range []struct {
		name     string
		patterns []string
	}{
		{"bundled model photo", []string{"zoo/photo.safetensors"}},
		{"bundled models of characters and digits", []string{"zoo/[^p]*.safetensors"}},
		{"Omniglot", []string{"datasets/omniglot/*.zip"}},
	} {
		size, err := megabytes(part.patterns...)
		if err != nil {
			return err
		}
		rest -= size
		fmt.Fprintf(b, "| %s | %.1f |\n", part.name, size)
	}
	fmt.Fprintf(b, "| code, its tables and types | %.1f |\n| **whole program** | **%.1f** |\n", rest, whole)
	if s.earlier != "" {
		before, err := megabytes(s.earlier)
		if err != nil {
			return err
		}
		fmt.Fprintf(b, "| an earlier program | %.1f |\n", before)
	}
	return nil
}

// starts writes the times of processes.
func (s setting) starts(b *strings.Builder, tool string) error {
	config, err := decodeConfig(s.a)
	if err != nil {
		return err
	}
	fmt.Fprintf(b, "\n## Time of a process\n\nOne comparison of two photographs, of %d × %d pixels, by a new process: wall clock in ms, median (minimum to maximum) of %d. "+
		"*Cold* drops the program and the images from the page cache before each.\n\n| process | warm, ms | cold, ms |\n|---|---|---|\n", config.Width, config.Height, s.runs)
	type process struct {
		name  string
		files []string // dropped from the page cache
		args  []string
	}
	processes := []process{
		{"`likeness compare a.jpg b.jpg`", []string{tool}, []string{tool, "compare", s.a, s.b}},
		{"`likeness --version`", []string{tool}, []string{tool, "--version"}},
	}
	if s.earlier != "" {
		processes = append(processes, process{"`likeness compare a.jpg b.jpg`, an earlier program", []string{s.earlier}, []string{s.earlier, "compare", s.a, s.b}})
	}
	if s.python != "" {
		network := filepath.Join(s.cache, "photo.onnx")
		if output, err := exec.Command(tool, "export", "--model", "photo", "--onnx", network).CombinedOutput(); err != nil {
			return errors.Errorf("export: %v: %s", err, output)
		}
		processes = append(processes, process{"Python with ONNX Runtime, the same network", []string{network}, []string{s.python, s.script, network, s.a, s.b}})
	}
	for _, p := range processes {
		warm, err := s.times(p.args, nil)
		if err != nil {
			return err
		}
		cold := "not measured"
		if exec.Command("dd", "--version").Run() == nil {
			if cold, err = s.times(p.args, append(p.files, s.a, s.b)); err != nil {
				return err
			}
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", p.name, warm, cold)
	}
	return nil
}

// times runs a process and returns its times, after files were dropped from the page cache.
func (s setting) times(args, dropped []string) (string, error) {
	var times []float64
	for run := range s.runs + 1 {
		for _, file := range dropped {
			if output, err := exec.Command("dd", "of="+file, "oflag=nocache", "conv=notrunc,fdatasync", "count=0").CombinedOutput(); err != nil {
				return "", errors.Errorf("dd: %v: %s", err, output)
			}
		}
		start := time.Now()
		output, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			return "", errors.Errorf("%s: %v: %s", strings.Join(args, " "), err, output)
		}
		if run > 0 { // the first one reads files that the next ones find in memory
			times = append(times, float64(time.Since(start).Microseconds())/1000)
		}
	}
	slices.Sort(times)
	return fmt.Sprintf("%.0f (%.0f to %.0f)", times[len(times)/2], times[0], times[len(times)-1]), nil
}

// gallery writes the time of opening.
func (s setting) gallery(b *strings.Builder) error {
	size := imaging.Size{Height: 1, Width: features, Channels: 1}
	model, err := likeness.New(backbone.Network{Name: "row", Size: size, Blocks: []graph.Block{graph.Flatten{}}}, heads.L2{}, imaging.Preprocessing{Size: size}, 1)
	if err != nil {
		return err
	}
	path := filepath.Join(s.cache, fmt.Sprintf("%d.gallery", s.examples))
	if _, err := os.Stat(path); os.IsNotExist(err) {
		if err := fill(path, model, s.examples); err != nil {
			return err
		}
	}
	var times []float64
	for range 5 {
		runtime.GC()
		start := time.Now()
		g, err := gallery.Open(path, model, gallery.Options{ReadOnly: true})
		if err != nil {
			return err
		}
		times = append(times, time.Since(start).Seconds())
		n := g.Len()
		if err := g.Close(); err != nil || n != s.examples {
			return errors.Errorf("%s: found %d examples (%v), expected %d: remove it", path, n, err, s.examples)
		}
	}
	slices.Sort(times)
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	fmt.Fprintf(b, "\n## Opening a gallery\n\n`gallery.Open` of %d examples of %d features, a file of %.0f MB in the page cache: %.2f s (%.2f to %.2f), the median of %d. "+
		"It checks all pages of the file and the checksum of each example, and makes the codes by which exact search excludes vectors.\n",
		s.examples, features, float64(info.Size())/1e6, times[len(times)/2], times[0], times[len(times)-1], len(times))
	return nil
}

// fill makes the gallery, a thousand examples in one transaction.
func fill(path string, model *likeness.Model, n int) error {
	g, err := gallery.Create(path, model, gallery.Options{})
	if err != nil {
		return err
	}
	const each = 1000
	for class := 0; class*each < n; class++ {
		var embeddings [][]float32
		for i := range min(each, n-class*each) {
			embeddings = append(embeddings, clusters.Vector(1, features, class, i))
		}
		if err := g.EnrollEmbeddings(fmt.Sprint("class ", class), embeddings...); err != nil {
			return err
		}
	}
	return g.Close()
}

// writePhotograph writes a colored image of a megapixel with shapes of all sizes.
func writePhotograph(path string, seed uint64) error {
	chance := random.New(seed, "photograph")
	var waves [3][12][4]float64 // of each color: amplitude, two frequencies, phase
	for c := range waves {
		for k := range waves[c] {
			octave := math.Exp2(float64(k) / 2)
			waves[c][k] = [4]float64{60 / math.Sqrt(octave), octave * chance.NormFloat64(), octave * chance.NormFloat64(), 6.3 * chance.Float64()}
		}
	}
	const width, height = 1152, 864
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			var levels [3]uint8
			for c := range levels {
				level := 128.
				for _, w := range waves[c] {
					level += w[0] * math.Sin((w[1]*float64(x)+w[2]*float64(y))*6.3/width+w[3])
				}
				levels[c] = uint8(min(max(level, 0), 255))
			}
			img.SetRGBA(x, y, color.RGBA{levels[0], levels[1], levels[2], 255})
		}
	}
	var data bytes.Buffer
	if err := jpeg.Encode(&data, img, &jpeg.Options{Quality: 90}); err != nil {
		return err
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		_, err := w.Write(data.Bytes())
		return err
	})
}

func decodeConfig(path string) (image.Config, error) {
	file, err := os.Open(path)
	if err != nil {
		return image.Config{}, err
	}
	defer file.Close()
	config, err := jpeg.DecodeConfig(file)
	return config, errors.Wrap(err, path)
}
