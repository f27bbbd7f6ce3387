package onnx

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/pkg/errors"
	"google.golang.org/protobuf/encoding/protowire"
)

// What a file may have; a network for images has far less.
const (
	maxNodes = 1 << 16
	maxRank  = 8
)

// Types of elements and of attributes in onnx.proto, beside those of proto.go.
const (
	typeInt32   = 6
	typeBool    = 9
	typeFloat16 = 10
	typeFloat64 = 11

	settingFloat  = 1
	settingString = 3
)

var typeNames = map[int64]string{
	typeFloat32: "float", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", typeInt32: "int32", typeInt64: "int64", 8: "string",
	typeBool: "bool", typeFloat16: "float16", typeFloat64: "double", 12: "uint32", 13: "uint64", 16: "bfloat16",
}

func typeName(elementType int64) string {
	if name, known := typeNames[elementType]; known {
		return name
	}
	return fmt.Sprintf("number %d", elementType)
}

// content is what the reader takes from a ModelProto.
type content struct {
	producer     string
	operators    int64 // version of the operator set
	name         string
	nodes        []*operator
	initializers []*array
	inputs       []input
	outputs      []string
	metadata     map[string]string
}

// input is an input of the graph: its dimensions are numbers, or 0 where the file leaves
// them open. Known tells whether it has a shape at all.
type input struct {
	name        string
	elementType int64
	dimensions  []int
	known       bool
}

// operator is a node of the graph.
type operator struct {
	kind, name, domain string
	inputs, outputs    []string
	attributes         []setting
	fused              *fusion // what several nodes compute together, see fuse.go
}

// String identifies the node in errors.
func (o *operator) String() string {
	switch {
	case o.name != "":
		return fmt.Sprintf("node %q (%s)", o.name, o.kind)
	case len(o.outputs) > 0:
		return fmt.Sprintf("the node of %q (%s)", o.outputs[0], o.kind)
	}
	return fmt.Sprintf("a node without a name (%s)", o.kind)
}

func (o *operator) errorf(format string, arguments ...any) error {
	return errors.Errorf("%s: %s", o, fmt.Sprintf(format, arguments...))
}

// operand returns the name of the i-th input, or "" if the node has none.
func (o *operator) operand(i int) string {
	if i < len(o.inputs) {
		return o.inputs[i]
	}
	return ""
}

// setting is an attribute of a node.
type setting struct {
	name    string
	kind    int64
	integer int64
	float   float32
	text    string
	list    []int64
	floats  []float32
	tensor  *array
}

// array is a tensor of the file. Its elements stay encoded until they are used, so that a
// file's claims about sizes are compared with its length first.
type array struct {
	name        string
	shape       []int
	elementType int64
	raw         []byte  // little-endian elements of fixed size
	integers    []int64 // elements that are encoded as variable-length integers
}

// wire is a field of a message.
type wire struct {
	number  protowire.Number
	kind    protowire.Type
	integer uint64 // also the bits of a fixed-size number
	bytes   []byte
}

// eachField calls visit for every field of a message.
func eachField(data []byte, visit func(wire) error) error {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return errors.New("found bytes that are no protocol buffer, or one that is truncated")
		}
		data = data[n:]
		f := wire{number: number, kind: kind}
		switch kind {
		case protowire.VarintType:
			f.integer, n = protowire.ConsumeVarint(data)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(data)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(data)
			f.integer = uint64(v)
		case protowire.Fixed64Type:
			f.integer, n = protowire.ConsumeFixed64(data)
		default:
			return errors.Errorf("field %d is of wire type %d, which ONNX does not use", number, kind)
		}
		if n < 0 {
			return errors.Errorf("field %d is truncated or invalid", number)
		}
		data = data[n:]
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

// expect returns an error unless the field has the wire type.
func (f wire) expect(kind protowire.Type) error {
	if f.kind != kind {
		return errors.Errorf("field %d is of wire type %d, expected %d", f.number, f.kind, kind)
	}
	return nil
}

