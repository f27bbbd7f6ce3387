// Package printable makes texts that came from elsewhere, such as the names of files
// and classes, safe to print in one line.
package printable

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Breaks reports whether a character can change how the text around it is shown: a
// control character (Unicode category Cc), a line or paragraph separator (U+2028,
// U+2029), or one that changes the direction of text (the property Bidi_Control of
// UAX #9), such as the right-to-left override U+202E.
func Breaks(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
}

// Visible reports whether a character leaves a mark where it is shown, by itself. White
// space, format characters (Unicode category Cf, such as the zero-width space U+200B)
// and what Unicode otherwise says to show as nothing or as blank (the Hangul fillers
// U+115F, U+1160, U+3164 and U+FFA0, variation selectors, the blank braille pattern)
// do not.
func Visible(r rune) bool {
	return !unicode.IsSpace(r) && !unicode.IsControl(r) && !unicode.In(r, unicode.Cf, unicode.Zs, unicode.Zl, unicode.Zp,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) && r != '\u2800'
}

// String returns the text with each character that Breaks, and each byte that is not
// UTF-8, replaced by its escape in Go's syntax, such as \n, \x1b, \u202e or \xff. All
// else, the backslash too, stays as it is.
func String(s string) string {
	clean := func(r rune) bool { return r != utf8.RuneError && !Breaks(r) }
	if strings.IndexFunc(s, func(r rune) bool { return !clean(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		part := s[i : i+size]
		if Breaks(r) || r == utf8.RuneError && size == 1 {
			quoted := strconv.QuoteToASCII(part)
			part = quoted[1 : len(quoted)-1]
		}
		b.WriteString(part)
		i += size
	}
	return b.String()
}
