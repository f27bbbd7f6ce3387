package imaging

import (
	"math"

	"github.com/pkg/errors"
)

// The functions of this file change the colors of an image in place. pixels are (height, width,
// channels) bytes of the given size. Their results are those of the functions of the same name in
// torchvision.transforms.v2.functional on tensors of type uint8, which cut off fractions; a value
// that lies between two levels within the error of float32 may differ by one level. On gray
// images, brightness and contrast have an effect and the others have none. It is an error if a
// factor is outside its range, the size is not valid or the length of pixels is not that of the
// size; then nothing is changed.

// AdjustBrightness multiplies an image by a factor of 0, black, or more.
func AdjustBrightness(pixels []uint8, size Size, factor float64) error {
	if err := checkFactor("brightness", pixels, size, factor); err != nil {
		return err
	}
	blend(pixels, 0, factor)
	return nil
}

// AdjustContrast moves every value away from the mean gray level of the image, for a factor above
// 1, or toward it: v becomes mean + factor·(v − mean). The factor 0 leaves the mean.
func AdjustContrast(pixels []uint8, size Size, factor float64) error {
	if err := checkFactor("contrast", pixels, size, factor); err != nil {
		return err
	}
	var sum uint64
	if size.Channels == 1 {
		for _, v := range pixels {
			sum += uint64(v)
		}
	} else {
		for i := 0; i+2 < len(pixels); i += 3 {
			sum += uint64(luma(pixels[i], pixels[i+1], pixels[i+2]))
		}
	}
	blend(pixels, float32(float64(sum)/float64(size.Height*size.Width)), factor)
	return nil
}

// AdjustSaturation moves every value away from the gray level of its pixel, for a factor above 1,
// or toward it: v becomes gray + factor·(v − gray). The factor 0 leaves gray.
func AdjustSaturation(pixels []uint8, size Size, factor float64) error {
	if err := checkFactor("saturation", pixels, size, factor); err != nil {
		return err
	}
	if size.Channels == 1 {
		return nil
	}
	var own, grays [256]float32
	for v := range own {
		own[v], grays[v] = float32(v)*float32(factor), float32(v)*float32(1-factor)
	}
	for i := 0; i+2 < len(pixels); i += 3 {
		pixel := pixels[i : i+3 : i+3]
		gray := grays[luma(pixel[0], pixel[1], pixel[2])]
		pixel[0] = level(own[pixel[0]] + gray)
		pixel[1] = level(own[pixel[1]] + gray)
		pixel[2] = level(own[pixel[2]] + gray)
	}
	return nil
}

// AdjustHue adds a shift from −0.5 to 0.5 to the hue of the HSV color space, where 1 is the whole
// color circle.
func AdjustHue(pixels []uint8, size Size, shift float64) error {
	if !(shift >= -0.5 && shift <= 0.5) {
		return errors.Errorf("adjust hue: found the shift %v, expected -0.5 to 0.5", shift)
	}
	if err := checkLength("adjust hue", pixels, size); err != nil {
		return err
	}
	if size.Channels == 1 {
		return nil
	}
	// A hue is a position on a circle of six sectors. In each the largest and the smallest of red,
	// green and blue stay, and the one between them rises or falls with the position. In units of
	// 1/(largest − smallest) of a sector, no division is necessary.
	const one = 1 << 16
	if shift < 0 {
		shift++
	}
	turn := int(math.Round(shift * 6 * one))
	sectors, fraction := turn/one, turn%one
	for i := 0; i+2 < len(pixels); i += 3 {
		pixel := pixels[i : i+3 : i+3]
		r, g, b := int(pixel[0]), int(pixel[1]), int(pixel[2])
		high, low := max(r, g, b), min(r, g, b)
		chroma := high - low
		if chroma == 0 {
			continue
		}
		var sector, rest int // the hue, before the shift
		switch high {
		case r:
			rest = g - b
		case g:
			sector, rest = 2, b-r
		default:
			sector, rest = 4, r-g
		}
		if rest < 0 {
			sector, rest = sector+5, rest+chroma
		}
		rest = rest*one + fraction*chroma
		sector += sectors
		if rest >= chroma*one {
			sector, rest = sector+1, rest-chroma*one
		}
		if sector&1 == 1 {
			rest = chroma*one - rest
		}
		// torchvision multiplies values of 0 to 1 by 256 − 0.001 and cuts off the fraction.
		middle := uint8(float32(low*one+rest) * float32(255.999/255/one))
		values := [3]uint8{uint8(low), middle, uint8(high)}
		order := &hueOrders[sector]
		pixel[0], pixel[1], pixel[2] = values[order[0]], values[order[1]], values[order[2]]
	}
	return nil
}

