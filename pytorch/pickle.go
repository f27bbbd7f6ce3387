package pytorch

import (
	"bufio"
	"encoding/binary"
	"io"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/pkg/errors"
)

// The values of a pickle are nil, bool, int64, float64, string, rawBytes, hugeInteger,
// tuple, *list, *dict, *global, *storage and *view.
type (
	rawBytes    string // bytes of Python
	hugeInteger string // an integer of more than 8 bytes, little-endian
	tuple       []any
	list        struct{ items []any }
)

// dict is a dictionary of Python. Values of keys other than texts, such as those of the
// state of an optimizer, are dropped: no tensor of a state dict has such a key.
type dict struct {
	keys   []string // in the order of the file
	values map[string]any
}

func (d *dict) set(key, value any) {
	name, isText := key.(string)
	if !isText {
		return
	}
	if d.values == nil {
		d.values = map[string]any{}
	}
	if _, known := d.values[name]; !known {
		d.keys = append(d.keys, name)
	}
	d.values[name] = value
}

const (
	maxPickle     = 64 << 20 // bytes; a state dict takes about 200 for each tensor
	maxGlobalName = 256      // bytes of a module's or a global's name
)

// unpickler reads values in Python's pickle format. A pickle is a program, which may
// import modules and call anything in them, so this reader is restricted: it has the
// opcodes of containers, numbers and texts in protocols 2 to 5, and its globals are those
// of the table globals, which are computed here. Nothing of Python is run, and any other
// opcode or global is an error.
//
// Memory is proportional to the bytes that have been read: texts are as long as the rest
// of the pickle at most, and containers hold references.
type unpickler struct {
	in    *bufio.Reader
	read  int64 // bytes so far
	limit int64 // of bytes
	// persistent returns the storage of a persistent id.
	persistent func(id tuple) (*storage, error)

	stack []any
	marks []int
	memo  []any
}

// newUnpickler reads at most size bytes of in.
func newUnpickler(in io.Reader, size int64, persistent func(tuple) (*storage, error)) *unpickler {
	return &unpickler{in: bufio.NewReader(in), limit: min(size, maxPickle), persistent: persistent}
}

// next reads one pickle, which ends with STOP. Another may follow.
func (u *unpickler) next() (any, error) {
	u.stack, u.marks, u.memo = u.stack[:0], u.marks[:0], u.memo[:0]
	for {
		at := u.read
		op, err := u.byte()
		if err == nil && op == '.' {
			if len(u.stack) == 1 && len(u.marks) == 0 {
				return u.stack[0], nil
			}
			err = errors.Errorf("found %d values at the end, expected one", len(u.stack))
		} else if err == nil {
			err = u.apply(op)
		}
		if err != nil {
			return nil, errors.WithMessagef(err, "byte %d", at)
		}
	}
}

// apply executes one opcode. Their names are those of Python's module pickletools.
func (u *unpickler) apply(op byte) error {
	switch op {
	case 0x80: // PROTO
		version, err := u.byte()
		if err == nil && (version < 2 || version > 5) {
			err = errors.Errorf("found protocol %d of pickle, expected 2 to 5", version)
		}
		return err
	case 0x95: // FRAME
		_, err := u.number(8) // only a hint for buffering
		return err
	case '(': // MARK
		u.marks = append(u.marks, len(u.stack))
		return nil
	case '0': // POP
		_, err := u.pop()
		return err
	case 'N': // NONE
		u.push(nil)
	case 0x88: // NEWTRUE
		u.push(true)
	case 0x89: // NEWFALSE
		u.push(false)
	case '}': // EMPTY_DICT
		u.push(&dict{})
	case ']': // EMPTY_LIST
		u.push(&list{})
	case ')': // EMPTY_TUPLE
		u.push(tuple(nil))
	case 'J': // BININT
		n, err := u.number(4)
		u.push(int64(int32(n)))
		return err
	case 'K': // BININT1
		n, err := u.number(1)
		u.push(int64(n))
		return err
	case 'M': // BININT2
		n, err := u.number(2)
		u.push(int64(n))
		return err
	case 0x8a: // LONG1
		return u.long()
	case 'G': // BINFLOAT
		bytes, err := u.bytes(8)
		if err == nil {
			u.push(math.Float64frombits(binary.BigEndian.Uint64(bytes)))
		}
		return err
	case 'X', 'T': // BINUNICODE, BINSTRING
		return u.text(4)
	case 0x8c, 'U': // SHORT_BINUNICODE, SHORT_BINSTRING
		return u.text(1)
	case 'B': // BINBYTES
		return u.raw(4)
	case 'C': // SHORT_BINBYTES
		return u.raw(1)
	case 0x85, 0x86, 0x87: // TUPLE1, TUPLE2, TUPLE3
		return u.tuple(len(u.stack) - int(op-0x84))
	case 't': // TUPLE
		mark, err := u.mark()
		if err != nil {
			return err
		}
		return u.tuple(mark)
	case 'q', 'r', 0x94: // BINPUT, LONG_BINPUT, MEMOIZE
		return u.put(op)
	case 'h', 'j': // BINGET, LONG_BINGET
		return u.get(op)
	case 'a', 'e': // APPEND, APPENDS
		return u.extend(op == 'e')
	case 's', 'u': // SETITEM, SETITEMS
		return u.setItems(op == 'u')
	case 'c', 0x93: // GLOBAL, STACK_GLOBAL
		return u.global(op)
	case 'R': // REDUCE
		return u.reduce()
	case 'b': // BUILD
		return u.build()
	case 'Q': // BINPERSID
		return u.persistentID()
	default:
		return errors.Errorf("found the opcode %#02x, which no state dict has: in Python, save network.state_dict() with torch.save", op)
	}
	return nil
}

