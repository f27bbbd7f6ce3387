package collective

import (
	"context"
	"os"
	"strconv"

	"github.com/pkg/errors"
)

// Launched is what a launcher such as mpirun tells its processes by environment variables.
type Launched struct {
	Size  int // processes of the job; 0 if there is no launcher
	Rank  int
	Local int // processes of the job on this machine; 0 if unknown
}

// Launcher returns what mpirun of Open MPI (OMPI_COMM_WORLD_SIZE) or of MPICH (PMI_SIZE), or srun of Slurm says.
func Launcher() Launched {
	number := func(names ...string) int {
		for _, name := range names {
			if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n >= 0 {
				return n
			}
		}
		return 0
	}
	if os.Getenv("OMPI_COMM_WORLD_SIZE") == "" && os.Getenv("PMIX_RANK") != "" {
		return Launched{Size: number("SLURM_STEP_NUM_TASKS"), Rank: number("PMIX_RANK")} // srun --mpi=pmix
	}
	return Launched{
		Size:  number("OMPI_COMM_WORLD_SIZE", "PMI_SIZE"),
		Rank:  number("OMPI_COMM_WORLD_RANK", "PMI_RANK"),
		Local: number("OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"),
	}
}

// ErrNoMPI is the error of a program that mpirun starts several times, but that is built without
// MPI.
var ErrNoMPI = errors.New("this program is built without MPI, so that each process would do the whole work")

// Connect connects this process to the others of its job. Without a launcher it returns nil, the
// communicator of a job of one process. The error is ErrNoMPI if there are several processes and the program was
// built without the tag mpi. End the communicator with Close.
func Connect() (*Communicator, error) { return connectOver(directly) }

func connectOver(over func(transport) transport) (*Communicator, error) {
	launched := Launcher()
	if !Built {
		if launched.Size > 1 {
			return nil, errors.Wrapf(ErrNoMPI, "found %d processes of mpirun: build it with go build -tags mpi ./cmd/likeness (which needs cgo and an MPI library, such as Debian's openmpi-bin and libopenmpi-dev), or start it without mpirun", launched.Size)
		}
		return nil, nil
	}
	if launched.Size == 0 {
		return nil, nil
	}
	t, err := connect()
	if err != nil {
		return nil, errors.Wrap(err, "MPI")
	}
	if t.size() != launched.Size {
		size := t.size()
		_ = t.finalize()
		return nil, errors.Errorf("MPI: found %d processes, but the launcher started %d: use mpirun of the MPI library that the program is built with", size, launched.Size)
	}
	return newCommunicator(over(t))
}

type contextKey struct{}

// NewContext returns a context with which functions of package run train as one rank of a job.
func NewContext(ctx context.Context, c *Communicator) context.Context {
	if ctx == nil {
		ctx = context.Background()
	}
	return context.WithValue(ctx, contextKey{}, c)
}

// FromContext returns the communicator of a context; nil if it has none.
func FromContext(ctx context.Context) *Communicator {
	if ctx == nil {
		return nil
	}
	c, _ := ctx.Value(contextKey{}).(*Communicator)
	return c
}
