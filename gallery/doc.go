// Package gallery recognizes classes from one or a few example images of each, and
// rejects images of unknown classes (open-set identification).
//
// A [Gallery] has enrolled examples, in a file: the embeddings of a model, by class. An
// [Example] holds the source and the time of an enrolled image. Identify returns the
// nearest classes as [Candidate]s; Verify decides whether an image is of a claimed class.
// Both decide by a rejection threshold, which Calibrate chooses for a given false accept
// rate.
//
//	faces, err := gallery.Create("faces.gallery", model, gallery.Options{})
//	err = faces.EnrollFiles(ctx, "alice", "alice.jpg")
//	found, err := faces.Identify(photo, 3) // found.Class() is "" for an unknown person
//
// # PostgreSQL
//
// The path of a gallery is a file or a URI such as postgres://likeness@localhost/faces, whose
// database needs the extension vector (pgvector 0.8 or newer). Several processes can have it
// open. Its parameters are those of pgx, which take passwords from PGPASSWORD or ~/.pgpass,
// and these:
//
//   - schema: that of the tables, by default likeness;
//   - search=exact: do not search the index that Index has built;
//   - ef_search, iterative_scan: the search breadth of the index (default 200) and whether a
//     search continues until it has enough rows (strict_order, relaxed_order or off);
//   - index_type=halfvec, m, ef_construction: the index that Index builds.
//
// The database selects candidates, and the model's own distance orders them: exact searches
// give the answers of a file, bit for bit. Index builds an index for approximate, faster
// search; Identification.Approximate reports its use. No error has a password of a URI.
//
// # Guarantees
//
// When a method that changes the gallery returns without an error, the change is on disk
// and survives a crash of the process; a change that fails has no effect. One process can
// have a file open for writing, or several for reading; others get ErrLocked.
// Embeddings of different models are not mixed: opening a gallery with another model than
// that of its creation is ErrModel. A Gallery is safe for concurrent use. If several
// processes call OpenOrCreate for the same new gallery, one creates it and the others
// wait and open it.
//
// The names of new classes contain no control characters and have one representation;
// see CheckClassName. Paths are byte strings and need not be UTF-8.
//
// # False accept rates
//
// A false accept rate refers to one comparison: of an image with one example of
// another class. Identify compares an image of an unknown class with all examples, so
// that among C examples it is accepted with up to C times that probability. Choose the
// rate accordingly. Calibrate on classes that the network was not trained on, because
// it separates its training classes better than others.
//
// # Guarantees of rates
//
// CalibrateWithGuarantee chooses the threshold so that the rate of accepted images of unknown
// classes is at most a [Guarantee] with a confidence, from one image of each class that the
// gallery does not have, and EnrolledSince reports whether it still covers the gallery.
// IdentifySets also finds a [CandidateSet], all classes that cannot be excluded at a
// confidence. Both state what is guaranteed and what is not.
//
// # Search
//
// All examples of a file are held in memory and searched exactly; see package index. A
// million examples of 64 features take 2 to 3 ms for one image on two processors with AVX-512,
// and a tenth of that for each of many images. An approximate index in a file of an earlier version is
// ignored, and removed by the next change of the file.
package gallery
