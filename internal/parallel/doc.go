// Package parallel divides work among the processors. It is the one place of this
// module that decides how many goroutines work at the same time.
//
//   - For is for computation: it calls a function for every index in [0, n) on the
//     thread pool and returns when all calls are done. A panic of the function
//     reaches the caller.
//   - ForWorkers is For for functions that need scratch memory of their own: it also
//     passes the number of the worker.
//   - Each is for work that may fail or wait, such as reading files: it takes a
//     context and returns the error of the lowest index that failed.
//
// SetThreads sets the thread limit, which no call exceeds. The functions promise
// nothing about the order in which calls run, so calls with different indices must
// not write to the same memory. A result that depends on the order, such as a sum, is
// computed as partial sums by index, which the caller then adds up in order; this is
// how the results of this module are equal, bit for bit, for any number of threads.
//
// The workers of For are persistent while they are retained by Retain, because starting
// goroutines, or waking them, takes longer than many kernels of a network.
package parallel
