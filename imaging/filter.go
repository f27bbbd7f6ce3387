package imaging

import (
	"image"
	"math"
	"slices"
	"sync"

	"github.com/pkg/errors"
)

// MaxBlurKernel is the largest kernel of GaussianBlur.
const MaxBlurKernel = 127

// FlipHorizontal mirrors an image of the given size in place: left becomes right. It is an error
// if the size is not valid or the length of pixels is not that of the size.
func FlipHorizontal(pixels []uint8, size Size) error {
	if err := checkLength("flip", pixels, size); err != nil {
		return err
	}
	channels, length := size.Channels, size.Width*size.Channels
	for ; len(pixels) > 0; pixels = pixels[length:] {
		if channels == 1 {
			slices.Reverse(pixels[:length])
			continue
		}
		for left, right := 0, length-3; left < right; left, right = left+3, right-3 {
			a, b := pixels[left:left+3:left+3], pixels[right:right+3:right+3]
			a[0], a[1], a[2], b[0], b[1], b[2] = b[0], b[1], b[2], a[0], a[1], a[2]
		}
	}
	return nil
}

// ResizedCrop writes to dst, an image of size to, the pixels of src, an image of size from, within
// the rectangle crop, resized bilinearly; where it shrinks, the kernel is widened, which avoids
// aliasing. It is resized_crop of torchvision.transforms.v2.functional with its default
// interpolation and antialiasing, within one level. Pixels outside the rectangle have no
// influence. It is an error if a size is not valid, the sizes differ in their channels, a length
// is not that of its size, or the rectangle is empty or not inside src; then dst is unchanged. dst
// and src must not overlap.
func ResizedCrop(dst []uint8, to Size, src []uint8, from Size, crop image.Rectangle) error {
	if err := checkLength("resized crop: target", dst, to); err != nil {
		return err
	}
	if err := checkLength("resized crop: source", src, from); err != nil {
		return err
	}
	if to.Channels != from.Channels {
		return errors.Errorf("resized crop: found a source of size %v and a target of size %v, expected the same number of channels", from, to)
	}
	if crop.Empty() || !crop.In(image.Rect(0, 0, from.Width, from.Height)) {
		return errors.Errorf("resized crop: found the rectangle %v, expected one inside the image of size %v", crop, from)
	}
	columns, rows := takeFilter(), takeFilter()
	defer filters.Put(columns)
	defer filters.Put(rows)
	columns.triangle(crop.Dx(), to.Width)
	rows.triangle(crop.Dy(), to.Height)
	lines := takeWords(crop.Dx() + crop.Dy()*to.Width + to.Width)
	defer words.Put(lines)
	line, rest := (*lines)[:crop.Dx()], (*lines)[crop.Dx():]
	narrow, sums := rest[:crop.Dy()*to.Width], rest[crop.Dy()*to.Width:]
	for y := range crop.Dy() {
		pack(line, src[((crop.Min.Y+y)*from.Width+crop.Min.X)*from.Channels:], from.Channels)
		target := narrow[y*to.Width:][:to.Width]
		for x := range target {
			first, weights := columns.of(x)
			pixels := line[first:][:len(weights)]
			sum := uint64(halfLanes)
			for i, weight := range weights {
				sum += weight * pixels[i]
			}
			target[x] = sum >> weightBits & lanes
		}
	}
	for y := range to.Height {
		first, weights := rows.of(y)
		fill(sums, halfLanes)
		for i, weight := range weights {
			addScaled(sums, narrow[(first+i)*to.Width:], weight)
		}
		unpack(dst[y*to.Width*to.Channels:], sums, to.Channels)
	}
	return nil
}

