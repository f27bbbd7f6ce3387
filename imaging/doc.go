// Package imaging reads image files and prepares images as the input of a network: a
// fixed number of rows, columns and channels, first as bytes and then as normalized
// numbers.
//
// Its main types and functions: A Size is the shape of a network's input. Decode reads an
// image file. A Preprocessing converts an image to the input of one particular network
// and is stored with the trained model, so that the model processes new images in the
// same way as its training images.
//
//	img, err := imaging.DecodeFile("digit.png")
//	pixels := preprocessing.Pixels(img)       // (height, width, channels), 0 to 255
//	preprocessing.Normalize(input, pixels)    // (v/255 − mean)/deviation
//
// # Files
//
// Formats lists the formats that Decode reads, which are the same in the library, the
// command-line tool and the server. Find lists the images of folders and counts the files
// that are not images. Decode rotates and mirrors an image according to its EXIF
// orientation. Errors about the content of a file are ErrUndecodable, and errors of
// reading it are not.
//
// # Security
//
// An image of a few bytes may claim a size that fills the memory. Decode reads the
// header first and validates the size before it allocates memory for the pixels: an
// image of more than MaxPixels pixels, or longer than MaxSide, is an error.
package imaging