// text sets a string.
func (f wire) text(to *string) error {
	if err := f.expect(protowire.BytesType); err != nil {
		return err
	}
	*to = string(f.bytes)
	return nil
}

// number sets an integer.
func (f wire) int64(to *int64) error {
	if err := f.expect(protowire.VarintType); err != nil {
		return err
	}
	*to = int64(f.integer)
	return nil
}

// embedded reads a message within a message.
func (f wire) embedded(visit func(wire) error) error {
	if err := f.expect(protowire.BytesType); err != nil {
		return err
	}
	return eachField(f.bytes, visit)
}

// appendIntegers adds the elements of a repeated integer, packed or not.
func (f wire) appendIntegers(to *[]int64) error {
	if f.kind == protowire.VarintType {
		*to = append(*to, int64(f.integer))
		return nil
	}
	if err := f.expect(protowire.BytesType); err != nil {
		return err
	}
	for data := f.bytes; len(data) > 0; {
		v, n := protowire.ConsumeVarint(data)
		if n < 0 {
			return errors.Errorf("field %d has an invalid list of integers", f.number)
		}
		*to = append(*to, int64(v))
		data = data[n:]
	}
	return nil
}

// appendFixed adds the elements of a repeated number of a fixed size, packed or not. A
// single packed list is not copied.
func (f wire) appendFixed(to *[]byte) error {
	switch f.kind {
	case protowire.Fixed32Type:
		*to = binary.LittleEndian.AppendUint32(*to, uint32(f.integer))
	case protowire.Fixed64Type:
		*to = binary.LittleEndian.AppendUint64(*to, f.integer)
	case protowire.BytesType:
		if *to == nil {
			*to = slices.Clip(f.bytes)
		} else {
			*to = append(*to, f.bytes...)
		}
	default:
		return f.expect(protowire.BytesType)
	}
	return nil
}

// decodeModel reads a ModelProto.
func decodeModel(data []byte) (*content, error) {
	c := &content{metadata: map[string]string{}}
	graphs := 0
	err := eachField(data, func(f wire) error {
		switch f.number {
		case 2:
			return f.text(&c.producer)
		case 7:
			if graphs++; graphs > 1 {
				return errors.New("found two graphs, expected one")
			}
			return f.embedded(c.graphField)
		case 8:
			return c.operatorSet(f)
		case 14:
			var key, value string
			err := f.embedded(func(f wire) error {
				switch f.number {
				case 1:
					return f.text(&key)
				case 2:
					return f.text(&value)
				}
				return nil
			})
			c.metadata[key] = value
			return err
		}
		return nil
	})
	if err == nil && graphs == 0 {
		err = errors.New("found no graph: this is not an ONNX file")
	}
	return c, err
}

// operatorSet reads an OperatorSetIdProto. Other domains matter only to nodes of them,
// which are refused by their names.
func (c *content) operatorSet(f wire) error {
	var domain string
	var version int64
	err := f.embedded(func(f wire) error {
		switch f.number {
		case 1:
			return f.text(&domain)
		case 2:
			return f.int64(&version)
		}
		return nil
	})
	if domain == "" || domain == "ai.onnx" {
		c.operators = version
	}
	return err
}

func (c *content) graphField(f wire) error {
	switch f.number {
	case 1:
		if len(c.nodes) == maxNodes {
			return errors.Errorf("found more than %d nodes", maxNodes)
		}
		node := &operator{}
		c.nodes = append(c.nodes, node)
		return errors.Wrapf(f.embedded(node.field), "node %d", len(c.nodes))
	case 2:
		return f.text(&c.name)
	case 5:
		tensor, err := decodeTensor(f)
		c.initializers = append(c.initializers, tensor)
		return err
	case 11:
		in := input{}
		err := f.embedded(in.field)
		c.inputs = append(c.inputs, in)
		return errors.Wrapf(err, "input %q", in.name)
	case 12:
		out := input{}
		err := f.embedded(out.field)
		c.outputs = append(c.outputs, out.name)
		return errors.Wrapf(err, "output %q", out.name)
	case 15:
		return errors.New("found a sparse initializer, expected dense tensors only")
	}
	return nil
}

