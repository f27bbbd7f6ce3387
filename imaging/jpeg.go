package imaging

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/jpeg"
	"io"
	"math"
)

// denominator returns the largest of 8, 4, 2 and 1 by which both sides of a JPEG image can
// be divided with Size, or ShorterSide along both sides, still no larger.
func (p Preprocessing) denominator(own Size) int {
	if !p.ScaledJPEG {
		return 1
	}
	width, height := p.Size.Width, p.Size.Height
	if p.ShorterSide > 0 {
		width, height = p.ShorterSide, p.ShorterSide
	}
	for denominator := 8; denominator > 1; denominator /= 2 {
		if own.Width >= denominator*width && own.Height >= denominator*height {
			return denominator
		}
	}
	return 1
}

// decodeJPEG decodes a JPEG file at 1/denominator of its size, denominator being 2, 4 or 8,
// rounded up, if it is a baseline file as cameras write it, and at its whole size otherwise.
func decodeJPEG(r io.Reader, denominator int) (image.Image, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	if img := scaledJPEG(data, 8/denominator); img != nil {
		return img, nil
	}
	return jpeg.Decode(bytes.NewReader(data))
}

// reduced is the length of a side at 1/denominator, rounded up.
func reduced(length, denominator int) int { return (length + denominator - 1) / denominator }

// jpegFile is a baseline JPEG file (ITU-T T.81, annexes B and F) that is being decoded.
type jpegFile struct {
	data          []byte // what is left of it
	points        int    // pixels along each side of a block of the brightness
	width, height int
	across, down  int // number of MCUs
	restart       int // number of MCUs between restart markers, 0 for none
	quantizers    [4]*[64]int32
	tables        [2][4]*huffman // of DC and of AC coefficients
	components    []jpegComponent
}

// jpegComponent is the brightness or one of the two color differences.
type jpegComponent struct {
	id         byte
	h, v       int // sampling factors
	quantizers *[64]int32
	dc, ac     *huffman
	previous   int32 // DC coefficient of the block before
	points     int   // pixels of a decoded block along each side: 1, 2, 4 or 8
	plane      []uint8
	stride     int
}

// scaledJPEG decodes blocks of 8 × 8 pixels as blocks of points × points pixels, by the
// inverse transform of so many coefficients. Color differences keep as many of their pixels
// as the result has room for. It returns nil for a file that is not what it expects, which
// may be valid (progressive, of several scans, CMYK) or not: image/jpeg then decides.
func scaledJPEG(data []byte, points int) image.Image {
	f := &jpegFile{data: data, points: points}
	if len(data) < 2 {
		return nil
	}
	for f.data = data[2:]; len(f.data) >= 4 && f.data[0] == 0xff; {
		marker, end := f.data[1], 2+int(binary.BigEndian.Uint16(f.data[2:]))
		if end < 4 || end > len(f.data) {
			return nil
		}
		segment := f.data[4:end]
		f.data = f.data[end:]
		ok := true
		switch {
		case marker == 0xda:
			if !f.scan(segment) {
				return nil
			}
			return f.image()
		case marker == 0xc0 || marker == 0xc1:
			ok = f.frame(segment)
		case marker == 0xc4:
			ok = f.readTables(segment)
		case marker == 0xdb:
			ok = f.readQuantizers(segment)
		case marker == 0xdd:
			if ok = len(segment) == 2; ok {
				f.restart = int(binary.BigEndian.Uint16(segment))
			}
		case marker == 0xee: // Adobe's says whether components are colors or differences
			ok = len(segment) < 12 || string(segment[:5]) != "Adobe" || segment[11] == 1
		default:
			ok = marker >= 0xe0 && marker <= 0xef || marker == 0xfe
		}
		if !ok {
			return nil
		}
	}
	return nil
}