// GaussianBlur blurs an image of the given size in place by a Gaussian of standard deviation
// sigma in pixels, of which kernel pixels along each axis are used, an odd number of at most
// MaxBlurKernel. Outside its edges the image is reflected. It is gaussian_blur of
// torchvision.transforms.v2.functional, within one level. It is an error if the kernel or sigma,
// which must be positive and finite, are out of range, the size is not valid or the length of
// pixels is not that of the size; then nothing is changed.
func GaussianBlur(pixels []uint8, size Size, kernel int, sigma float64) error {
	if kernel < 1 || kernel > MaxBlurKernel || kernel%2 == 0 {
		return errors.Errorf("Gaussian blur: found a kernel of %d pixels, expected an odd number of 1 to %d", kernel, MaxBlurKernel)
	}
	if !(sigma > 0) || math.IsInf(sigma, 0) {
		return errors.Errorf("Gaussian blur: found the standard deviation %v, expected a positive finite number", sigma)
	}
	if err := checkLength("Gaussian blur", pixels, size); err != nil {
		return err
	}
	weights := gaussian(kernel, sigma) // of the center and of the pixels on each side
	reach := len(weights) - 1
	if reach == 0 {
		return nil
	}
	height, width, channels := size.Height, size.Width, size.Channels
	memory := takeWords(2*reach + width + height*width + width)
	defer words.Put(memory)
	padded, rest := (*memory)[:2*reach+width], (*memory)[2*reach+width:]
	rows, sums := rest[:height*width], rest[height*width:]
	for y := range height {
		pack(padded[reach:][:width], pixels[y*width*channels:], channels)
		for i := 1; i <= reach; i++ {
			padded[reach-i] = padded[reach+reflect(-i, width)]
			padded[reach+width-1+i] = padded[reach+reflect(width-1+i, width)]
		}
		target := rows[y*width:][:width]
		scale(target, padded[reach:], weights[0])
		for i, weight := range weights[1:] {
			addPairs(target, padded[reach-1-i:], padded[reach+1+i:], weight)
		}
		for x, sum := range target {
			target[x] = sum >> weightBits & lanes
		}
	}
	for y := range height {
		row := func(y int) []uint64 { return rows[reflect(y, height)*width:] }
		scale(sums, row(y), weights[0])
		for i, weight := range weights[1:] {
			addPairs(sums, row(y-1-i), row(y+1+i), weight)
		}
		unpack(pixels[y*width*channels:], sums, channels)
	}
	return nil
}

// gaussian returns the weights of a Gaussian, in units of 1/2^weightBits: that of the center, and
// those of the pixels at the distances 1, 2, … on each side as far as they are not 0.
func gaussian(kernel int, sigma float64) []uint64 {
	weights := make([]float64, kernel/2+1)
	total := 0.0
	for i := range weights {
		weights[i] = math.Exp(-0.5 * (float64(i) / sigma) * (float64(i) / sigma))
		total += weights[i]
		if i > 0 {
			total += weights[i]
		}
	}
	// Each boundary between two weights is rounded, so that the error of their sum does not grow.
	sum, before := 0.0, uint64(0)
	quantized := make([]uint64, 1, len(weights))
	for _, weight := range weights[1:] {
		sum += weight / total
		after := uint64(float64(sum*(1<<weightBits)) + 0.5)
		quantized = append(quantized, after-before)
		before = after
	}
	quantized[0] = 1<<weightBits - 2*before
	for quantized[len(quantized)-1] == 0 {
		quantized = quantized[:len(quantized)-1]
	}
	return quantized
}

// reflect returns the pixel of a line of a length that stands at a position outside it, without
// repeating the pixels at its ends: -1 is 1.
func reflect(at, length int) int {
	if length == 1 {
		return 0
	}
	for at < 0 || at >= length {
		if at < 0 {
			at = -at
		} else {
			at = 2*(length-1) - at
		}
	}
	return at
}

// The three channels of a pixel are three lanes of 21 bits of a 64-bit word, of which a weighted
// sum takes one multiplication for each pixel. Weights are multiples of 1/2^13 whose sum is 1, so
// that no lane exceeds its 21 bits: 255·2^13 + 2^12 < 2^21.
const (
	weightBits = 13
	laneBits   = 21
	lanes      = 0xff | 0xff<<laneBits | 0xff<<(2*laneBits)
	halfLanes  = (1 | 1<<laneBits | 1<<(2*laneBits)) << (weightBits - 1) // 1/2 in each lane, to round
)

