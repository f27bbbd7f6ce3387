package kernel

// span is a unit of work of a layer: some images, or some rows of one.
type span struct {
	image, images int
	top, bottom   int // rows of the result
}

// spanElements is about how many elements of a layer's result are worked on at a
// time, so that they stay in the level 2 cache, and spanPixels how many rows
// of a product are worth their while.
const (
	spanElements = 64 << 10
	spanPixels   = 96
)

// spansOf divides a batch of results of so many rows, each of so many elements
// and pixels, into spans, by shape alone: groups of images, or where an image
// is large or images are few, bands of rows.
func spansOf(batch, group, rows, elements, pixels int) []span {
	bands := 1
	if group == 1 {
		bands = min(max(rows*elements/spanElements, ceilDiv(units, batch)), max(1, rows*pixels/spanPixels), rows)
	}
	spans := make([]span, 0, ceilDiv(batch, group)*bands)
	for image := 0; image < batch; image += group {
		spans = append(spans, bandsOf(image, min(group, batch-image), rows, max(1, bands))...)
	}
	return spans
}

// bandsOf divides the rows of some images.
func bandsOf(image, images, rows, bands int) []span {
	spans := make([]span, bands)
	for band := range spans {
		spans[band] = span{image: image, images: images, top: band * rows / bands, bottom: (band + 1) * rows / bands}
	}
	return spans
}
