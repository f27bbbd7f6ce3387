package datasets

import (
	"encoding/json"
	"image"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/pkg/errors"
)

// Rectangles have the means and the standard deviations of those that torchvision 0.29.2 drew 20,000
// times: RandomResizedCrop(8, scale=…) and RandomErasing(p=1, scale=…), make_params.
func TestRectanglesAreDrawnAsByTorchvision(t *testing.T) {
	const times = 20_000
	for _, test := range []struct {
		name            string
		size            imaging.Size
		draw            func(size imaging.Size, r *rand.Rand) image.Rectangle
		mean, deviation [4]float64 // of top, left, height and width
		none            float64    // the share without a rectangle
	}{
		{"crop", imaging.Size{Height: 200, Width: 300}, RandomResizedCrop{ScaleMin: 0.2, ScaleMax: 1}.draw,
			[4]float64{20.646, 66.258, 158.66, 166.885}, [4]float64{19.624, 44.123, 26.625, 37.099}, 0},
		{"crop of a square", imaging.Size{Height: 64, Width: 64}, RandomResizedCrop{ScaleMin: 0.08, ScaleMax: 1}.draw,
			[4]float64{10.393, 10.329, 43.217, 43.134}, [4]float64{9.462, 9.396, 12.21, 12.198}, 0},
		{"crop that never fits", imaging.Size{Height: 50, Width: 200}, RandomResizedCrop{ScaleMin: 0.8, ScaleMax: 1}.draw,
			[4]float64{0, 66, 50, 67}, [4]float64{}, 0},
		{"erasing", imaging.Size{Height: 64, Width: 64}, RandomErasing{Probability: 1}.draw,
			[4]float64{18.354, 18.413, 27.133, 27.219}, [4]float64{13.033, 13.034, 12.481, 12.462}, 0},
		{"erasing that often does not fit", imaging.Size{Height: 40, Width: 100}, RandomErasing{ScaleMin: 0.5, ScaleMax: 1, Probability: 1}.draw,
			[4]float64{2.822, 9.404, 30.437, 71.416}, [4]float64{2.98, 9.295, 10.602, 25.957}, 0.09745},
	} {
		var sum, squares [4]float64
		none := 0.
		whole := image.Rect(0, 0, test.size.Width, test.size.Height)
		for i := range times {
			area := test.draw(test.size, random.New(3, test.name, i))
			if !area.In(whole) {
				t.Fatalf("%s: %v is outside the image of %v", test.name, area, test.size)
			}
			if area.Empty() {
				none++
			}
			for k, v := range [4]int{area.Min.Y, area.Min.X, area.Dy(), area.Dx()} {
				sum[k] += float64(v)
				squares[k] += float64(v * v)
			}
		}
		for k, name := range [4]string{"top", "left", "height", "width"} {
			mean := sum[k] / times
			deviation := math.Sqrt(max(0, squares[k]/times-mean*mean))
			// Four standard errors of the difference of two means, and of two deviations of
			// numbers that are nearly uniform, whose kurtosis of 1.8 is below the normal's 3.
			if tolerance := 4 * test.deviation[k] * math.Sqrt(2./times); math.Abs(mean-test.mean[k]) > tolerance+1e-9 || math.Abs(deviation-test.deviation[k]) > tolerance+1e-9 {
				t.Errorf("%s: found the %s %.3f ± %.3f, expected %.3f ± %.3f", test.name, name, mean, deviation, test.mean[k], test.deviation[k])
			}
		}
		if tolerance := 4 * math.Sqrt(2*test.none/times); math.Abs(none/times-test.none) > tolerance {
			t.Errorf("%s: %.4f have no rectangle, expected %.4f", test.name, none/times, test.none)
		}
	}
}

