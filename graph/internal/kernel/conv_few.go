package kernel

// A block on one or a few small images has no spans for all threads. In
// evaluation the work is then divided by filters, too, and the whole result of
// the convolution is computed before it is normalised, activated and pooled.
const (
	fewImages   = 4       // up to which images are few
	fewSpans    = 8       // up to which spans are
	fewTiles    = 4       // from which Winograd's algorithm pays, with all threads at one
	fewPanels   = 2       // of filters, or more
	fewPixels   = 48      // of a convolution that are worth a thread's while
	fewElements = 8 << 10 // of its result that are
)

// few says whether a block of so many spans is one of few images.
func (s BlockShape) few(spans int) bool {
	return s.Evaluation && s.Norm != BatchStatistics && s.Conv.Batch <= fewImages && spans < fewSpans
}

// together is Forward for a few images.
func (k *Block[T]) together(y, x []T, w BlockWeights[T]) {
	pool := k.shape.pool()
	grow(&k.convolved, pool.Batch*pool.input())
	k.conv.together(k.convolved, x, w.Bias)
	Parallel(len(k.spans), func(i int) {
		work := borrow[T]()
		defer work.giveBack()
		rows := k.rows(k.spans[i])
		k.finish(work, y, k.convolved[(rows.image*pool.Height+rows.top)*pool.Width*pool.Channels:], k.spans[i], w)
	})
}

// newFewConv returns a convolution for together.
func newFewConv[T Float](s ConvShape) *Conv[T] {
	c := newConv[T](s, fewTiles)
	c.forward.least = fewPanels
	if c.minimal != nil {
		return c
	}
	c.input.images = 1
	height, width := s.Output()
	c.windows = c.input.windows(height, width, s.Stride)
	c.results = halo{images: 1, height: height, width: width, channels: s.Filters}.pixels()
	return c
}

// together writes y with all threads at each image; the weights are packed.
func (c *Conv[T]) together(y, x, bias []T) {
	s := c.shape
	height, width := s.Output()
	if c.minimal != nil {
		h := c.input
		h.images = s.Batch
		c.minimal.together(single(y), single(c.bordered(h, x)), single(bias), h)
		return
	}
	bands := min(max(1, height*width/fewPixels), units, height)
	panels := c.forward.panels
	Parallel(s.Batch*bands*panels, func(i int) {
		image, band := i/panels/bands, i/panels%bands
		part := span{
			image: image, images: 1, top: band * height / bands, bottom: (band + 1) * height / bands,
			panel: i % panels, panels: 1,
		}
		w := borrow[T]()
		defer w.giveBack()
		c.convolve(w, y[(image*height+part.top)*width*s.Filters:], x, bias, part)
	})
}

// bordered returns the images with their border.
func (c *Conv[T]) bordered(h halo, x []T) []T {
	if h == h.bare() {
		return x
	}
	to := grow(&c.border, h.size())
	bands := min(units, max(1, h.rows()/8))
	Parallel(bands, func(i int) { fillHalo(h, to, x, i*h.rows()/bands, (i+1)*h.rows()/bands) })
	return to
}
