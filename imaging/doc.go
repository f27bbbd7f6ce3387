// Package imaging is about an image as a network sees it: a fixed number of
// rows, columns and channels, as bytes and then as normalised numbers.
//
// There are three nouns. A Size is the shape of a network's input. Decode turns
// a file into an image. A Preprocessing turns an image into the input of one
// particular network, and travels with the trained model, so that a model always
// sees new images exactly as it saw those it was trained on.
//
//	img, err := imaging.DecodeFile("digit.png")
//	pixels := preprocessing.Pixels(img)       // (height, width, channels), 0 to 255
//	preprocessing.Normalize(input, pixels)    // (v/255 − mean)/deviation
//
// # Files
//
// Formats lists what Decode reads, for the library, the command-line tool and the
// server alike; Find lists the images of folders, and counts what lies beside them. A
// picture is decoded as it is to be seen: turned as its EXIF orientation says. Errors
// about the content of a file are ErrUndecodable, and those of reading it are not.
//
// # Security
//
// An image of a few bytes may claim a size that fills the memory. Decode reads
// the header first and refuses an image of more than MaxPixels pixels, or one
// longer than MaxSide, before it allocates any of them.
package imaging
