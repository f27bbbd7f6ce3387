package imaging

import "image"

// Image is the picture of (height, width, channels) bytes of the size, as
// Preprocessing.Pixels gives them; a grey one shares their memory. It is nil where the
// size is not valid or there are fewer bytes than it has.
func (s Size) Image(pixels []uint8) image.Image {
	if s.Validate() != nil || len(pixels) < s.Len() {
		return nil
	}
	bounds := image.Rect(0, 0, s.Width, s.Height)
	if s.Channels == 1 {
		return &image.Gray{Pix: pixels, Stride: s.Width, Rect: bounds}
	}
	colours := image.NewNRGBA(bounds)
	for i := range s.Height * s.Width {
		copy(colours.Pix[4*i:], pixels[3*i:3*i+3])
		colours.Pix[4*i+3] = 255
	}
	return colours
}