// frame reads the size and the sampling factors. The brightness may have two pixels for
// one of the color differences along the width, or along both sides.
func (f *jpegFile) frame(s []byte) bool {
	if len(f.components) > 0 || len(s) < 6 || s[0] != 8 || s[5] != 1 && s[5] != 3 || len(s) != 6+3*int(s[5]) {
		return false
	}
	f.height, f.width = int(binary.BigEndian.Uint16(s[1:])), int(binary.BigEndian.Uint16(s[3:]))
	if checkPixels(f.width, f.height) != nil || s[5] == 3 && s[6] == 'R' && s[9] == 'G' {
		return false
	}
	h, v := int(s[7]>>4), int(s[7]&15)
	if s[5] == 1 {
		h, v = 1, 1 // an MCU is one block, whatever the factors are
	}
	if h > 2 || v > h || v < 1 {
		return false
	}
	f.across, f.down = reduced(f.width, 8*h), reduced(f.height, 8*v)
	for i := range int(s[5]) {
		if s[8+3*i] > 3 {
			return false
		}
		c := jpegComponent{id: s[6+3*i], h: h, v: v, points: f.points, quantizers: f.quantizers[s[8+3*i]]}
		if i > 0 {
			if s[7+3*i] != 0x11 {
				return false
			}
			c.h, c.v, c.points = 1, 1, min(8, v*f.points)
		}
		c.stride = f.across * c.h * c.points
		c.plane = make([]uint8, c.stride*f.down*c.v*c.points)
		f.components = append(f.components, c)
	}
	return true
}

func (f *jpegFile) image() image.Image {
	y := f.components[0]
	bounds := image.Rect(0, 0, reduced(f.width, 8/f.points), reduced(f.height, 8/f.points))
	if len(f.components) == 1 {
		return &image.Gray{Pix: y.plane, Stride: y.stride, Rect: bounds}
	}
	blue, red := f.components[1], f.components[2]
	ratio := image.YCbCrSubsampleRatio444
	if y.h*y.points > blue.points {
		ratio = image.YCbCrSubsampleRatio422
	}
	return &image.YCbCr{Y: y.plane, Cb: blue.plane, Cr: red.plane, YStride: y.stride, CStride: blue.stride, SubsampleRatio: ratio, Rect: bounds}
}

func (f *jpegFile) readQuantizers(s []byte) bool {
	for ; len(s) >= 65 && s[0] <= 3; s = s[65:] { // of 8 bits
		q := new([64]int32)
		for i := range q {
			q[i] = int32(s[1+i])
		}
		f.quantizers[s[0]] = q
	}
	return len(s) == 0
}

// huffman is a table of codes (annex C). entries has, for the next 9 bits, the length of
// the code and its symbol, 0 for longer codes. Codes of each length are smaller than end,
// and their symbols are at offset + code.
type huffman struct {
	entries [512]uint16
	end     [17]uint32
	offset  [17]int
	symbols []byte
}

func (f *jpegFile) readTables(s []byte) bool {
	for len(s) >= 17 && s[0]>>4 <= 1 && s[0]&15 <= 3 {
		t, code, n := &huffman{}, uint32(0), 17
		for length := 1; length <= 16; length, code = length+1, code<<1 {
			t.offset[length] = n - 17 - int(code)
			for range s[length] {
				if n >= len(s) || code >= 1<<length {
					return false
				}
				if length <= 9 {
					for k := range uint32(1) << (9 - length) {
						t.entries[code<<(9-length)+k] = uint16(length)<<8 | uint16(s[n])
					}
				}
				n, code = n+1, code+1
			}
			t.end[length] = code
		}
		t.symbols = s[17:n]
		f.tables[s[0]>>4][s[0]&15], s = t, s[n:]
	}
	return len(s) == 0
}

// bitReader reads the bits of a scan; after its last byte, zeros, which it counts.
type bitReader struct {
	data  []byte
	bits  uint64 // the last n are next
	n     int
	added int
}

// fill makes at least 48 bits available.
func (b *bitReader) fill() {
	for b.n < 48 {
		if b.n <= 16 && len(b.data) >= 8 { // six bytes at once if none of them is 0xff
			next := binary.BigEndian.Uint64(b.data)
			if (^next-0x0101010101010101)&next&0x8080808080808080 == 0 {
				b.bits, b.n, b.data = b.bits<<48|next>>16, b.n+48, b.data[6:]
				return
			}
		}
		var value byte
		switch {
		case len(b.data) > 0 && b.data[0] != 0xff:
			value, b.data = b.data[0], b.data[1:]
		case len(b.data) > 1 && b.data[1] == 0: // a stuffed zero
			value, b.data = 0xff, b.data[2:]
		default:
			b.added += 8
		}
		b.bits, b.n = b.bits<<8|uint64(value), b.n+8
	}
}

// code reads the next symbol of a table, 16 bits at most.
func (b *bitReader) code(t *huffman) (symbol byte, ok bool) {
	if entry := t.entries[b.bits>>(b.n-9)&511]; entry != 0 {
		b.n -= int(entry >> 8)
		return byte(entry), true
	}
	for length := 10; length <= 16; length++ {
		if code := uint32(b.bits>>(b.n-length)) & (1<<length - 1); code < t.end[length] {
			b.n -= length
			return t.symbols[t.offset[length]+int(code)], true
		}
	}
	return 0, false
}

