package datasets

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// pick returns the values at the indices; a nil slice stays nil.
func pick[T any](values []T, indices []int) []T {
	if values == nil {
		return nil
	}
	result := make([]T, len(indices))
	for i, index := range indices {
		result[i] = values[index]
	}
	return result
}

// intersection returns the names of a that are in b, in the order of a.
func intersection(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(name string) bool { return !slices.Contains(b, name) })
}

// difference returns the names of a that are not in b, in the order of a.
func difference(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(name string) bool { return slices.Contains(b, name) })
}

func duplicate(names []string) (string, bool) {
	seen := map[string]bool{}
	for _, name := range names {
		if seen[name] {
			return name, true
		}
		seen[name] = true
	}
	return "", false
}

// listing writes names for a message, no more than ten of them.
func listing(names []string) string {
	const most = 10
	if len(names) == 0 {
		return "nothing"
	}
	var short []string
	for _, name := range names[:min(len(names), most)] {
		short = append(short, cut(name))
	}
	if len(names) <= most {
		return strings.Join(short, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(short, ", "), len(names)-most)
}

// mostQuoted is how many bytes of what was found a message repeats.
const mostQuoted = 80

// quoted is a text in quotation marks for a message, cut where it is long: what was
// found may be a whole file.
func quoted(text string) string {
	if len(text) <= mostQuoted {
		return strconv.Quote(text)
	}
	return fmt.Sprintf("%s… (%d bytes)", strconv.Quote(beginning(text)), len(text))
}

// cut is a name for a message, shortened where it is long.
func cut(name string) string {
	if len(name) <= mostQuoted {
		return name
	}
	return beginning(name) + "…"
}

// beginning is the first bytes of a text, up to the end of a letter.
func beginning(text string) string {
	end := mostQuoted
	for end > mostQuoted-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}
