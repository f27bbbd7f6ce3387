// Package fetch brings published data sets from their sources to a folder. It
// knows HTTP and checksums and nothing of images: package datasets reads what it
// leaves there.
//
// There are few nouns. A [Set] is a data set as its authors publish it: [File]s,
// each with the places that have it, its size and its SHA-256 checksum. [Names]
// are the sets that [Named] knows. A [Client] fetches:
//
//	set, err := fetch.Named("omniglot")
//	err = fetch.Client{}.Fetch(ctx, set, folder)
//
// What is there already is checked and stays. A file grows in NAME.part and takes
// its own name when it is whole and its checksum holds. A cut connection, or a
// program that was ended, goes on where it stopped, if the server still has the
// same file (RFC 9110, sections 13.1.5 and 14); another file is begun anew.
// Failures that may pass are tried again, a bounded number of times.
//
// # Security
//
// A checksum is the only thing that is trusted. No more is written than the size
// that a file is known to have, whatever a server sends. Of an archive no file is
// unpacked but those that are asked for by name, size and checksum; an archive
// with a link, or with a name that leads out of it, is refused.
package fetch
