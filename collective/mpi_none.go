//go:build !mpi || !cgo

package collective

import "github.com/pkg/errors"

// Built reports whether this program is built with MPI (the tag mpi).
const Built = false

func connect() (transport, error) { return nil, errors.WithStack(ErrNoMPI) }