func (o *operator) field(f wire) error {
	var text string
	switch f.number {
	case 1:
		err := f.text(&text)
		o.inputs = append(o.inputs, text)
		return err
	case 2:
		err := f.text(&text)
		o.outputs = append(o.outputs, text)
		return err
	case 3:
		return f.text(&o.name)
	case 4:
		return f.text(&o.kind)
	case 5:
		var a setting
		err := f.embedded(a.field)
		for _, other := range o.attributes {
			if err == nil && other.name == a.name {
				err = errors.New("found twice")
			}
		}
		if len(o.attributes) >= 64 {
			return errors.New("found more than 64 attributes")
		}
		o.attributes = append(o.attributes, a)
		return errors.Wrapf(err, "attribute %q", a.name)
	case 7:
		err := f.text(&o.domain)
		if o.domain == "ai.onnx" {
			o.domain = ""
		}
		return err
	}
	return nil
}

func (s *setting) field(f wire) error {
	switch f.number {
	case 1:
		return f.text(&s.name)
	case 2:
		s.float = math.Float32frombits(uint32(f.integer))
		return f.expect(protowire.Fixed32Type)
	case 3:
		return f.int64(&s.integer)
	case 4:
		return f.text(&s.text)
	case 5:
		tensor, err := decodeTensor(f)
		s.tensor = tensor
		return err
	case 7:
		var raw []byte
		if err := f.appendFixed(&raw); err != nil || len(raw)%4 != 0 {
			return errors.New("found an invalid list of numbers")
		}
		for ; len(raw) > 0; raw = raw[4:] {
			s.floats = append(s.floats, math.Float32frombits(binary.LittleEndian.Uint32(raw)))
		}
	case 8:
		return f.appendIntegers(&s.list)
	case 20:
		return f.int64(&s.kind)
	}
	return nil
}

func (in *input) field(f wire) error {
	switch f.number {
	case 1:
		return f.text(&in.name)
	case 2: // TypeProto
		return f.embedded(func(f wire) error {
			if f.number != 1 { // a sequence, a map or another type that is no tensor
				return nil
			}
			return f.embedded(func(f wire) error {
				switch f.number {
				case 1:
					return f.int64(&in.elementType)
				case 2:
					in.known = true
					return f.embedded(in.dimension)
				}
				return nil
			})
		})
	}
	return nil
}

func (in *input) dimension(f wire) error {
	if f.number != 1 {
		return nil
	}
	if len(in.dimensions) == maxRank {
		return errors.Errorf("found more than %d dimensions", maxRank)
	}
	var extent int64
	err := f.embedded(func(f wire) error {
		if f.number == 1 {
			return f.int64(&extent)
		}
		return nil
	})
	if err == nil && (extent < 0 || extent > math.MaxInt32) {
		err = errors.Errorf("found a dimension of %d", extent)
	}
	in.dimensions = append(in.dimensions, int(extent))
	return err
}

// sizes are the bytes of an element in raw data.
var sizes = map[int64]int{typeFloat32: 4, typeInt32: 4, typeInt64: 8, typeBool: 1, typeFloat16: 2, typeFloat64: 8}

