// Package wording has what messages share: the known name that an unknown one
// probably means, by its spelling or because other programs call it so, and texts of
// unknown origin made safe to print.
package wording

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Nearest returns the known name with the smallest edit distance (Levenshtein)
// from found, the first among equals; it is empty when none is within half of
// found's length.
func Nearest(found string, known []string) string {
	best, smallest := "", len(found)/2+1
	for _, name := range known {
		if d := distance(strings.ToLower(found), strings.ToLower(name)); d < smallest {
			best, smallest = name, d
		}
	}
	return best
}

// Meant returns the known name that an unknown one was meant to be: the first known
// one among its synonyms, or else the nearest. It is empty if there is none.
func Meant(found string, known []string) string {
	plain := strings.NewReplacer("-", "", "_", "")
	key := plain.Replace(strings.ToLower(found))
	for _, synonym := range synonyms[key] {
		for _, name := range known {
			if plain.Replace(strings.ToLower(name)) == synonym {
				return name
			}
		}
	}
	return Nearest(found, known)
}

// Unknown is the error that a name is unknown, with the name that was meant and all
// known names: `unknown head "l3": did you mean "l2"? There are l1, l2`.
func Unknown(what, found string, known []string) error {
	message := fmt.Sprintf("unknown %s %q", what, found)
	if name := Meant(found, known); name != "" {
		message += fmt.Sprintf(": did you mean %q?", name)
	} else {
		message += "."
	}
	return fmt.Errorf("%s There are %s", message, strings.Join(known, ", "))
}

func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

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

// Printable returns the text with each character that Breaks, and each byte that is not
// UTF-8, replaced by its escape in Go's syntax, such as \n, \x1b, \u202e or \xff. All
// else, the backslash too, stays as it is.
func Printable(s string) string {
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
