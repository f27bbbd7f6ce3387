package pytorch

import (
	"encoding/binary"
	"math"

	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/pkg/errors"
)

// dtype is a type of elements.
type dtype struct {
	name  string // as in torch.float32
	size  int64  // bytes
	float bool
	at    func([]byte) float64 // the value of an element; nil for integers
}

var (
	float32s  = &dtype{"float32", 4, true, func(b []byte) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))) }}
	float64s  = &dtype{"float64", 8, true, func(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) }}
	float16s  = &dtype{"float16", 2, true, func(b []byte) float64 { return float64(safetensors.Float16(binary.LittleEndian.Uint16(b))) }}
	bfloat16s = &dtype{"bfloat16", 2, true, func(b []byte) float64 {
		return float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16))
	}}
	// Integers occur beside the weights, as counters, and no weight is of them.
	int64s = &dtype{name: "int64", size: 8}
	int32s = &dtype{name: "int32", size: 4}
	int16s = &dtype{name: "int16", size: 2}
	int8s  = &dtype{name: "int8", size: 1}
	uint8s = &dtype{name: "uint8", size: 1}
	bools  = &dtype{name: "bool", size: 1}
)

// storage is an array of elements that tensors refer to.
type storage struct {
	key      string
	dtype    *dtype
	elements int64
	data     []byte // when it has been read

	// A part of another storage, from an element on, which only the legacy format has.
	whole *storage
	from  int64
}

// root is the storage that the file has.
func (s *storage) root() *storage {
	if s.whole != nil {
		return s.whole
	}
	return s
}

// content is the bytes of the storage, which must have been read.
func (s *storage) content() []byte {
	if s.whole != nil {
		return s.whole.data[s.from*s.dtype.size:][:s.elements*s.dtype.size]
	}
	return s.data
}

// view is a tensor of a checkpoint: elements of a storage, from an offset on, at strides.
type view struct {
	storage *storage
	dtype   *dtype
	offset  int64
	shape   []int
	strides []int64
}

// newView checks that all elements of the tensor are within its storage, whatever its
// numbers are. Strides of 0 repeat elements, so there may be more elements than the
// storage has; they are copied only for a weight of this shape.
func newView(s *storage, of *dtype, offset int64, shape, strides []int64) (*view, error) {
	elements := s.elements
	if of != s.dtype {
		elements = s.elements * s.dtype.size / of.size
	}
	if len(strides) != len(shape) {
		return nil, errors.Errorf("found %d strides, expected one for each of %d dimensions", len(strides), len(shape))
	}
	v := &view{storage: s, dtype: of, offset: offset, shape: make([]int, len(shape)), strides: strides}
	count, empty := int64(1), false
	for i, size := range shape {
		if size < 0 || size > math.MaxInt32 || strides[i] < 0 {
			return nil, errors.Errorf("found the shape %v with the strides %v, expected sizes of 0 to %d and no negative stride", shape, strides, math.MaxInt32)
		}
		v.shape[i] = int(size)
		if size == 0 {
			empty = true
			continue
		}
		if count > math.MaxInt64/4/size {
			return nil, errors.Errorf("found the shape %v, expected at most %d bytes", shape, math.MaxInt64)
		}
		count *= size
	}
	left := elements - 1 - offset // elements behind the one at the offset
	outside := offset < 0 || left < 0
	for i, size := range shape {
		if size > 1 && strides[i] > 0 && !outside {
			if outside = size-1 > left/strides[i]; !outside {
				left -= (size - 1) * strides[i]
			}
		}
	}
	if outside && !empty {
		return nil, errors.Errorf("found the shape %v with the strides %v from element %d on, expected elements within the %d of storage %q", shape, strides, offset, elements, s.key)
	}
	return v, nil
}

// float32s returns the elements in the order of the shape. An element that is NaN or
// infinite as float32 is an error.
func (v *view) float32s() ([]float32, error) {
	if !v.dtype.float {
		return nil, errors.Errorf("found elements of type %s, expected floating point", v.dtype.name)
	}
	count := 1
	for _, size := range v.shape {
		count *= size
	}
	values := make([]float32, 0, count)
	if count == 0 {
		return values, nil
	}
	content, size := v.storage.content(), v.dtype.size
	index := make([]int, len(v.shape))
	at := v.offset
	for {
		value := float32(v.dtype.at(content[at*size:]))
		if value-value != 0 {
			return nil, notFinite(len(values), value)
		}
		values = append(values, value)
		axis := len(index) - 1
		for ; axis >= 0; axis-- {
			if index[axis]++; index[axis] < v.shape[axis] {
				at += v.strides[axis]
				break
			}
			index[axis] = 0
			at -= int64(v.shape[axis]-1) * v.strides[axis]
		}
		if axis < 0 {
			return values, nil
		}
	}
}

// global is a function or type of Python that a state dict may refer to.
type global struct {
	name  string
	call  func(arguments tuple) (any, error) // nil if it cannot be called
	dtype *dtype                             // of a type of storages, or a dtype itself
	// storage reports whether it is a type of storages.
	storage bool
}

