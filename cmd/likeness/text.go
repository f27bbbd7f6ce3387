package main

import safe "github.com/likeness-go/likeness/internal/printable"

// printable is a text that came from elsewhere, such as a file's name or a class, as
// it may be printed: what would forge a line, or is not UTF-8, is escaped.
func printable(s string) string { return safe.String(s) }
