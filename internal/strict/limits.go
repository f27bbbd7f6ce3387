package strict

import (
	"strings"
	"unicode/utf8"

	"github.com/pkg/errors"
)

// Reading TOML takes time and memory by the square of how deep keys and values lie,
// so both are bounded before it is read, and the text is, too.
const (
	mostBytes  = 1 << 18 // of a text
	mostNested = 32      // arrays and tables, one within the other, in one value
	mostParts  = 16      // of a key, a.b.c having three
)

// check says whether the text is within the limits. It is no parser: of a text that
// is no TOML it may say anything but that it is long or deep where it is not.
func check(text string) error {
	if len(text) > mostBytes {
		return errors.Errorf("found %d bytes, expected at most %d", len(text), mostBytes)
	}
	// The decoder takes some of what is not text for an empty file.
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRuneInString(text[at:])
		if r == 0 || r == utf8.RuneError && size == 1 {
			return errors.Errorf("line %d: found the byte %#x, expected text in UTF-8", 1+strings.Count(text[:at], "\n"), text[at])
		}
		at += size
	}
	line, nested, dots := 1, 0, 0
	for len(text) > 0 {
		skipped := 1
		switch c := text[0]; c {
		case '\n':
			// A value may go on in the next line, but a key does not.
			line, dots = line+1, 0
		case '#':
			skipped = to(text, "\n")
		case '"', '\'':
			skipped = quoted(text)
			line += strings.Count(text[:skipped], "\n")
		case '[', '{':
			nested++
		case ']', '}':
			nested = max(nested-1, 0)
		case '=', ',':
			dots = 0
		case '.':
			dots++
		}
		switch {
		case nested > mostNested:
			return errors.Errorf("line %d: found arrays and tables one within the other, expected at most %d levels", line, mostNested)
		case dots >= mostParts:
			return errors.Errorf("line %d: found a key of more than %d parts", line, mostParts)
		}
		text = text[skipped:]
	}
	return nil
}

// quoted is the length of the string that a text begins with, to the end of the text
// if it has none.
func quoted(text string) int {
	quote := text[:1]
	if long := strings.Repeat(quote, 3); strings.HasPrefix(text, long) {
		quote = long
	}
	for at := len(quote); at < len(text); at++ {
		switch {
		case text[at] == '\\' && quote[0] == '"':
			at++
		case strings.HasPrefix(text[at:], quote):
			return at + len(quote)
		case text[at] == '\n' && len(quote) == 1:
			return at // no string of one line goes on here
		}
	}
	return len(text)
}

// to is where a text goes on with a mark, or ends.
func to(text, mark string) int {
	if at := strings.Index(text, mark); at >= 0 {
		return at
	}
	return len(text)
}
