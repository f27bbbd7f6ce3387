// Package page shows a run to a person: one file, report.html, that a browser
// opens without a server and that asks nothing of anybody, and its charts as
// pictures beside it.
//
// It has one noun: a [Run] is what a training left behind, and Write puts the
// page and the pictures into a folder. Every chart is drawn once and rendered
// twice, as SVG within the page and as a PNG file. Images and charts are part of
// the file; class and file names are whatever their owners called them and are
// escaped; a Content-Security-Policy forbids scripts and every request.
package page