// decodeTensor reads a TensorProto and compares its shape with its data.
func decodeTensor(f wire) (*array, error) {
	t := &array{}
	external, raw := false, false
	var dimensions []int64
	err := f.embedded(func(f wire) error {
		switch f.number {
		case 1:
			return f.appendIntegers(&dimensions)
		case 2:
			return f.int64(&t.elementType)
		case 4, 10:
			return f.appendFixed(&t.raw)
		case 5, 7:
			return f.appendIntegers(&t.integers)
		case 8:
			return f.text(&t.name)
		case 9:
			t.raw, raw = f.bytes, true
			return f.expect(protowire.BytesType)
		case 13:
			external = true
		case 14:
			external = external || f.integer != 0
		}
		return nil
	})
	switch {
	case err != nil:
	case external:
		err = errors.New("its values are in another file (external data), expected them within the file: save the network again without external data, in PyTorch with program.save(path, external_data=False), in Python with onnx.save(onnx.load(path), other)")
	case sizes[t.elementType] == 0:
		err = errors.Errorf("found elements of type %s, expected float, double, float16, int64, int32 or bool", typeName(t.elementType))
	default:
		err = t.setShape(dimensions, raw)
	}
	return t, errors.Wrapf(err, "tensor %q", t.name)
}

// setShape checks that the data have as many elements as the shape.
func (t *array) setShape(dimensions []int64, raw bool) error {
	if len(dimensions) > maxRank {
		return errors.Errorf("found %d dimensions, expected at most %d", len(dimensions), maxRank)
	}
	count := 1
	for _, d := range dimensions {
		if d < 0 || d > math.MaxInt32 || d > 0 && count > math.MaxInt32/int(d) {
			return errors.Errorf("found the shape %v, expected fewer elements", dimensions)
		}
		count *= int(d)
		t.shape = append(t.shape, int(d))
	}
	size := sizes[t.elementType]
	switch {
	// Of the types that have no field of fixed size, only raw data are encoded so.
	case raw || t.elementType == typeFloat32 || t.elementType == typeFloat64:
		if len(t.raw) != count*size || len(t.integers) > 0 {
			return errors.Errorf("found %d bytes, expected %d for the shape %v of %s", len(t.raw), count*size, dimensions, typeName(t.elementType))
		}
	case len(t.integers) != count || len(t.raw) > 0:
		return errors.Errorf("found %d elements, expected %d for the shape %v", len(t.integers), count, dimensions)
	}
	return nil
}

// constant is a tensor with a known value, of floating-point numbers or of integers.
type constant struct {
	shape    []int
	floats   []float32
	integers []int64
	isFloat  bool
}

func (c *constant) size() int {
	if c.isFloat {
		return len(c.floats)
	}
	return len(c.integers)
}

// scalar returns the value of a constant of one floating-point element.
func (c *constant) scalar() (float64, bool) {
	if c.isFloat && len(c.floats) == 1 {
		return float64(c.floats[0]), true
	}
	return 0, false
}

// decode reads the elements.
func (t *array) decode() *constant {
	c := &constant{shape: t.shape, integers: t.integers}
	size := sizes[t.elementType]
	count := len(t.raw) / size
	switch t.elementType {
	case typeFloat32, typeFloat16, typeFloat64:
		c.isFloat, c.integers = true, nil
		if t.integers != nil { // float16 in the field of int32, by its bits
			c.floats = make([]float32, len(t.integers))
			for i, v := range t.integers {
				c.floats[i] = safetensors.Float16(uint16(v))
			}
			return c
		}
		c.floats = make([]float32, count)
		for i := range c.floats {
			switch at := t.raw[i*size:]; size {
			case 2:
				c.floats[i] = safetensors.Float16(binary.LittleEndian.Uint16(at))
			case 4:
				c.floats[i] = math.Float32frombits(binary.LittleEndian.Uint32(at))
			default:
				c.floats[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(at)))
			}
		}
	default:
		if count == 0 {
			return c
		}
		c.integers = make([]int64, count)
		for i := range c.integers {
			switch at := t.raw[i*size:]; size {
			case 1:
				c.integers[i] = int64(at[0])
			case 4:
				c.integers[i] = int64(int32(binary.LittleEndian.Uint32(at)))
			default:
				c.integers[i] = int64(binary.LittleEndian.Uint64(at))
			}
		}
	}
	return c
}
