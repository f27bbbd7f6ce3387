package imaging

import (
	"image"
	"io"

	"golang.org/x/image/webp"
)

// decodeWebP decodes a WebP image. Lossy ones have brightness of 16 to 235 and colors
// of 16 to 240 (ITU-R BT.601, as RFC 6386, section 9.2, says), where image.YCbCr is
// JPEG's, of 0 to 255 in both: taken as such, white would be a light gray.
func decodeWebP(r io.Reader) (image.Image, error) {
	img, err := webp.Decode(r)
	if err != nil {
		return nil, err
	}
	switch img := img.(type) {
	case *image.YCbCr:
		result := image.NewRGBA(image.Rectangle{Max: img.Rect.Size()})
		fromStudioRange(result.Pix, img, nil, 0)
		return result, nil
	case *image.NYCbCrA:
		result := image.NewNRGBA(image.Rectangle{Max: img.Rect.Size()})
		fromStudioRange(result.Pix, &img.YCbCr, img.A, img.AStride)
		return result, nil
	}
	return img, nil
}

// fromStudioRange writes red, green, blue and alpha, by the integers of libwebp
// (src/dsp/yuv.h). Without alpha the image is opaque.
func fromStudioRange(pix []uint8, img *image.YCbCr, alpha []uint8, alphaStride int) {
	multiply := func(v uint8, by int) int { return int(v) * by >> 8 }
	clip := func(v int) uint8 { return uint8(min(max(v>>6, 0), 255)) }
	width, height := img.Rect.Dx(), img.Rect.Dy()
	for y := range height {
		for x := range width {
			at := img.COffset(img.Rect.Min.X+x, img.Rect.Min.Y+y)
			u, v := img.Cb[at], img.Cr[at]
			light := multiply(img.Y[y*img.YStride+x], 19077)
			to := pix[4*(y*width+x):][:4]
			to[0] = clip(light + multiply(v, 26149) - 14234)
			to[1] = clip(light - multiply(u, 6419) - multiply(v, 13320) + 8708)
			to[2] = clip(light + multiply(u, 33050) - 17685)
			if to[3] = 255; alpha != nil {
				to[3] = alpha[y*alphaStride+x]
			}
		}
	}
}
