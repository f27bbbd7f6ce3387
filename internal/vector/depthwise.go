package vector

// Depthwise is a part of a depthwise convolution, in which each channel has weights of its
// own:
//
//	Y[l·YLine+i·YPixel+c] = Initial[c] + Σ X[l·XLine+i·XStep+r·XRow+k·XPixel+c] · W[r·WRow+k·WTap+c]
//
// summed over the taps, r < Rows and k < Columns, for each line of results l < Lines, each
// result i < Count and each c < Channels. All of these numbers are at least 1, and no
// distance is negative.
//
// For the gradient of the weights, Y is that of the results, and the sum over all results is
// added to W:
//
//	W[r·WRow+k·WTap+c] += Σ X[l·XLine+i·XStep+r·XRow+k·XPixel+c] · Y[l·YLine+i·YPixel+c]
type Depthwise[T Float] struct {
	X, Y, W                    []T
	Initial                    []T // (Channels), or nil for zeros; not read for the gradient
	Lines, Count, Channels     int
	Rows, Columns              int // of the window
	XLine, XStep, XRow, XPixel int // XPixel is the distance from a pixel to the next, XStep that from a window to the next
	YLine, YPixel              int
	WRow, WTap                 int
	Clip                       Clip // of the results; not read for the gradient

	call depthwiseCall // part of the struct so that it is not allocated at each call
}

// Depthwise computes a part of a depthwise convolution.
func (Portable[T]) Depthwise(d *Depthwise[T]) {
	d.eachProduct(func(y, x, w []T, first bool) {
		switch {
		case !first:
		case d.Initial != nil:
			copy(y, d.Initial[:len(y)])
		default:
			clear(y)
		}
		addProducts(y, x, w)
	})
	d.clip(d.Channels)
}

// clip clips the first channels of all results.
func (d *Depthwise[T]) clip(channels int) {
	for line := 0; line < d.Lines && d.Clip != NoClip; line++ {
		for i := range d.Count {
			ApplyClip(d.Clip, d.Y[line*d.YLine+i*d.YPixel:][:channels])
		}
	}
}

// DepthwiseGradient adds a part of the gradient of the weights.
func (Portable[T]) DepthwiseGradient(d *Depthwise[T]) {
	d.eachProduct(func(y, x, w []T, _ bool) { addProducts(w, x, y) })
}

// eachProduct visits the channels of a result, a pixel and a tap that are multiplied; first
// is set for the first tap of a result.
func (d *Depthwise[T]) eachProduct(visit func(y, x, w []T, first bool)) {
	for line := range d.Lines {
		for i := range d.Count {
			y := d.Y[line*d.YLine+i*d.YPixel:][:d.Channels]
			x := d.X[line*d.XLine+i*d.XStep:]
			for r := range d.Rows {
				for k := range d.Columns {
					visit(y, x[r*d.XRow+k*d.XPixel:][:d.Channels], d.W[r*d.WRow+k*d.WTap:][:d.Channels], r+k == 0)
				}
			}
		}
	}
}

// addProducts adds to each element of sum the product of those of x and y.
func addProducts[T Float](sum, x, y []T) {
	x, y = x[:len(sum)], y[:len(sum)]
	for i, v := range x {
		sum[i] += v * y[i]
	}
}

// depthwiseTiles are the functions that compute results of a line next to each other, for
// some vectors of channels, by the step from a window to the next in pixels, the columns of
// the window and the number of results. Those for one result do not depend on the step.
type depthwiseTiles [3][depthwiseColumns + 1][depthwiseResults + 1]func(*depthwiseCall)

// The largest number of columns of a window, of which all weights of a row are in registers,
// and of results next to each other, which share these weights and the pixels between them.
const (
	depthwiseColumns = 7
	depthwiseResults = 8
)

// depthwiseCall is the argument of the assembly; the generator has the same offsets.
type depthwiseCall struct {
	x, y, w      *float32
	initial      *float32
	xRow         int // bytes, like the other distances
	xPixel       int
	yPixel       int
	initialPixel int // 0, or that of y
	wTap         int
	wSkip        int // from the end of a row of taps to the next
	xLine        int
	yLine        int
	initialLine  int // 0, or that of y
	rows         int
	vectors      int // of channels
	lines        int // counted down

	// Offsets of the present line, which begin at 0. The pointers stay as they are, because
	// they must not leave their arrays.
	xLineAt, yLineAt, initialLineAt int

	clip clipRange
}

// depthwiseBytes is about the size of the pixels and weights that are used at a time, so that
// they stay in the level 1 cache from one line to the next.
const depthwiseBytes = 24 << 10

// zeroChannels are the initial values of channels without a bias; no more channels than
// these are computed at a time.
var zeroChannels [1024]float32

// Depthwise computes a part of a depthwise convolution.
func (s *Set) Depthwise(d *Depthwise[float32]) {
	if rest, ok := s.runDepthwise(d, &s.depthwise, false); ok {
		if narrower := s.narrower(); narrower != nil {
			narrower.Depthwise(&rest)
		} else {
			s.Portable.Depthwise(&rest)
		}
	}
}