// pack reads as many pixels as dst has. A gray pixel uses one lane.
func pack(dst []uint64, src []uint8, channels int) {
	if channels == 1 {
		for i, v := range src[:len(dst)] {
			dst[i] = uint64(v)
		}
		return
	}
	src = src[:3*len(dst)]
	for i := range dst {
		pixel := src[3*i : 3*i+3 : 3*i+3]
		dst[i] = uint64(pixel[0]) | uint64(pixel[1])<<laneBits | uint64(pixel[2])<<(2*laneBits)
	}
}

// unpack writes the pixels of which src has the weighted sums.
func unpack(dst []uint8, src []uint64, channels int) {
	if channels == 1 {
		dst = dst[:len(src)]
		for i, sum := range src {
			dst[i] = uint8(sum >> weightBits)
		}
		return
	}
	dst = dst[:3*len(src)]
	for i, sum := range src {
		pixel := dst[3*i : 3*i+3 : 3*i+3]
		pixel[0] = uint8(sum >> weightBits)
		pixel[1] = uint8(sum >> (weightBits + laneBits))
		pixel[2] = uint8(sum >> (weightBits + 2*laneBits))
	}
}

func fill(dst []uint64, value uint64) {
	for i := range dst {
		dst[i] = value
	}
}

// scale begins weighted sums: one half, and the weighted pixels.
func scale(dst, src []uint64, weight uint64) {
	src = src[:len(dst)]
	for i, v := range src {
		dst[i] = halfLanes + weight*v
	}
}

func addScaled(dst, src []uint64, weight uint64) {
	src = src[:len(dst)]
	for i, v := range src {
		dst[i] += weight * v
	}
}

// addPairs adds the pixels on both sides of the center of a symmetric kernel.
func addPairs(dst, a, b []uint64, weight uint64) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i, v := range a {
		dst[i] += weight * (v + b[i])
	}
}

// filter has, for each target pixel, the weights of source pixels from first on.
type filter struct {
	first, begin []int // begin: of its weights in the list of all; one more than there are pixels
	weights      []uint64
}

func (f *filter) of(target int) (first int, weights []uint64) {
	return f.first[target], f.weights[f.begin[target]:f.begin[target+1]]
}

// triangle is the filter of bilinear interpolation, as wide as a target pixel where it shrinks.
func (f *filter) triangle(sources, targets int) {
	f.first, f.begin, f.weights = f.first[:0], append(f.begin[:0], 0), f.weights[:0]
	step := float64(sources) / float64(targets)
	reach := max(step, 1)
	for t := range targets {
		center := float64(step * (float64(t) + 0.5)) // rounded, and not fused with the sums
		first, last := max(int(center-reach+0.5), 0), min(int(center+reach+0.5), sources)
		weight := func(source int) float64 { return max(0, 1-math.Abs(float64(source)+0.5-center)/reach) }
		total := 0.0
		for s := first; s < last; s++ {
			total += weight(s)
		}
		// Each boundary between two weights is rounded, so that their sum is exactly 1.
		sum, before := 0.0, uint64(0)
		for s := first; s < last; s++ {
			sum += weight(s)
			after := uint64(float64(sum/total*(1<<weightBits)) + 0.5)
			if s == last-1 {
				after = 1 << weightBits
			}
			f.weights = append(f.weights, after-before)
			before = after
		}
		f.first, f.begin = append(f.first, first), append(f.begin, len(f.weights))
	}
}

// Memory that is used again for the next image.
var words, filters sync.Pool

func takeWords(length int) *[]uint64 {
	if memory, ok := words.Get().(*[]uint64); ok && cap(*memory) >= length {
		*memory = (*memory)[:length]
		return memory
	}
	memory := make([]uint64, length)
	return &memory
}

func takeFilter() *filter {
	if f, ok := filters.Get().(*filter); ok {
		return f
	}
	return &filter{}
}
