// Package fetch downloads published data sets to a folder and verifies them. Package
// datasets reads the files.
//
// A [Set] is a data set as its authors publish it: [File]s with their URLs, sizes and
// SHA-256 checksums. [Names] lists the sets that [Named] returns. A [Client] downloads
// them:
//
//	set, err := fetch.Named("omniglot")
//	err = fetch.Client{}.Fetch(ctx, set, folder)
//
// Existing files are verified and kept. A file is downloaded to NAME.part and renamed when
// it is complete and its checksum is correct. After a lost connection, or in another
// process, the download is resumed if the server still has the same file (RFC 9110,
// sections 13.1.5 and 14); otherwise it starts again. Temporary failures are retried a
// limited number of times.
//
// # Security
//
// Only the checksum is trusted. No more bytes are written than the known size of a file,
// whatever a server sends. Only members of an archive that are listed by name, size and
// checksum are extracted; an archive with links or with names outside its root is an
// error.
package fetch
