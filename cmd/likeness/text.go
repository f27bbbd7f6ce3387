package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/alecthomas/kong"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/pkg/errors"
)

// printable is a text that came from elsewhere, such as a file's name or a class, as
// it may be printed: what would forge a line, or is not UTF-8, is escaped.
func printable(s string) string { return wording.Printable(s) }

// printJSON writes a value as one line of JSON, which stays one on a terminal, too:
// inside texts, which alone can hold such characters, what would break the line is
// escaped in JSON's own way.
func (c *console) printJSON(value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return errors.Wrap(err, "print JSON")
	}
	var line strings.Builder
	for _, r := range string(text) {
		if wording.Breaks(r) {
			fmt.Fprintf(&line, `\u%04x`, r)
		} else {
			line.WriteRune(r)
		}
	}
	_, err = fmt.Fprintln(c.out, line.String())
	return err
}

// pathBytes is what JSON output says beside a path that is not UTF-8: its bytes in
// base64. A JSON string cannot hold them, and two paths must not become one. It is
// empty, to be left out, for a path that is UTF-8.
func pathBytes(path string) string {
	if utf8.ValidString(path) {
		return ""
	}
	return base64.StdEncoding.EncodeToString([]byte(path))
}

// errEmpty refuses an empty argument, which must not mean that none was given: most
// often it is a shell variable that is not set.
var errEmpty = errors.New("found an empty value, expected some text: perhaps a shell variable is not set")

// textMappers decode the texts of the command line byte by byte. Kong's own take them
// through JSON, which replaces what is not UTF-8, so that two files become one.
func textMappers() []kong.Option {
	return []kong.Option{
		kong.KindMapper(reflect.String, kong.MapperFunc(decodeText)),
		kong.TypeMapper(reflect.TypeFor[[]string](), kong.MapperFunc(decodeTexts)),
	}
}

func decodeText(ctx *kong.DecodeContext, target reflect.Value) error {
	token, err := ctx.Scan.PopValue("string")
	if err != nil {
		return err
	}
	text := token.String()
	if text == "" {
		return errEmpty
	}
	target.SetString(text)
	return nil
}

// decodeTexts takes all arguments that follow, or the value of a flag, cut at commas.
func decodeTexts(ctx *kong.DecodeContext, target reflect.Value) error {
	var texts []string
	if ctx.Value.Flag == nil {
		for _, token := range ctx.Scan.PopWhile(kong.Token.IsValue) {
			texts = append(texts, token.String())
		}
	} else {
		token, err := ctx.Scan.PopValue("string")
		if err != nil {
			return err
		}
		texts = splitList(token.String(), ctx.Value.Tag.Sep)
	}
	for _, text := range texts {
		if text == "" {
			return errEmpty
		}
		target.Set(reflect.Append(target, reflect.ValueOf(text)))
	}
	return nil
}

// splitList cuts a list at a separator, as kong.SplitEscaped does: a backslash before
// it makes it a part of an element, and one at the end of the list counts for nothing.
// The separator -1 does not cut.
func splitList(list string, separator rune) []string {
	var elements []string
	var element []byte
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case rune(c) == separator:
			elements = append(elements, string(element))
			element = nil
		case c == '\\' && separator != -1 && i+1 < len(list):
			if i++; rune(list[i]) != separator {
				element = append(element, c)
			}
			element = append(element, list[i])
		default:
			element = append(element, c)
		}
	}
	if len(element) > 0 || len(elements) == 0 {
		elements = append(elements, string(element))
	}
	return elements
}
