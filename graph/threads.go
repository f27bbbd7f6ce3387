package graph

import (
	"fmt"
	"runtime"

	"github.com/likeness-go/likeness/graph/internal/kernel"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
)

// MaxThreads is the largest number of threads that SetThreads takes: more than
// any machine has processors to gain by, and few enough that a mistyped number
// cannot exhaust the process's threads.
const MaxThreads = parallel.MaxThreads

// SetThreads sets how many threads every program uses. A number below 1 means 1
// and one above MaxThreads means MaxThreads. Results are the same, bit for bit,
// for any number.
func SetThreads(n int) { parallel.SetThreads(n) }

// Threads is the number of threads in use; at first it is that of the
// machine's processors.
func Threads() int { return parallel.Threads() }

// Parallel runs work for each i in [0, n), divided over the threads. The work
// of one i must not depend on that of another.
func Parallel(n int, work func(i int)) { parallel.For(n, work) }

// SetWinograd says whether graphs built from now on may compute 3×3
// convolutions in float32 by Winograd's algorithm, which is faster and rounds
// more: a test allows 3e-5 of the largest result. They may unless
// told otherwise, here or by the environment variable LIKENESS_WINOGRAD=off.
func SetWinograd(on bool) { kernel.SetWinograd(on) }

// SetFourier says whether graphs built from now on may compute convolutions with
// large kernels by the discrete Fourier transform, where that is faster: it rounds
// no more than long sums do, and takes memory for the spectra, some hundreds of
// MiB. They may unless told otherwise, here or by the environment variable
// LIKENESS_FOURIER=off.
func SetFourier(on bool) { kernel.SetFourier(on) }

// Arithmetic says how float32 graphs that are built now round: the architecture,
// the instructions of the kernels, and the algorithms of convolutions. Results are
// equal bit for bit only between programs of one Arithmetic.
func Arithmetic() string {
	algorithms := map[bool]string{true: "on", false: "off"}
	return fmt.Sprintf("%s %s, Winograd %s, Fourier %s", runtime.GOARCH, vector.For[float32]().Name(),
		algorithms[kernel.WinogradAllowed()], algorithms[kernel.FourierAllowed()])
}

// EnvironmentError says which of the environment variables LIKENESS_INSTRUCTIONS,
// LIKENESS_WINOGRAD and LIKENESS_FOURIER has an unknown value, what was found and
// what is expected; it is nil where none has. The variables are read once. Build
// returns the error, so that a mistyped value is not ignored; a program may check
// sooner. The name of an instruction set that this
// processor lacks is no error: a line on standard error says which one is used in
// its place.
func EnvironmentError() error { return errors.WithStack(kernel.EnvironmentError()) }
