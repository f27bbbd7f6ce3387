package run

import (
	"cmp"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/fetch"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// data is the data of a training: the images to train on, to validate by and to test
// on. The kinds are labeled images, images without classes, the embedded images with their
// one-shot runs, and listed pairs or triplets.
type data interface {
	// name is the short name of the data set.
	name() string
	// summary counts the images.
	summary() string
	// images are those of training.
	images() *datasets.Dataset
	// projected are the images for maps of embeddings: those that training has not
	// seen, if there are any.
	projected() *datasets.Dataset
	// limited has at most n images to train on, and at most m in each part to validate
	// and test on; 0 is no limit.
	limited(n, m int, seed uint64) data
	// refit is the data of a training for which nothing is held out.
	refit() (data, error)
	// unseen are the classes that are held out of training.
	unseen() []string

	// examples are what the loss is computed on in each step.
	examples(loss objectives.Loss, batch, imagesPerClass int) (datasets.Images, datasets.Sampler, error)
	// validation also says what it measures; it is nil if there is nothing to measure.
	validation(seed uint64) (validation trainer.Validation, measure string, err error)
	// unseenValidation reports whether the validation is on classes that are not trained on or, of
	// listed tuples, on those that the list has for it.
	unseenValidation(seed uint64) bool
	// plan is how the trained network is tested.
	plan(seed uint64) (*report.Plan, error)
}

// maxNotes is how many skipped files are named.
const maxNotes = 20

// open finds the data and reads it at the input size of the network, which is zero if
// it takes images of any size. The notes say what was decided and which files were
// skipped. onRead may be nil, see datasets.Options.OnProgress.
func (s Settings) open(input imaging.Size, onRead func(read, total int)) (found data, notes []string, err error) {
	return s.openWith(input, func(path string) (datasets.Splits, []string, error) { return s.read(path, input, onRead) })
}

// openWith is open with a function that reads the files, as Settings.read does.
func (s Settings) openWith(input imaging.Size, read func(path string) (datasets.Splits, []string, error)) (found data, notes []string, err error) {
	if s.embedded() {
		return s.openEmbedded(input)
	}
	path, title := s.Data, ""
	if path == "" || path == mnistData && isName(path) {
		title = "MNIST"
		if path, err = datasets.FindMNIST(""); err != nil {
			return nil, nil, err
		}
	}
	splits, notes, err := read(path)
	if err != nil {
		return nil, nil, err
	}
	notes = append(notes, s.noteMemory(splits)...)
	if title != "" {
		splits.Name = title
	}
	for _, file := range splits.Skipped[:min(len(splits.Skipped), maxNotes)] {
		notes = append(notes, "skipped "+file)
	}
	if more := len(splits.Skipped) - maxNotes; more > 0 {
		notes = append(notes, fmt.Sprintf("skipped %d more files", more))
	}
	if splits.PassedOver.Count > 0 {
		notes = append(notes, fmt.Sprintf("ignored %v, such as %s", splits.PassedOver, splits.PassedOver.First[0]))
	}
	for _, warning := range splits.Warnings {
		notes = append(notes, "warning: "+warning)
	}
	if splits.Pairs.Train != nil || splits.Triplets.Train != nil {
		if s.Symmetries || s.Grouped {
			return nil, nil, errors.Errorf("%s lists pairs or triplets: --symmetries and --grouped need images with classes", path)
		}
		found = newListed(splits)
		if splits.Pairs.Test == nil && splits.Triplets.Test == nil {
			notes = append(notes, "no row of the list is for testing, so nothing is measured: add a column split with train, val or test")
		}
	} else if splits.Train != nil && splits.Train.Labels == nil {
		var note string
		if found, note, err = newUnlabeled(splits, s); err != nil {
			return nil, nil, err
		}
		notes = append(notes, note)
	} else if found, err = newLabeled(splits, s); err != nil {
		return nil, nil, err
	}
	return found.limited(s.Limit, s.TestLimit, s.Seed), notes, nil
}

// imageSize is the size of the settings, or the input size of the network, or else
// zero.
func (s Settings) imageSize(input imaging.Size) (imaging.Size, error) {
	size, err := ParseSize(s.Size)
	if err != nil || input == (imaging.Size{}) {
		return size, err
	}
	if size.Channels == 0 {
		size.Channels = input.Channels
	}
	if s.Size != "" && size != input {
		return size, errors.Errorf("--size: found %s, but the network takes images of %v: leave out --size or choose another network", s.Size, input)
	}
	return input, nil
}

// read opens the data at the size of the settings, or the input size of the network,
// or the size of the images, or a default one if these differ or are large.
func (s Settings) read(path string, input imaging.Size, onRead func(read, total int)) (datasets.Splits, []string, error) {
	size, err := s.imageSize(input)
	if err != nil {
		return datasets.Splits{}, nil, err
	}
	options := datasets.Options{Size: size, Invert: s.Invert, Crop: s.crop(), SkipBroken: s.SkipBroken, Background: s.Alphabets, Stream: true, Unlabeled: comparesViews(s.Objective), OnProgress: onRead}
	options.CenterCrop, options.ShorterSide = s.centerCrop()
	if least := max(size.Height, size.Width); options.ShorterSide != 0 && options.ShorterSide < least {
		return datasets.Splits{}, nil, errors.Errorf("--shorter-side: found %d, expected %d to %d for images of %dx%d", options.ShorterSide, least, imaging.MaxSide, size.Height, size.Width)
	}
	if options.Memory, err = ParseMemory(s.Memory); err != nil {
		return datasets.Splits{}, nil, errors.WithMessage(err, "--memory")
	}
	var notes []string
	if size == (imaging.Size{}) {
		if first, own := firstImage(path); own.Height > maxSide || own.Width > maxSide {
			options.Size = imaging.Size{Height: defaultSide, Width: defaultSide}
			notes = append(notes, first+" is large: all images are resized to 64x64 (--size sets another size)")
		}
	}
	splits, err := datasets.Open(path, options)
	// Images of different sizes may be in parts of which only one has color.
	for _, channels := range []int{0, 3} {
		if errors.Is(err, datasets.ErrSizes) && s.Size == "" {
			notes = []string{"the images differ in size: all are resized to 64x64 (--size sets another size)"}
			options.Size = imaging.Size{Height: defaultSide, Width: defaultSide, Channels: channels}
			splits, err = datasets.Open(path, options)
		}
	}
	switch {
	case errors.Is(err, datasets.ErrBroken):
		err = fmt.Errorf("%w: remove it, or skip such files with --skip-broken", err)
	case errors.Is(err, fs.ErrNotExist):
		if filepath.Base(path) == path {
			err = fmt.Errorf("%w: %w", err, wording.Unknown("data set", path, dataNames))
		}
		err = errors.WithMessage(err, "--data: expected a folder, a CSV file or the name of a data set")
	case errors.Is(err, datasets.ErrBackground):
		err = errors.WithMessage(err, "--alphabets")
	}
	return splits, notes, err
}

// The names of Settings.Resize.
const (
	stretch    = "stretch"
	centerCrop = "crop"
)

// checkResize checks how images are resized.
func (s Settings) checkResize() error {
	switch {
	case s.Resize != "" && s.Resize != stretch && s.Resize != centerCrop:
		return errors.WithMessage(wording.Unknown("name", s.Resize, []string{stretch, centerCrop}), "--resize")
	case s.ShorterSide != 0 && s.Resize == stretch:
		return errors.Errorf("--shorter-side: found %d, but --resize is stretch: expected crop, or no --shorter-side", s.ShorterSide)
	case s.Resize == centerCrop && s.Crop != 0:
		return errors.Errorf("--resize: found crop, but --crop %v crops images to their foreground: leave out --resize or set --crop 0", s.Crop)
	}
	return nil
}

// centerCrop reports whether the center of images is cropped and, unless it is 0 for the
// default, the length of their shorter side before.
func (s Settings) centerCrop() (is bool, shorterSide int) {
	if s.Resize != centerCrop {
		return false, 0
	}
	return true, s.ShorterSide
}

// crop is how images are cropped, nil if they are not.
func (s Settings) crop() *imaging.Crop {
	if s.Crop == 0 {
		return nil
	}
	return &imaging.Crop{Margin: s.Crop, MinSide: s.CropMin}
}

// firstImage is the first image file in the folder and its size, if there is one.
func firstImage(path string) (first string, size imaging.Size) {
	filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
		hidden := file != path && strings.HasPrefix(filepath.Base(file), ".")
		switch {
		case err != nil:
			return nil // Open reports it
		case hidden && entry.IsDir():
			return fs.SkipDir
		case hidden || !entry.Type().IsRegular():
			return nil
		}
		if image, err := imaging.IsImage(file); err != nil || !image {
			return nil // Open reports it
		}
		opened, err := imaging.OpenFile(file)
		if err != nil {
			return nil // Open reports it
		}
		defer opened.Close()
		if size, err = imaging.DecodeSize(opened, file); err != nil {
			return nil
		}
		first = file
		return fs.SkipAll
	})
	return first, size
}