// DepthwiseGradient adds a part of the gradient of the weights.
func (s *Set) DepthwiseGradient(d *Depthwise[float32]) {
	if rest, ok := s.runDepthwise(d, &s.depthwiseGradient, true); ok {
		if narrower := s.narrower(); narrower != nil {
			narrower.DepthwiseGradient(&rest)
		} else {
			s.Portable.DepthwiseGradient(&rest)
		}
	}
}

// runDepthwise computes all whole vectors of channels. It returns what is left, and whether
// there is anything.
func (s *Set) runDepthwise(d *Depthwise[float32], tiles *depthwiseTiles, gradient bool) (rest Depthwise[float32], ok bool) {
	_ = d.X[(d.Lines-1)*d.XLine+(d.Count-1)*d.XStep+(d.Rows-1)*d.XRow+(d.Columns-1)*d.XPixel+d.Channels-1]
	_ = d.Y[(d.Lines-1)*d.YLine+(d.Count-1)*d.YPixel+d.Channels-1]
	_ = d.W[(d.Rows-1)*d.WRow+(d.Columns-1)*d.WTap+d.Channels-1]
	if d.Initial != nil && !gradient {
		_ = d.Initial[d.Channels-1]
	}
	vectors := d.Channels / s.lanes
	chunks := (vectors + s.depthwiseVectors(d) - 1) / s.depthwiseVectors(d)
	for chunk := range chunks {
		first := chunk * vectors / chunks
		d.call.vectors = (chunk+1)*vectors/chunks - first
		for left := 0; left < d.Columns; left += depthwiseColumns {
			s.depthwiseChunk(d, tiles, first*s.lanes, left, gradient)
		}
	}
	done := vectors * s.lanes
	if !clipsInAssembly && !gradient {
		d.clip(done)
	}
	if done == d.Channels {
		return rest, false
	}
	rest = *d
	rest.X, rest.Y, rest.W, rest.Channels = d.X[done:], d.Y[done:], d.W[done:], d.Channels-done
	if d.Initial != nil {
		rest.Initial = d.Initial[done:]
	}
	return rest, true
}

// depthwiseVectors returns the number of vectors of channels that are computed at a time.
func (s *Set) depthwiseVectors(d *Depthwise[float32]) int {
	vectors := len(zeroChannels) / s.lanes
	if d.Lines > 1 { // which share pixels
		pixels := d.Rows * (min(d.Count, depthwiseResults)*d.XStep/d.XPixel + 2*d.Columns)
		vectors = max(1, min(vectors, depthwiseBytes/(4*s.lanes*pixels)))
	}
	return vectors
}

// depthwiseTileFor returns how many of the given number of results the next tile computes: tiles of
// 7 and 8 results if these compute all of them, since fewer results wait for each other's sums.
func depthwiseTileFor(results int) int {
	for sevens := 0; 7*sevens <= results; sevens++ {
		if (results-7*sevens)%8 == 0 {
			if sevens > 0 {
				return 7
			}
			return 8
		}
	}
	for _, tile := range []int{8, 4, 2} {
		if tile <= results {
			return tile
		}
	}
	return 1
}

// depthwiseChunk computes some vectors of channels, from the given channel, for up to
// depthwiseColumns columns of the window, from the given one.
func (s *Set) depthwiseChunk(d *Depthwise[float32], tiles *depthwiseTiles, channel, left int, gradient bool) {
	columns := min(d.Columns-left, depthwiseColumns)
	step := 0
	if d.XStep == d.XPixel || d.XStep == 2*d.XPixel {
		step = d.XStep / d.XPixel
	}
	call := &d.call
	call.xRow, call.xPixel, call.xLine = 4*d.XRow, 4*d.XPixel, 4*d.XLine
	call.yPixel, call.yLine = 4*d.YPixel, 4*d.YLine
	call.wTap, call.wSkip, call.rows = 4*d.WTap, 4*(d.WRow-columns*d.WTap), d.Rows
	call.initialPixel, call.initialLine, call.clip = 0, 0, NoClip.around()
	if left+columns == d.Columns { // the sums are complete
		call.clip = d.Clip.around()
	}
	if left > 0 {
		call.initialPixel, call.initialLine = call.yPixel, call.yLine
	}
	for first := 0; first < d.Count; {
		results := depthwiseTileFor(d.Count - first)
		if tiles[step][columns][results] == nil {
			results = 1
		}
		tile := tiles[step][columns][results]
		if results == 1 {
			tile = tiles[1][columns][1]
		}
		call.x = &d.X[first*d.XStep+left*d.XPixel+channel]
		call.y = &d.Y[first*d.YPixel+channel]
		call.w = &d.W[left*d.WTap+channel]
		call.lines, call.xLineAt, call.yLineAt, call.initialLineAt = d.Lines, 0, 0, 0
		switch {
		case gradient:
		case left > 0:
			call.initial = call.y
		case d.Initial != nil:
			call.initial = &d.Initial[channel]
		default:
			call.initial = &zeroChannels[0]
		}
		tile(call)
		first += results
	}
}