// An image that is too narrow or too wide for every aspect ratio has its center cropped, and one
// for which only the area does not fit is used as a whole.
func TestCropsThatNeverFit(t *testing.T) {
	for _, test := range []struct {
		size       imaging.Size
		least      float64 // of the ratio
		most, area float64
		want       image.Rectangle
	}{
		{imaging.Size{Height: 100, Width: 10}, 0.5, 2, 1, image.Rect(0, 40, 10, 60)},
		{imaging.Size{Height: 10, Width: 100}, 0.5, 2, 1, image.Rect(40, 0, 60, 10)},
		{imaging.Size{Height: 11, Width: 10}, 0.1, 0.2, 1, image.Rect(4, 0, 6, 11)},
		{imaging.Size{Height: 10, Width: 1}, 0.5, 1000, 1, image.Rect(0, 4, 1, 6)},
		{imaging.Size{Height: 1, Width: 3}, 0.001, 0.002, 1, image.Rect(1, 0, 2, 1)},
	} {
		crop := RandomResizedCrop{ScaleMin: test.area, ScaleMax: test.area, RatioMin: test.least, RatioMax: test.most}
		if got := crop.draw(test.size, random.New(1)); got != test.want {
			t.Errorf("%v at the ratio %v to %v: found %v, expected %v", test.size, test.least, test.most, got, test.want)
		}
	}
}

// The four changes have each of their 24 orders equally often, factors are uniform around 1 and not
// below 0, and the shift of the hue is uniform around 0.
func TestColorJitterIsDrawnAsByTorchvision(t *testing.T) {
	const times = 12_000
	jitter := ColorJitter{Brightness: 0.4, Contrast: 0.2, Saturation: 3, Hue: 0.1, Probability: 0.5}
	ranges := [4][2]float64{{0.6, 1.4}, {0.8, 1.2}, {0, 4}, {-0.1, 0.1}}
	orders := map[[4]int]float64{}
	var sum, applied float64
	for i := range times {
		c := jitter.draw(random.New(5, i))
		if !c.applied {
			continue
		}
		applied++
		orders[c.order]++
		for k, value := range c.values {
			position := (value - ranges[k][0]) / (ranges[k][1] - ranges[k][0])
			if position < 0 || position > 1 {
				t.Fatalf("change %d: found %v, expected %v", k, value, ranges[k])
			}
			sum += position
		}
	}
	if share := applied / times; math.Abs(share-0.5) > 4*math.Sqrt(0.25/times) {
		t.Errorf("%.3f are changed, expected 0.5", share)
	}
	if mean := sum / applied / 4; math.Abs(mean-0.5) > 4*math.Sqrt(1./12/applied/4) {
		t.Errorf("the mean position in the ranges is %.3f, expected 0.5", mean)
	}
	if len(orders) != 24 {
		t.Errorf("found %d orders, expected 24", len(orders))
	}
	for order, count := range orders {
		if expected := applied / 24; math.Abs(count-expected) > 4*math.Sqrt(expected) {
			t.Errorf("order %v: found it %v times, expected %.0f", order, count, expected)
		}
	}
}

// Flips, grayscale, blur and erasing take part as often as they should, and sigma is uniform. The
// kernel is a tenth of the shorter side, odd, and at least 3.
func TestPhotoProbabilities(t *testing.T) {
	const times = 8000
	photo := Photo{HorizontalFlip: 0.5, Grayscale: 0.2, Blur: GaussianBlur{Probability: 0.3}, Erasing: RandomErasing{Probability: 0.7}}
	size := imaging.Size{Height: 64, Width: 99, Channels: 3}
	counts, sigmas := map[string]float64{}, 0.
	for i := range times {
		d := photo.draw(size, size, random.New(9, i))
		for name, is := range map[string]bool{"flip": d.flip, "gray": d.gray, "blur": d.kernel > 0, "erasing": !d.erased.Empty()} {
			if is {
				counts[name]++
			}
		}
		if d.kernel > 0 {
			if d.kernel != 7 || d.sigma < 0.1 || d.sigma > 2 {
				t.Fatalf("found the kernel %d and sigma %v, expected 7 and 0.1 to 2", d.kernel, d.sigma)
			}
			sigmas += d.sigma
		}
		if d.colors.applied || d.crop != image.Rect(0, 0, 99, 64) {
			t.Fatalf("found %+v, expected no jitter and no crop", d)
		}
	}
	for name, probability := range map[string]float64{"flip": 0.5, "gray": 0.2, "blur": 0.3, "erasing": 0.7} {
		if share := counts[name] / times; math.Abs(share-probability) > 4*math.Sqrt(probability*(1-probability)/times) {
			t.Errorf("%s: found %.3f, expected %v", name, share, probability)
		}
	}
	if mean := sigmas / counts["blur"]; math.Abs(mean-1.05) > 4*1.9/math.Sqrt(12*counts["blur"]) {
		t.Errorf("the mean of sigma is %.3f, expected 1.05", mean)
	}
	always := GaussianBlur{Probability: 1}
	for side, want := range map[int]int{1: 3, 28: 3, 224: 23, 230: 23, 240: 25, 5000: imaging.MaxBlurKernel} {
		if kernel, _ := always.draw(imaging.Size{Height: side, Width: side + 50}, random.New(1)); kernel != want {
			t.Errorf("at a side of %d: found the kernel %d, expected %d", side, kernel, want)
		}
	}
	always.Kernel, always.SigmaMin, always.SigmaMax = 5, 1.5, 1.5
	if kernel, sigma := always.draw(size, random.New(1)); kernel != 5 || sigma != 1.5 {
		t.Errorf("found the kernel %d and sigma %v, expected 5 and 1.5", kernel, sigma)
	}
}