// globals are all that an unpickler knows, by their names.
var globals = func() map[string]*global {
	all := map[string]*global{}
	for name, call := range map[string]func(tuple) (any, error){
		"collections.OrderedDict":                    orderedDict,
		"torch.Size":                                 torchSize,
		"torch._utils._rebuild_tensor":               rebuildTensor,
		"torch._utils._rebuild_tensor_v2":            rebuildTensor,
		"torch._utils._rebuild_tensor_v3":            rebuildTensorOfType,
		"torch._utils._rebuild_parameter":            rebuildParameter,
		"torch._utils._rebuild_parameter_with_state": rebuildParameter,
	} {
		all[name] = &global{name: name, call: call}
	}
	for name, of := range map[string]*dtype{
		"FloatStorage": float32s, "DoubleStorage": float64s, "HalfStorage": float16s, "BFloat16Storage": bfloat16s,
		"LongStorage": int64s, "IntStorage": int32s, "ShortStorage": int16s, "CharStorage": int8s, "ByteStorage": uint8s, "BoolStorage": bools,
		"storage.UntypedStorage": uint8s,
	} {
		all["torch."+name] = &global{name: "torch." + name, dtype: of, storage: true}
	}
	for _, of := range []*dtype{float32s, float64s, float16s, bfloat16s, int64s, int32s, int16s, int8s, uint8s, bools} {
		all["torch."+of.name] = &global{name: "torch." + of.name, dtype: of}
	}
	return all
}()

// orderedDict is collections.OrderedDict() or, as Python 2 writes it, OrderedDict([[key,
// value], …]).
func orderedDict(arguments tuple) (any, error) {
	d := &dict{}
	if len(arguments) == 0 {
		return d, nil
	}
	pairs, isList := arguments[0].(*list)
	if !isList || len(arguments) > 1 {
		return nil, errors.Errorf("found %d arguments, the first %s, expected none or a list of pairs", len(arguments), describe(arguments[0]))
	}
	for _, item := range pairs.items {
		var pair []any
		switch item := item.(type) {
		case *list:
			pair = item.items
		case tuple:
			pair = item
		}
		if len(pair) != 2 {
			return nil, errors.Errorf("found %s among the arguments, expected a pair of a key and a value", describe(item))
		}
		d.set(pair[0], pair[1])
	}
	return d, nil
}

func torchSize(arguments tuple) (any, error) {
	if len(arguments) == 1 {
		if sizes, isTuple := arguments[0].(tuple); isTuple {
			return sizes, nil
		}
	}
	return nil, errors.Errorf("found %d arguments, expected a tuple of integers", len(arguments))
}

// rebuildTensor is given storage, offset, shape and strides, and in later versions
// whether a gradient is required, hooks and metadata, which are not used here.
func rebuildTensor(arguments tuple) (any, error) { return rebuild(arguments, nil) }

// rebuildTensorOfType is given the dtype as its seventh argument.
func rebuildTensorOfType(arguments tuple) (any, error) {
	if len(arguments) < 7 {
		return nil, errors.Errorf("found %d arguments, expected 7", len(arguments))
	}
	of, isGlobal := arguments[6].(*global)
	if !isGlobal || of.storage || of.dtype == nil {
		return nil, errors.Errorf("found %s as the seventh argument, expected a dtype", describe(arguments[6]))
	}
	return rebuild(arguments, of.dtype)
}

func rebuild(arguments tuple, of *dtype) (any, error) {
	if len(arguments) < 4 {
		return nil, errors.Errorf("found %d arguments, expected a storage, an offset, a shape and strides", len(arguments))
	}
	s, isStorage := arguments[0].(*storage)
	offset, isOffset := arguments[1].(int64)
	shape, err := integers(arguments[2])
	if err != nil {
		return nil, errors.WithMessage(err, "shape")
	}
	strides, err := integers(arguments[3])
	if err != nil {
		return nil, errors.WithMessage(err, "strides")
	}
	if !isStorage || !isOffset {
		return nil, errors.Errorf("found %s and %s, expected a storage and an offset", describe(arguments[0]), describe(arguments[1]))
	}
	if of == nil {
		of = s.dtype
	}
	v, err := newView(s, of, offset, shape, strides)
	if err != nil {
		return nil, err // not a nil *view in an interface
	}
	return v, nil
}

func integers(value any) ([]int64, error) {
	values, isTuple := value.(tuple)
	if !isTuple {
		return nil, errors.Errorf("found %s, expected a tuple of integers", describe(value))
	}
	numbers := make([]int64, len(values))
	for i, v := range values {
		n, isInteger := v.(int64)
		if !isInteger {
			return nil, errors.Errorf("found %s, expected an integer", describe(v))
		}
		numbers[i] = n
	}
	return numbers, nil
}

// rebuildParameter is given a tensor, and settings of its training.
func rebuildParameter(arguments tuple) (any, error) {
	if len(arguments) > 0 {
		if v, isView := arguments[0].(*view); isView {
			return v, nil
		}
	}
	return nil, errors.Errorf("found %d arguments, expected a tensor first", len(arguments))
}
