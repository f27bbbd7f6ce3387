package evaluate_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/evaluate"
)

func npy(version byte, header string, data ...byte) string {
	length := string([]byte{byte(len(header)), byte(len(header) >> 8)})
	if version > 1 {
		length += "\x00\x00"
	}
	return "\x93NUMPY" + string([]byte{version, 0}) + length + header + string(data)
}

// A .npy file and its labels, a .csv file with labels of its own, one whose folders
// name the classes, and one with a file of labels are one table.
func TestReadFile(t *testing.T) {
	folder := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	labels := write("labels.txt", "dog\ncat\ndog\n")
	oneAndHalf := []byte{0, 0, 0xc0, 0x3f, 0, 0, 0x80, 0xbf, 0, 0, 0, 0, 0, 0, 0x80, 0x3f, 0, 0, 0, 0x40, 0, 0, 0, 0} // 1.5 −1 0 1 2 0
	header := "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }    \n"
	want := evaluate.Table{Labeled: evaluate.Labeled{
		Embeddings: evaluate.Embeddings{Rows: 3, Columns: 2, Data: []float32{1.5, -1, 0, 1, 2, 0}}, Labels: []int{1, 0, 1},
	}, Classes: []string{"cat", "dog"}}
	for name, test := range map[string]struct {
		file, labels string
		sources      []string
	}{
		"npy":              {write("a.npy", npy(1, header, oneAndHalf...)), labels, nil},
		"npy 2.0":          {write("b.npy", npy(2, header, oneAndHalf...)), labels, nil},
		"labels in CSV":    {write("c.csv", "label,e0,e1\ndog,1.5,-1\ncat,0,1\ndog,2,0\n"), "", nil},
		"folders":          {write("d.csv", "file,e0,e1\na/dog/1.png,1.5,-1\na/cat/1.png,0,1\na/dog/2.png,2,0\n"), "", []string{"a/dog/1.png", "a/cat/1.png", "a/dog/2.png"}},
		"labels in a file": {write("e.csv", "e0,file,e1\n1.5,1.png,-1\n0,2.png,1\n2,3.png,0\n"), labels, []string{"1.png", "2.png", "3.png"}},
		"labels last":      {write("f.CSV", "\ufeffe0,e1,label\r\n1.5,-1,dog\r\n0,1,cat\r\n2,0,dog\r\n"), "", nil},
	} {
		want.Sources = test.sources
		expect(t, name, *must(evaluate.ReadFile(test.file, test.labels))(t), want)
	}
	expect(t, "float64", must(evaluate.ReadNpy(strings.NewReader(npy(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1)}\n", 0, 0, 0, 0, 0, 0, 0xf8, 0x3f))))(t), line(1.5))

	for want, test := range map[string][2]string{
		"found a file that ends in \".txt\"":                   {labels, ""},
		"no such file":                                         {filepath.Join(folder, "none.csv"), ""},
		"a .npy file has no labels":                            {filepath.Join(folder, "a.npy"), ""},
		"found 3 embeddings and 1 labels":                      {filepath.Join(folder, "a.npy"), write("one.txt", "dog")},
		"line 2 is empty":                                      {filepath.Join(folder, "a.npy"), write("gap.txt", "dog\n\ncat\n")},
		"is in no folder":                                      {filepath.Join(folder, "e.csv"), ""},
		"neither a column label nor a column file":             {write("g.csv", "e0\n1\n"), ""},
		"line 3, column 2: found \"x\"":                        {write("h.csv", "label,e0\na,1\nb,x\n"), ""},
		"wrong number of fields":                               {write("i.csv", "label,e0\na,1\nb\n"), ""},
		"has no columns of numbers":                            {write("j.csv", "label\na\n"), ""},
		"a header and no rows":                                 {write("k.csv", "label,e0\n"), ""},
		"row 1: the label is empty":                            {write("l.csv", "label,e0\n,1\n"), ""},
		"embedding 0 is NaN":                                   {write("m.csv", "label,e0\na,NaN\n"), ""},
		`has the column "id"`:                                  {write("o.csv", "label,id,e0,e1\na,1,1,2\n"), ""},
		`has the column "class"`:                               {write("p.csv", "class,e0,e1\nant,1,2\n"), ""},
		"two columns label":                                    {write("n.csv", "label,label,e0\na,b,1\n"), ""},
		"the array ends after 0 of 1000000000000 elements":     {write("o.npy", npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000)}")), labels},
		"in Fortran order":                                     {write("p.npy", npy(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1)}")), labels},
		"expected elements '<f4' or '<f8'":                     {write("q.npy", npy(1, "{'descr': '<i8', 'fortran_order': False, 'shape': (1, 1)}")), labels},
		"expected a shape (embeddings, features)":              {write("r.npy", npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (4,)}")), labels},
		"more than the 1 elements":                             {write("s.npy", npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1)}", 0, 0, 0, 0, 1)), labels},
		"found no NumPy array":                                 {write("t.npy", "hello, world"), labels},
		"found the shape (99999999999999999999, 1)":            {write("u.npy", npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 1)}")), labels},
		"the header is cut off":                                {write("v.npy", "\x93NUMPY\x01\x00\x40\x00{}"), labels},
		"found a header of 4294967295 bytes, expected at most": {write("w.npy", "\x93NUMPY\x02\x00\xff\xff\xff\xff"), labels},
	} {
		_, err := evaluate.ReadFile(test[0], test[1])
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), test[0]) {
			t.Errorf("found error %v, want %q and the file %s", err, want, test[0])
		}
	}
}

func FuzzReadNpy(f *testing.F) {
	f.Add([]byte(npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1)}", 0, 0, 0, 0)))
	f.Add([]byte(npy(2, "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1)}", 0, 0, 0, 0, 0, 0, 0, 0)))
	f.Fuzz(func(t *testing.T, content []byte) {
		if e, err := evaluate.ReadNpy(strings.NewReader(string(content))); err == nil && len(e.Data) != e.Rows*e.Columns {
			t.Errorf("found %d elements of the shape (%d, %d)", len(e.Data), e.Rows, e.Columns)
		}
	})
}

func FuzzReadCSV(f *testing.F) {
	f.Add("file,e0,e1\na/b,1,2\n")
	f.Add("label,e0\na,1\n")
	f.Fuzz(func(t *testing.T, content string) {
		if table, err := evaluate.ReadCSV(strings.NewReader(content)); err == nil && (len(table.Labels) != table.Rows || !slices.IsSorted(table.Classes)) {
			t.Errorf("found %+v", table)
		}
	})
}

// Without a reader there is an error, not a panic, and an array that ends within its header
// is one that is cut off.
func TestReadNothing(t *testing.T) {
	if _, err := evaluate.ReadCSV(nil); err == nil {
		t.Error("CSV of no reader: found no error")
	}
	if _, err := evaluate.ReadNpy(nil); err == nil {
		t.Error("an array of no reader: found no error")
	}
	if _, err := evaluate.ReadCSV(strings.NewReader("")); err == nil || !strings.Contains(err.Error(), "header") {
		t.Errorf("an empty table: found error %v", err)
	}
	if _, err := evaluate.ReadNpy(strings.NewReader("\x93NUMPY\x02\x00\x10")); err == nil || err.Error() != "the header is cut off" {
		t.Errorf("an array of nine bytes: found error %v", err)
	}
}