// noteMemory says that not all images of files stay in memory.
func (s Settings) noteMemory(splits datasets.Splits) []string {
	var need float64
	for _, d := range []*datasets.Dataset{splits.Train, splits.Validation, splits.Test} {
		if d != nil && d.From != nil {
			need += float64(d.Len()) * float64(d.Size.Len())
		}
	}
	limit, err := ParseMemory(s.Memory)
	if limit = cmp.Or(limit, datasets.DefaultMemory); err != nil || need <= float64(limit) {
		return nil
	}
	return []string{fmt.Sprintf("the decoded images take %.1f GiB, and %.1f GiB of them stay in memory (--memory): the others are decoded when they are needed", need/(1<<30), float64(limit)/(1<<30))}
}

// memoryUnits are the units of Settings.Memory.
var memoryUnits = map[string]float64{
	"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
	"KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
}

// unlimited is the memory that keeps all images.
const unlimited = "unlimited"

// ParseMemory reads the text of an amount of memory, as Settings.Memory has it: 512MiB,
// 1.5GiB, 2GB, or unlimited, which is math.MaxInt64. An empty text is 0, which stands for
// datasets.DefaultMemory. The error does not name the setting or flag.
func ParseMemory(text string) (int64, error) {
	switch text {
	case "":
		return 0, nil
	case unlimited:
		return math.MaxInt64, nil
	}
	digits := strings.TrimRightFunc(text, unicode.IsLetter)
	number, err := strconv.ParseFloat(digits, 64)
	unit, known := memoryUnits[text[len(digits):]]
	if bytes := number * unit; err == nil && known && bytes >= 1 && bytes < math.MaxInt64 {
		return int64(bytes), nil
	}
	return 0, errors.Errorf("found %q, expected a number above 0 with the unit KiB, MiB, GiB, TiB, KB, MB, GB or TB, such as 2GiB, or %s", text, unlimited)
}

