// Package cache keeps embeddings of image files in a file, so that a later run of a program
// need neither decode nor embed an image again.
//
//	c, err := cache.Open(path, cache.Options{})
//	if err != nil {
//		log.Print(err) // and continue with a nil cache, which holds nothing
//	}
//	defer c.Close()
//	collection, err := retrieval.Embed(ctx, model, files, retrieval.Options{Cache: c})
//
// An image file is recognized by its absolute path, size, modification time and, where the
// operating system has them, device and inode; these lead to the SHA-256 of its content,
// and the content and a [Computation] to the embedding. So a file that was moved, copied or
// touched is read to compute its checksum but neither decoded nor embedded. As in other
// programs with such an index, a file that was modified less than two seconds before it was
// recorded is not recognized by its modification time, because a change within the
// resolution of the clock would not be noticed ("racily clean" entries of Git).
//
// Processes that open a cache with Options.Shared use it at the same time.
//
// The traits of images (package retrieval) are kept in the same way.
//
// A [Computation] identifies everything else that determines the bits of an embedding: the
// identity of the model with its preprocessing, test-time augmentation, the arithmetic of
// the processor and the program itself. An embedding of the cache is therefore, bit for bit,
// the one that the program would compute.
//
// The file is a bbolt database of limited size, from which the entries that were not used
// for the longest time are removed. Its values have checksums. A failure of the file is an
// error of Open or of [Cache.Err], never of looking something up.
package cache