// hueOrders has, for each sector of the color circle, three times in a row because sectors are
// added, which of red, green and blue is the smallest (0), between (1) and the largest (2).
var hueOrders = [18][3]uint8{
	{2, 1, 0}, {1, 2, 0}, {0, 2, 1}, {0, 1, 2}, {1, 0, 2}, {2, 0, 1},
	{2, 1, 0}, {1, 2, 0}, {0, 2, 1}, {0, 1, 2}, {1, 0, 2}, {2, 0, 1},
	{2, 1, 0}, {1, 2, 0}, {0, 2, 1}, {0, 1, 2}, {1, 0, 2}, {2, 0, 1},
}

// Grayscale gives the three channels of each pixel its gray level, the luma of ITU-R BT.601.
func Grayscale(pixels []uint8, size Size) error {
	if err := checkLength("grayscale", pixels, size); err != nil {
		return err
	}
	if size.Channels == 1 {
		return nil
	}
	for i := 0; i+2 < len(pixels); i += 3 {
		gray := luma(pixels[i], pixels[i+1], pixels[i+2])
		pixels[i], pixels[i+1], pixels[i+2] = gray, gray, gray
	}
	return nil
}

// luma is 0.2989·r + 0.587·g + 0.114·b without its fraction, as in torchvision. The factor of red
// is rounded there so that white becomes 254.
func luma(r, g, b uint8) uint8 {
	// Multiples of 1/2^24 that are rounded up, so that no whole number is missed.
	return uint8((5014710*uint32(r) + 9848226*uint32(g) + 1912603*uint32(b)) >> 24)
}

// blend replaces each value v by factor·v + (1 − factor)·other, within 0 to 255.
func blend(pixels []uint8, other float32, factor float64) {
	var table [256]uint8
	// The conversions keep a product from being fused with the sum, so that all processors agree.
	rest := float32(float32(1-factor) * other)
	for v := range table {
		table[v] = level(float32(float32(v)*float32(factor)) + rest)
	}
	for i, v := range pixels {
		pixels[i] = table[v]
	}
}

// level is a value within 0 to 255, without its fraction.
func level(v float32) uint8 {
	whole := int32(v)
	if uint32(whole) > 255 {
		return uint8(^(whole >> 31)) // 0 below 0, and otherwise 255
	}
	return uint8(whole)
}

// maxFactor bounds the factors of colors: from there on, every value is 0 or 255.
const maxFactor = 1 << 16

func checkFactor(name string, pixels []uint8, size Size, factor float64) error {
	if !(factor >= 0 && factor <= maxFactor) {
		return errors.Errorf("adjust %s: found the factor %v, expected 0 to %d", name, factor, maxFactor)
	}
	return checkLength("adjust "+name, pixels, size)
}

func checkLength(operation string, pixels []uint8, size Size) error {
	if err := size.Validate(); err != nil {
		return errors.Wrap(err, operation)
	}
	if len(pixels) != size.Len() {
		return errors.Errorf("%s: found %d values, expected %d of size %v", operation, len(pixels), size.Len(), size)
	}
	return nil
}