// ParseSize reads the text of a size, as Settings.Size has it: 64, 64x48 (height x width) or
// 64x48x3. An empty text is the zero size, and zero channels mean those of the images.
func ParseSize(text string) (imaging.Size, error) {
	if text == "" {
		return imaging.Size{}, nil
	}
	var numbers []int
	for _, part := range strings.Split(text, "x") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 {
			return imaging.Size{}, errors.Errorf("--size: found %q, expected height x width such as 64x64, or with 1 or 3 channels such as 64x64x3", text)
		}
		numbers = append(numbers, n)
	}
	size := imaging.Size{Height: numbers[0], Width: numbers[0]}
	switch len(numbers) {
	case 1:
	case 2, 3:
		size.Width = numbers[1]
		if len(numbers) == 3 {
			size.Channels = numbers[2]
		}
	default:
		return imaging.Size{}, errors.Errorf("--size: found %q, expected height x width, optionally x channels", text)
	}
	whole := size
	whole.Channels = cmp.Or(size.Channels, 1)
	return size, errors.WithMessagef(whole.Validate(), "--size: found %q", text)
}

// PublishedSet returns a published data set by its name in --data. A program may replace
// it to add data sets.
var PublishedSet = fetch.Named

// Names of data sets that need no download.
const (
	embeddedData = "omniglot-small1" // in the program
	mnistData    = "mnist"           // in the Go module cache
)

// dataNames are these, and those of data that likeness fetch downloads.
var dataNames = append([]string{embeddedData}, fetch.Names()...)

// isName reports whether data is one of these names and not a path: a file or folder of
// that name takes precedence.
func isName(data string) bool {
	if data != embeddedData && data != mnistData {
		return false
	}
	_, err := os.Stat(data)
	return err != nil
}

// embedded reports whether the data is that in the program.
func (s Settings) embedded() bool { return s.Data == embeddedData && isName(s.Data) }

// locate is what --data means: a path, the path of a published data set that has been
// downloaded and that --data names, or a name of data that needs no download.
func locate(data string) (string, error) {
	if isName(data) {
		return data, nil
	}
	set, err := PublishedSet(data)
	if err != nil {
		return data, nil // a path; opening it reports what is wrong
	}
	if _, err := os.Stat(data); err == nil {
		return data, nil
	}
	folder, err := datasets.CacheFolder(data)
	if err != nil {
		return "", err
	}
	if missing := set.Missing(folder); len(missing) > 0 {
		return "", errors.Errorf("--data: there is no folder %s here, and %s lacks %s: likeness fetch %s downloads it", data, folder, strings.Join(missing, ", "), data)
	}
	return folder, nil
}