// colored is a dataset of colored images.
func colored(count int, size imaging.Size) *Dataset {
	d := &Dataset{Name: "colored", Size: size, Classes: []string{"one"}}
	r := random.New(4)
	for range count {
		image := make([]uint8, size.Len())
		for i := range image {
			image[i] = uint8(r.IntN(256))
		}
		d.Images, d.Labels = append(d.Images, image), append(d.Labels, 0)
	}
	return d
}

// everything has all operations, each with the probability p.
func everything(p float64) Photo {
	return Photo{
		Crop: RandomResizedCrop{ScaleMin: 0.2, ScaleMax: 1}, HorizontalFlip: p, Grayscale: p,
		Jitter: ColorJitter{Brightness: 0.4, Contrast: 0.4, Saturation: 0.4, Hue: 0.1, Probability: p},
		Blur:   GaussianBlur{Probability: p}, Erasing: RandomErasing{Probability: p},
	}
}

// larger has originals of another size.
type larger struct {
	*Dataset
	originals *Dataset
	failing   bool
}

func (l larger) ReadOriginal(i int) ([]uint8, imaging.Size, error) {
	if l.failing {
		return nil, imaging.Size{}, errors.New("the disk is broken")
	}
	return l.originals.Images[i], l.originals.Size, nil
}

