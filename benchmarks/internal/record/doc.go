// Package record writes down what a long check or a measurement came to.
//
// A Record is a Markdown file: what was run, on which state of the code, with
// which tools, on which machine and when, and below it the result. The program
// that has the result writes it, so that no record is copied by hand.
package record
