package datasets

// Kind is the kind of examples that a loss compares and that a Sampler draws.
type Kind int

const (
	Pairs    Kind = iota // two images, and whether their classes differ
	Triplets             // an anchor, a positive of its class and a negative of another class
	Labeled              // images with the numbers of their classes
	Views                // two augmented views of one image, without labels
)

// String names the kind.
func (k Kind) String() string {
	switch k {
	case Pairs:
		return "pairs"
	case Triplets:
		return "triplets"
	case Labeled:
		return "labeled images"
	case Views:
		return "views of images"
	}
	return "an unknown kind of examples"
}

// Towers is the number of images in one example, each of which is embedded by a
// tower of its own: 2 for pairs and for views, 3 for triplets and 1 for labeled images. It is 0
// for any other value.
func (k Kind) Towers() int {
	switch k {
	case Pairs, Views:
		return 2
	case Triplets:
		return 3
	case Labeled:
		return 1
	}
	return 0
}
