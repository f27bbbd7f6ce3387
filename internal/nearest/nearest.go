// Package nearest finds the known name that a mistyped one was meant to be.
package nearest

import (
	"fmt"
	"strings"
)

// Name returns the known name with the smallest edit distance (Levenshtein)
// from found, the first among equals; it is empty when none is within half of
// found's length.
func Name(found string, known []string) string {
	best, least := "", len(found)/2+1
	for _, name := range known {
		if d := distance(strings.ToLower(found), strings.ToLower(name)); d < least {
			best, least = name, d
		}
	}
	return best
}

// Unknown says that a name is unknown, which was probably meant, and which
// there are: `unknown head "l3": did you mean "l2"? There are l1, l2`.
func Unknown(what, found string, known []string) error {
	message := fmt.Sprintf("unknown %s %q", what, found)
	if name := Name(found, known); name != "" {
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