func (u *unpickler) byte() (byte, error) {
	b, err := u.bytes(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// bytes reads n bytes, which are valid until the next call if they are at most 8.
func (u *unpickler) bytes(n int64) ([]byte, error) {
	if n > u.limit-u.read {
		return nil, errors.Errorf("found a pickle that goes on for %d bytes or more, expected at most %d", n, u.limit-u.read)
	}
	if n <= 8 {
		short, err := u.in.Peek(int(n))
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, errors.WithStack(err)
		}
		u.read += n
		_, err = u.in.Discard(int(n))
		return short, errors.WithStack(err)
	}
	long := make([]byte, n)
	_, err := io.ReadFull(u.in, long)
	u.read += n
	return long, errors.WithStack(err)
}

// number reads an unsigned little-endian integer of up to 8 bytes.
func (u *unpickler) number(size int64) (uint64, error) {
	bytes, err := u.bytes(size)
	if err != nil {
		return 0, err
	}
	var n uint64
	for i, b := range bytes {
		n |= uint64(b) << (8 * i)
	}
	return n, nil
}

// long reads a signed little-endian integer of any length.
func (u *unpickler) long() error {
	size, err := u.number(1)
	if err != nil {
		return err
	}
	bytes, err := u.bytes(int64(size))
	if err != nil {
		return err
	}
	if size > 8 {
		u.push(hugeInteger(bytes))
		return nil
	}
	var n int64
	for i, b := range bytes {
		n |= int64(b) << (8 * i)
	}
	if size > 0 {
		unused := 64 - 8*size
		n = n << unused >> unused // extend the sign
	}
	u.push(n)
	return nil
}

// text reads a text whose length is an integer of the given size.
func (u *unpickler) text(size int64) error {
	length, err := u.number(size)
	if err != nil {
		return err
	}
	bytes, err := u.bytes(int64(length))
	if err == nil && !utf8.Valid(bytes) {
		err = errors.Errorf("found the text %q, expected UTF-8", bytes)
	}
	if err == nil {
		u.push(string(bytes))
	}
	return err
}

func (u *unpickler) raw(size int64) error {
	length, err := u.number(size)
	if err != nil {
		return err
	}
	bytes, err := u.bytes(int64(length))
	u.push(rawBytes(bytes))
	return err
}

func (u *unpickler) push(value any) { u.stack = append(u.stack, value) }

// floor is the number of values that belong to an opened mark.
func (u *unpickler) floor() int {
	if len(u.marks) == 0 {
		return 0
	}
	return u.marks[len(u.marks)-1]
}

var errStack = errors.New("found too few values on the stack, expected those of the opcode: the file is damaged")

func (u *unpickler) pop() (any, error) {
	if len(u.stack) <= u.floor() {
		return nil, errStack
	}
	value := u.stack[len(u.stack)-1]
	u.stack = u.stack[:len(u.stack)-1]
	return value, nil
}

// mark closes the last mark and returns where its values begin.
func (u *unpickler) mark() (int, error) {
	if len(u.marks) == 0 {
		return 0, errStack
	}
	mark := u.floor()
	u.marks = u.marks[:len(u.marks)-1]
	return mark, nil
}

// tuple replaces the values from an index on by a tuple of them.
func (u *unpickler) tuple(from int) error {
	if from < u.floor() {
		return errStack
	}
	values := append(tuple(nil), u.stack[from:]...)
	u.stack = append(u.stack[:from], values)
	return nil
}

// put stores the last value. Python numbers the memo without gaps.
func (u *unpickler) put(op byte) error {
	if len(u.stack) <= u.floor() {
		return errStack
	}
	value, at := u.stack[len(u.stack)-1], uint64(len(u.memo))
	if op != 0x94 {
		size := int64(1)
		if op == 'r' {
			size = 4
		}
		var err error
		if at, err = u.number(size); err != nil {
			return err
		}
	}
	switch {
	case at > uint64(len(u.memo)):
		return errors.Errorf("found entry %d of the memo, expected %d, the next: the file is damaged", at, len(u.memo))
	case at == uint64(len(u.memo)):
		u.memo = append(u.memo, value)
	default:
		u.memo[at] = value
	}
	return nil
}

func (u *unpickler) get(op byte) error {
	size := int64(1)
	if op == 'j' {
		size = 4
	}
	at, err := u.number(size)
	if err != nil {
		return err
	}
	if at >= uint64(len(u.memo)) {
		return errors.Errorf("found entry %d of the memo, expected one of its %d: the file is damaged", at, len(u.memo))
	}
	u.push(u.memo[at])
	return nil
}

// items removes one value, or those after the last mark. The result is valid until the
// next push.
func (u *unpickler) items(marked bool, single int) ([]any, error) {
	from := len(u.stack) - single
	if marked {
		var err error
		if from, err = u.mark(); err != nil {
			return nil, err
		}
	}
	if from <= u.floor() { // the container is below them
		return nil, errStack
	}
	items := u.stack[from:]
	u.stack = u.stack[:from]
	return items, nil
}

func (u *unpickler) extend(marked bool) error {
	items, err := u.items(marked, 1)
	if err != nil {
		return err
	}
	target, isList := u.stack[len(u.stack)-1].(*list)
	if !isList {
		return errors.Errorf("found %s, expected a list to append to", describe(u.stack[len(u.stack)-1]))
	}
	target.items = append(target.items, items...)
	return nil
}

func (u *unpickler) setItems(marked bool) error {
	items, err := u.items(marked, 2)
	if err != nil {
		return err
	}
	target, isDict := u.stack[len(u.stack)-1].(*dict)
	if !isDict || len(items)%2 != 0 {
		return errors.Errorf("found %s and %d values, expected a dictionary with pairs of keys and values", describe(u.stack[len(u.stack)-1]), len(items))
	}
	for i := 0; i < len(items); i += 2 {
		target.set(items[i], items[i+1])
	}
	return nil
}

// global pushes a function or type of the table globals.
func (u *unpickler) global(op byte) error {
	var module, name string
	if op == 'c' {
		var err error
		if module, err = u.line(); err != nil {
			return err
		}
		if name, err = u.line(); err != nil {
			return err
		}
	} else {
		second, err := u.pop()
		if err != nil {
			return err
		}
		first, err := u.pop()
		if err != nil {
			return err
		}
		var isText [2]bool
		module, isText[0] = first.(string)
		name, isText[1] = second.(string)
		if isText != [2]bool{true, true} {
			return errors.Errorf("found %s and %s, expected the names of a module and of a global in it", describe(first), describe(second))
		}
	}
	known, allowed := globals[module+"."+name]
	if !allowed {
		return errors.Errorf("found the global %q, expected only what a state dict consists of, such as torch._utils._rebuild_tensor_v2: "+
			"in Python, save network.state_dict() with torch.save", module+"."+name)
	}
	u.push(known)
	return nil
}

func (u *unpickler) line() (string, error) {
	var line []byte
	for {
		b, err := u.byte()
		switch {
		case err != nil:
			return "", err
		case b == '\n':
			return string(line), nil
		case len(line) == maxGlobalName:
			return "", errors.Errorf("found a name that begins with %q, expected at most %d bytes", line[:40], maxGlobalName)
		}
		line = append(line, b)
	}
}

// reduce calls a global with a tuple of arguments.
func (u *unpickler) reduce() error {
	arguments, err := u.pop()
	if err != nil {
		return err
	}
	function, err := u.pop()
	if err != nil {
		return err
	}
	called, isGlobal := function.(*global)
	values, isTuple := arguments.(tuple)
	if !isGlobal || called.call == nil || !isTuple {
		return errors.Errorf("found a call of %s with %s, expected a function of a state dict and a tuple", describe(function), describe(arguments))
	}
	result, err := called.call(values)
	u.push(result)
	return errors.WithMessage(err, called.name)
}

// build drops attributes, such as _metadata of a state dict, on which no weight depends.
func (u *unpickler) build() error {
	if _, err := u.pop(); err != nil {
		return err
	}
	if len(u.stack) <= u.floor() {
		return errStack
	}
	switch target := u.stack[len(u.stack)-1].(type) {
	case *dict, *view:
		return nil
	default:
		return errors.Errorf("found attributes of %s, expected those of a dictionary", describe(target))
	}
}

func (u *unpickler) persistentID() error {
	id, err := u.pop()
	if err != nil {
		return err
	}
	values, isTuple := id.(tuple)
	if !isTuple || u.persistent == nil {
		return errors.Errorf("found %s as a persistent id, expected the tuple of a storage", describe(id))
	}
	found, err := u.persistent(values)
	u.push(found)
	return err
}

// describe names a value for errors.
func describe(value any) string {
	switch v := value.(type) {
	case nil:
		return "None"
	case bool:
		return "a bool"
	case int64:
		return "the integer " + strconv.FormatInt(v, 10)
	case hugeInteger:
		return "a long integer"
	case float64:
		return "a float"
	case string:
		if len(v) > 60 {
			v = v[:60] + "…"
		}
		return "the text " + strconv.Quote(v)
	case rawBytes:
		return "bytes"
	case tuple:
		return "a tuple"
	case *list:
		return "a list"
	case *dict:
		return "a dictionary"
	case *storage:
		return "a storage"
	case *view:
		return "a tensor"
	case *global:
		return v.name
	}
	return "an unknown value"
}
