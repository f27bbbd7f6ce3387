package datasets

import (
	"fmt"
	"slices"
	"strings"
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
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
