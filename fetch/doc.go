// Package fetch downloads published data sets and weights of networks to a folder and
// verifies them. Package datasets reads the files of data sets, and package pytorch those
// of weights.
//
// A [Set] is a data set, or the weights of a network, as its authors publish it: [File]s
// with their URLs, sizes and SHA-256 checksums. [Names] lists the data sets that [Named]
// returns, and [WeightNames] the weights that [Weights] returns. A [Client] downloads them:
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
// whatever a server sends. Of weights, only the first eight digits of the checksum and no
// size are published: these digits find every accidental change, a file of someone who
// wants to deceive must be kept off by the encrypted connection, and the size that the
// server announces has a maximum. Only members of an archive that are listed by name, size and
// checksum are extracted; an archive with links or with names outside its root is an
// error.
package fetch
