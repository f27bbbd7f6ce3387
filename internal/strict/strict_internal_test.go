package strict

import (
	"strings"
	"testing"
)

func TestDecodeRefusesWhatIsLongOrDeep(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"a long text":        {strings.Repeat("#\n", maxBytes/2) + "#", "file: found 262145 bytes, expected at most 262144"},
		"arrays in arrays":   {"\nany = " + strings.Repeat("[", 33) + strings.Repeat("]", 33), "file: line 2: found arrays and tables"},
		"tables in tables":   {"any = " + strings.Repeat("{any = ", 33) + "1" + strings.Repeat("}", 33), "file: line 1: found arrays and tables"},
		"a key of 17 parts":  {"any" + strings.Repeat(".any", 16) + " = 1", "file: line 1: found a key of more than 16 parts"},
		"a table of 17":      {"[any" + strings.Repeat(".any", 16) + "]", "file: line 1: found a key of more than 16 parts"},
		"after a long text":  {"any = '''\n[[[[\n'''\n" + strings.Repeat("[", 33), "file: line 4: found arrays and tables"},
		"after an open text": {"any = 'x\n" + strings.Repeat("[", 33), "file: line 2: found arrays and tables"},
	} {
		var value struct {
			Any any `toml:"any"`
		}
		if err := Decode(test.text, "file", &value); err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s: found error %.80v, expected %s", name, err, test.want)
		}
	}
}

func TestDecodeAllowsWhatOnlyLooksDeep(t *testing.T) {
	brackets, dots := strings.Repeat("[", 40), strings.Repeat(".", 40)
	for _, text := range []string{
		"any = \"" + brackets + dots + "\\\"" + brackets + "\"",
		"any = '" + brackets + dots + "'",
		"any = \"\"\"\n\"" + brackets + "\"\n" + dots + "\"\"\"",
		"any = 1 # " + brackets + dots,
		"any = [" + strings.Repeat("[1.5, 2.5], ", 40) + "]",
	} {
		var value struct {
			Any any `toml:"any"`
		}
		if err := Decode(text, "file", &value); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestDecodeRefusesOtherCapitals(t *testing.T) {
	for text, want := range map[string]string{
		"Name = 'a'":              `file: Name: unknown key "Name": did you mean "name"?`,
		"[[rows]]\n[rows.Nested]": `file: rows.Nested: unknown key "Nested": did you mean "nested"?`,
	} {
		var value struct {
			Name string `toml:"name"`
			Rows []row  `toml:"rows"`
		}
		if err := Decode(text, "file", &value); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: found error %v, expected %s", text, err, want)
		}
	}
}

// Whatever the text, Decode returns soon, and what it accepts is a table.
func FuzzDecode(f *testing.F) {
	f.Add("name = \"a\"\n[[rows]]\ncount = 3\n[[rows]]\nnested = {name = 'b'}")
	f.Add("rows = [{nested = {nested = {nested = {}}}}]")
	f.Add("name = \"\"\"\n[[\"\n\\\"\"\"\"")
	f.Add("numbers = [1e308, -inf, nan, 0x7f, 1_000]\nwhen = 1979-05-27T07:32:00Z")
	f.Fuzz(func(t *testing.T, text string) {
		var value struct {
			Name    string         `toml:"name"`
			Rows    []row          `toml:"rows"`
			Numbers []float64      `toml:"numbers"`
			Any     map[string]any `toml:"any"`
		}
		if err := Decode(text, "file", &value); err != nil && !strings.HasPrefix(err.Error(), "file: ") {
			t.Errorf("found error %q, expected one that names the file", err)
		}
	})
}

type row struct {
	Count  int    `toml:"count"`
	Nested *row   `toml:"nested"`
	Name   string `toml:"name"`
}