// A batch is what the drawn operations make of each image, in their order, and the erased rectangle
// is 0 after the normalization. A crop takes its pixels from the original if there is one.
func TestFillPhoto(t *testing.T) {
	size := imaging.Size{Height: 16, Width: 12, Channels: 3}
	small, originals := colored(3, size), colored(3, imaging.Size{Height: 50, Width: 40, Channels: 3})
	p := imaging.Preprocessing{Size: size, Mean: []float64{0.5, 0.4, 0.3}, StdDev: []float64{0.2, 0.3, 0.4}}
	for name, images := range map[string]Images{"images": small, "originals": larger{small, originals, false}} {
		source := small
		if name == "originals" {
			source = originals
		}
		for _, distortion := range []Distortion{{}, {Affine: Affine{Rotation: 30, Probability: 1}}} {
			a := &Augmentation{Photo: everything(1), Image: distortion}
			indices := []int{2, 0, 1, 2}
			got := make([]float32, len(indices)*size.Len())
			if err := Fill(got, images, indices, p, a, 7, 3, "left"); err != nil {
				t.Fatal(err)
			}
			erased := 0
			for position, index := range indices {
				own := random.Seed(7, "tower", "left")
				d := a.Photo.draw(source.Size, size, random.New(own, "photo", 3, position))
				pixels, distorted := make([]uint8, size.Len()), make([]uint8, size.Len())
				check := func(err error) {
					if err != nil {
						t.Fatal(err)
					}
				}
				check(imaging.ResizedCrop(pixels, size, source.Images[index], source.Size, d.crop))
				check(imaging.FlipHorizontal(pixels, size))
				distortion.Apply(distorted, pixels, size, 0, random.New(own, "augment", 3, position))
				check(d.colors.apply(distorted, size))
				check(imaging.Grayscale(distorted, size))
				check(imaging.GaussianBlur(distorted, size, 3, d.sigma))
				want := make([]float32, size.Len())
				p.Normalize(want, distorted)
				for i := range want {
					if image.Pt(i/3%size.Width, i/3/size.Width).In(d.erased) {
						want[i] = 0
						erased++
					}
				}
				if diff := cmp.Diff(want, got[position*size.Len():][:size.Len()]); diff != "" {
					t.Fatalf("%s, position %d:\n%s", name, position, diff)
				}
			}
			if erased == 0 {
				t.Error("nothing is erased")
			}
		}
	}
	// Without a crop the original is not read, and an original that cannot be read is named.
	broken := larger{small, originals, true}
	got := make([]float32, size.Len())
	if err := Fill(got, broken, []int{1}, p, &Augmentation{Photo: Photo{HorizontalFlip: 1}}, 1, 0, ""); err != nil {
		t.Error(err)
	}
	err := Fill(got, broken, []int{1}, p, &Augmentation{Photo: everything(1)}, 1, 0, "")
	if err == nil || !strings.Contains(err.Error(), "read image 1 of colored: the disk is broken") {
		t.Errorf("found %v", err)
	}
	gray := larger{small, colored(3, imaging.Size{Height: 50, Width: 40, Channels: 1}), false}
	err = Fill(got, gray, []int{1}, p, &Augmentation{Photo: everything(1)}, 1, 0, "")
	if err == nil || !strings.Contains(err.Error(), "image 1 of colored: resized crop: found a source of size 50x40x1") {
		t.Errorf("found %v", err)
	}
}

// A batch does not depend on the number of threads, and another step, position or tower is another
// draw. Gray images are augmented, too.
func TestFillPhotoIsReproducible(t *testing.T) {
	defer parallel.SetThreads(parallel.Threads())
	for _, channels := range []int{1, 3} {
		size := imaging.Size{Height: 20, Width: 20, Channels: channels}
		d, p := colored(4, size), imaging.Preprocessing{Size: size}
		a := &Augmentation{Photo: everything(0.5)}
		fill := func(threads, step int, tower string) []float32 {
			parallel.SetThreads(threads)
			indices := make([]int, 40)
			got := make([]float32, len(indices)*size.Len())
			if err := Fill(got, d, indices, p, a, 1, step, tower); err != nil {
				t.Fatal(err)
			}
			return got
		}
		first := fill(1, 2, "a")
		if !slices.Equal(first, fill(5, 2, "a")) {
			t.Error("a batch depends on the number of threads")
		}
		if slices.Equal(first, fill(1, 3, "a")) || slices.Equal(first, fill(1, 2, "b")) {
			t.Error("another step or tower is augmented alike")
		}
		if slices.Equal(first[:size.Len()], first[size.Len():2*size.Len()]) {
			t.Error("two positions are augmented alike")
		}
	}
}

// An augmentation without operations on photographs is the same in checkpoints as before there were
// any.
func TestPhotoIsLeftOutOfCheckpoints(t *testing.T) {
	text, err := json.Marshal(EachImage(KochAffine()))
	if err != nil || strings.Contains(string(text), "Photo") {
		t.Errorf("found %s (%v), expected nothing of photographs", text, err)
	}
}

// Photo operations do not change what is drawn for the others.
func TestPhotoHasAStreamOfItsOwn(t *testing.T) {
	size := imaging.Size{Height: 9, Width: 9, Channels: 1}
	d, p := colored(2, size), imaging.Preprocessing{Size: size}
	fill := func(photo Photo) []float32 {
		got := make([]float32, 2*size.Len())
		a := EachImage(KochAffine())
		a.Photo = photo
		if err := Fill(got, d, []int{0, 1}, p, a, 1, 2, ""); err != nil {
			t.Fatal(err)
		}
		return got
	}
	// Both are drawn, and change nothing: gray images in gray.
	if diff := cmp.Diff(fill(Photo{}), fill(Photo{Grayscale: 1})); diff != "" {
		t.Error(diff)
	}
}

