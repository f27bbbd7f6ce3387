// Package collective lets the processes of one job exchange what a training needs: over MPI, or
// between goroutines of one process for tests.
//
// A Communicator belongs to one process of the job, its rank. All ranks call the same methods in
// the same order, as they do in MPI. A nil Communicator is a job of one process, so a program needs
// no second form for it:
//
//	sum := []float32{1, 2}
//	err := communicator.Sum("gradients", sum) // of all ranks, in a fixed order
//
// # Errors instead of hangs
//
// Each call begins with a header that all ranks exchange: the number of the call, its name and its
// size, and whether the rank has failed. If the headers differ, every rank gets an error that names
// both calls, where MPI alone would wait forever or mix the data up. A rank that fails calls Close
// with its error, and all others get that error from their next call as a *PeerError. After an error a
// Communicator is over: every call returns the error, and Close ends it.
//
// # The same bits for any number of ranks
//
// Sum adds the values of the ranks in a binary tree: neighbors first, then pairs of neighbors. A rank
// that adds up the values of consecutive parts of a batch in the same tree (TreeSum) and then calls Sum gets
// the result that one process gets with TreeSum of all parts, bit for bit, if the number of parts of a rank is a power of two.
// With a number of ranks that is a power of two this takes no more data than any other algorithm:
// each rank sends and receives 2·(R − 1)/R times the size of the values (recursive halving and
// doubling, Thakur, Rabenseifner & Gropp 2005, "Optimization of Collective Communication Operations in MPICH").
// Other numbers of ranks send whole vectors along the tree. FastSum lets MPI choose the algorithm; its
// bits depend on the number of ranks and on the MPI library.
//
// # MPI
//
// A program that is built with the tag mpi uses the MPI library through cgo, Open MPI or MPICH:
//
//	go build -tags mpi ./cmd/likeness
//	mpirun -np 8 --bind-to none ./likeness train
//
// Without the tag, no cgo and no MPI library are needed, and Connect refuses to run as one of several
// processes of mpirun, each of which would otherwise do the whole work. All calls of MPI are made on one thread
// of the operating system. The handlers of signals that an MPI library installs are replaced by those
// of Go, so that signals and nil dereferences remain what they are in any Go program.
package collective
