// Package gallery recognises classes from one or a few examples of each, and
// says when an image is of none of them.
//
// There are few nouns. A Gallery is one file of known examples, the embeddings
// of a Model by class. An Example is an image that was enrolled: where it came
// from and when. Identify answers with Candidates, the nearest classes; Verify
// says whether an image is of the class that it claims. Both decide by a
// threshold, which Calibrate finds for a rate of false accepts that the user
// names.
//
//	faces, err := gallery.Create("faces.gallery", model, gallery.Options{})
//	err = faces.EnrollFiles(ctx, "alice", "alice.jpg")
//	found, err := faces.Identify(photo, 3) // found.Class() is "" for somebody unknown
//
// # What is promised
//
// An enrolment that returned is on the disk, whatever happens to the process
// afterwards, and one that did not is not there at all. One process has a
// gallery open to change it, or several to read it; another one gets ErrLocked.
// Embeddings of two models do not mix: opening with another model than the one
// that the gallery was created with is ErrModel. A Gallery may be used by many
// goroutines at once. Of several processes that call OpenOrCreate for the same new
// gallery one creates it and the others wait and open it.
//
// The name of a new class cannot forge a line of a list or stand for another name; see
// CheckClassName. Paths are bytes, whether they are UTF-8 or not.
//
// # Rates
//
// A false accept rate is that of one comparison, an image with one example of
// another class. Whom Identify does not know is compared with all: among C
// examples up to C times that rate is accepted as somebody. Choose the rate
// accordingly, and calibrate on classes that the network has not seen: of those
// it was trained on it thinks better than of all others.
//
// # Search
//
// All examples are held in memory and searched exactly; see package index. From
// Options.IndexFrom examples on Index can make answers approximate and faster,
// and Identification says so.
package gallery