func TestPhotoValidate(t *testing.T) {
	for _, photo := range []Photo{{}, everything(1), {Crop: RandomResizedCrop{ScaleMin: 1, ScaleMax: 1, RatioMin: 1, RatioMax: 1}}} {
		if err := photo.Validate(); err != nil {
			t.Errorf("%+v: %v", photo, err)
		}
	}
	for text, photo := range map[string]Photo{
		"photo: horizontal_flip is 2, expected 0 to 1":                                                            {HorizontalFlip: 2},
		"photo: grayscale is NaN, expected 0 to 1":                                                                {Grayscale: math.NaN()},
		"random resized crop: scale_max is 1.5, expected above 0 and at most 1, or 0 in both for no crop":         {Crop: RandomResizedCrop{ScaleMin: 0.5, ScaleMax: 1.5}},
		"random resized crop: scale_min is 0.5 and scale_max 0.2, expected both above 0 and in this order":        {Crop: RandomResizedCrop{ScaleMin: 0.5, ScaleMax: 0.2}},
		"random resized crop: scale_min is 0 and scale_max 1":                                                     {Crop: RandomResizedCrop{ScaleMax: 1}},
		"random resized crop: ratio_min is 5000, expected above 0 and at most 1024, or 0 in both for 3/4 and 4/3": {Crop: RandomResizedCrop{ScaleMin: 0.5, ScaleMax: 1, RatioMin: 5000, RatioMax: 5000}},
		"color jitter: hue is 0.6, expected 0 to 0.5":                                                             {Jitter: ColorJitter{Hue: 0.6, Probability: 1}},
		"color jitter: brightness is -1, expected 0 to 255":                                                       {Jitter: ColorJitter{Brightness: -1, Probability: 1}},
		"color jitter: found the probability 0, with which it has no effect":                                      {Jitter: ColorJitter{Brightness: 1}},
		"Gaussian blur: kernel is 4, expected an odd number of 1 to 127, or 0 for a tenth of the image":           {Blur: GaussianBlur{Kernel: 4, Probability: 1}},
		"Gaussian blur: sigma_max is +Inf":                                                                        {Blur: GaussianBlur{SigmaMin: 1, SigmaMax: math.Inf(1), Probability: 1}},
		"Gaussian blur: found the probability 0":                                                                  {Blur: GaussianBlur{Kernel: 3}},
		"random erasing: scale_min is 0.5 and scale_max 0":                                                        {Erasing: RandomErasing{ScaleMin: 0.5, Probability: 1}},
		"random erasing: probability is -1, expected 0 to 1":                                                      {Erasing: RandomErasing{Probability: -1}},
		"random erasing: found the probability 0, with which it has no effect: set Probability, such as 0.5":      {Erasing: RandomErasing{ScaleMin: 0.1, ScaleMax: 0.2}},
		"random erasing: ratio_max is 1e+06, expected above 0 and at most 1024, or 0 in both for 0.3 and 3.3":     {Erasing: RandomErasing{RatioMin: 1, RatioMax: 1e6, Probability: 1}},
	} {
		err := Augmentation{Photo: photo}.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), text) {
			t.Errorf("found error %v, expected %s", err, text)
		}
	}
}

func BenchmarkFillPhoto(b *testing.B) {
	size := imaging.Size{Height: 224, Width: 224, Channels: 3}
	d, dst := colored(2, size), make([]float32, 2*size.Len())
	p := imaging.Preprocessing{Size: size, Mean: []float64{0.5, 0.5, 0.5}}
	images := larger{d, colored(2, imaging.Size{Height: 320, Width: 400, Channels: 3}), false}
	photo := everything(1)
	photo.Grayscale = 0
	for name, a := range map[string]Photo{
		"everything": photo, "crop": {Crop: photo.Crop}, "jitter": {Jitter: photo.Jitter}, "blur": {Blur: photo.Blur}, "nothing": {HorizontalFlip: 1e-9},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for step := 0; b.Loop(); step++ {
				if err := Fill(dst, images, []int{0, 1}, p, &Augmentation{Photo: a}, 1, step, ""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
