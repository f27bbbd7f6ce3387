// Package record writes the results of long checks and measurements to files.
//
// A Record is a Markdown file: the command, the commit, the versions of the tools, the
// machine and the date, followed by the result. The program that computes the result also
// writes the file, so that no figure is copied by hand.
package record
