package graph

import (
	"fmt"
	"runtime"

	"github.com/likeness-go/likeness/graph/internal/kernel"
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
)

// MaxThreads is the largest number of threads of SetThreads: more than the number of
// processors of any machine, and few enough that a mistyped number cannot exhaust the
// threads of the process.
const MaxThreads = parallel.MaxThreads

// SetThreads sets the number of threads that programs use. A number below 1 means 1 and
// one above MaxThreads means MaxThreads. Results are the same, bit for bit, for any
// number.
func SetThreads(n int) { parallel.SetThreads(n) }

// Threads returns the number of threads that programs use. The default is the number of
// processors.
func Threads() int { return parallel.Threads() }

// Parallel calls work for each i in [0, n), divided among the threads. A call must not
// depend on another one.
func Parallel(n int, work func(i int)) { parallel.For(n, work) }

// SetWinograd allows or forbids graphs that are built later to compute 3×3
// convolutions in float32 by Winograd's algorithm, which is faster and has larger
// rounding errors: a test allows 3e-5 of the largest result. The default is true,
// unless the environment variable LIKENESS_WINOGRAD is off.
func SetWinograd(on bool) { kernel.SetWinograd(on) }

// SetFourier allows or forbids graphs that are built later to compute convolutions
// with large kernels by the discrete Fourier transform where that is faster. Its
// rounding errors are no larger than those of long sums; its spectra need some
// hundreds of MiB. The default is true, unless the environment variable
// LIKENESS_FOURIER is off.
func SetFourier(on bool) { kernel.SetFourier(on) }

// Arithmetic describes what determines the rounding of float32 graphs: the architecture,
// the instruction set of the kernels, and the algorithms of convolutions. Results are
// equal bit for bit only between programs with the same Arithmetic.
func Arithmetic() string {
	algorithms := map[bool]string{true: "on", false: "off"}
	return fmt.Sprintf("%s %s, Winograd %s, Fourier %s", runtime.GOARCH, vector.For[float32]().Name(),
		algorithms[kernel.WinogradAllowed()], algorithms[kernel.FourierAllowed()])
}

// EnvironmentError returns an error if one of the environment variables
// LIKENESS_INSTRUCTIONS, LIKENESS_WINOGRAD, LIKENESS_FOURIER and LIKENESS_PAIRS has an unknown value.
// The variables are read once. Build returns this error, too; a program may check
// earlier. The name of an instruction set that the processor lacks is not an error: a
// line on standard error names the one that is used instead.
func EnvironmentError() error { return errors.WithStack(kernel.EnvironmentError()) }
