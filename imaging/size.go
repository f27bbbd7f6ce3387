package imaging

import (
	"fmt"

	"github.com/pkg/errors"
)

// Size is the shape of a network's input: height × width pixels of one channel
// (grey) or three (red, green, blue).
type Size struct {
	Height   int `toml:"height" json:"height"`
	Width    int `toml:"width" json:"width"`
	Channels int `toml:"channels" json:"channels"`
}

// Len is the number of values of one image, height × width × channels.
func (s Size) Len() int { return s.Height * s.Width * s.Channels }

// String writes the size as height x width x channels, such as "28x28x1".
func (s Size) String() string { return fmt.Sprintf("%dx%dx%d", s.Height, s.Width, s.Channels) }

// Validate reports what is wrong with a size: it has at least one pixel, at
// most MaxPixels, and one or three channels.
func (s Size) Validate() error {
	if err := checkPixels(s.Width, s.Height); err != nil {
		return errors.Wrapf(err, "size %v", s)
	}
	if s.Channels != 1 && s.Channels != 3 {
		return errors.Errorf("size %v: found %d channels, expected 1 (grey) or 3 (colour)", s, s.Channels)
	}
	return nil
}