// value reads a number of size bits, the first of which is 0 if it is negative.
func (b *bitReader) value(size byte) int32 {
	if size == 0 {
		return 0
	}
	b.n -= int(size)
	v := int32(b.bits>>b.n) & (1<<size - 1)
	if v < 1<<(size-1) {
		v -= 1<<size - 1
	}
	return v
}

// scan decodes all blocks.
func (f *jpegFile) scan(s []byte) bool {
	n := len(f.components)
	if n == 0 || len(s) != 4+2*n || int(s[0]) != n {
		return false
	}
	for i := range f.components {
		c, tables := &f.components[i], s[2+2*i]
		c.dc, c.ac = f.tables[0][tables>>4&3], f.tables[1][tables&3]
		if s[1+2*i] != c.id || tables&0xcc != 0 || c.dc == nil || c.ac == nil || c.quantizers == nil {
			return false
		}
	}
	b := &bitReader{data: f.data}
	for mcu := range f.across * f.down {
		if f.restart > 0 && mcu > 0 && mcu%f.restart == 0 {
			if len(b.data) < 2 || b.data[0] != 0xff || b.data[1]&^7 != 0xd0 {
				return false
			}
			*b = bitReader{data: b.data[2:]}
		}
		for i := range f.components {
			c := &f.components[i]
			if f.restart > 0 && mcu%f.restart == 0 {
				c.previous = 0
			}
			for block := range c.h * c.v {
				column, row := mcu%f.across*c.h+block%c.h, mcu/f.across*c.v+block/c.h
				if !c.block(b, c.plane[(row*c.stride+column)*c.points:]) {
					return false
				}
			}
		}
		if b.added > b.n {
			return false
		}
	}
	return bytes.HasPrefix(b.data, []byte{0xff, 0xd9})
}

// block decodes a block into points × points pixels.
func (c *jpegComponent) block(b *bitReader, pixels []uint8) bool {
	b.fill()
	size, ok := b.code(c.dc)
	if !ok || size > 15 {
		return false
	}
	c.previous += b.value(size)
	coefficients := [64]int32{c.previous * c.quantizers[0]}
	used := 1 // rows and columns with coefficients
	for k := 1; k < 64; k++ {
		if b.n < 32 {
			b.fill()
		}
		symbol, ok := b.code(c.ac)
		run, size := int(symbol>>4), symbol&15
		k += run
		if size == 0 && run < 15 && ok {
			break // the rest is 0
		}
		if !ok || k > 63 {
			return false
		}
		value, at := b.value(size)*c.quantizers[k], int(zigzag[k])
		if largest := max(at>>3, at&7); largest < c.points && value != 0 {
			coefficients[at], used = value, max(used, largest+1)
		}
	}
	inverse(pixels, c.stride, &coefficients, c.points, used)
	return true
}

// zigzag is the place, 8 × row + column, of each coefficient in the order of the file.
var zigzag = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}

// cosines are cos((2x+1)uπ/2n)/2, divided by √2 for u = 0, at [n][x][u], in units of
// 1/2¹³. With one factor for all n, a block has the same brightness at every size.
var cosines = func() (all [9][8][8]int32) {
	for n := range all {
		for x := range n {
			all[n][x][0] = int32(math.Round(math.Sqrt2 / 4 * (1 << 13)))
			for u := 1; u < n; u++ {
				all[n][x][u] = int32(math.Round(math.Cos(float64((2*x+1)*u)*math.Pi/float64(2*n)) / 2 * (1 << 13)))
			}
		}
	}
	return all
}()

// inverse computes n × n pixels of the coefficients of the first rows and columns that
// are used: first along rows, with 3 more bits, then along columns.
func inverse(pixels []uint8, stride int, coefficients *[64]int32, n, used int) {
	var sums [64]int32 // [x][v]
	table := &cosines[n]
	for v := range used {
		from := coefficients[8*v:][:8]
		for x := range n {
			sum, c := int32(1<<9), &table[x]
			for u := range used {
				sum += c[u&7] * from[u&7]
			}
			sums[8*x+v] = sum >> 10
		}
	}
	for y := range n {
		c, row := &table[y], pixels[y*stride:][:n]
		for x := range row {
			from, sum := sums[8*x:][:8], int32(1<<15)
			for v := range used {
				sum += c[v&7] * from[v&7]
			}
			row[x] = uint8(min(max(sum>>16+128, 0), 255))
		}
	}
}
