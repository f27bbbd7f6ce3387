//go:build mpi && cgo

package collective

/*
#cgo !mpich pkg-config: ompi-c
#cgo mpich pkg-config: mpich
#include <mpi.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

// init initializes MPI and puts back the handlers of signals that it replaces: those of the Go
// runtime, which need the flag SA_ONSTACK and make panics of invalid memory accesses.
static int likeness_init(int *provided) {
	struct sigaction before[65];
	int known[65];
	for (int i = 1; i < 65; i++)
		known[i] = sigaction(i, NULL, &before[i]) == 0;
	int code = MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, provided);
	for (int i = 1; i < 65; i++)
		if (known[i])
			sigaction(i, &before[i], NULL);
	if (code == MPI_SUCCESS)
		code = MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
	return code;
}

// Another thread sets aborting; the thread of MPI, which waits, then ends the job.
static volatile int likeness_aborting;

static double likeness_seconds(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + 1e-9 * now.tv_nsec;
}

// wait polls, for MPI makes progress only when it is called. It sleeps between polls after some time: another
// rank may compute for minutes, perhaps on the same processor.
static int likeness_wait(int n, MPI_Request *requests) {
	double began = 0;
	for (int polls = 0;; polls++) {
		int done = 0;
		int code = MPI_Testall(n, requests, &done, MPI_STATUSES_IGNORE);
		if (code != MPI_SUCCESS || done)
			return code;
		if (likeness_aborting)
			MPI_Abort(MPI_COMM_WORLD, 1);
		if (polls % 16 != 15)
			continue;
		double now = likeness_seconds();
		if (began == 0)
			began = now;
		double waited = now - began;
		if (waited < 100e-6)
			continue;
		if (waited < 2e-3) {
			sched_yield();
			continue;
		}
		struct timespec pause = {0, waited < 0.1 ? 50 * 1000 : waited < 2 ? 500 * 1000 : 5 * 1000 * 1000};
		nanosleep(&pause, NULL);
	}
}

static int likeness_gather(void *all, void *own, int length) {
	MPI_Request request;
	int code = MPI_Iallgather(own, length, MPI_BYTE, all, length, MPI_BYTE, MPI_COMM_WORLD, &request);
	return code == MPI_SUCCESS ? likeness_wait(1, &request) : code;
}

static int likeness_broadcast(void *data, int length) {
	MPI_Request request;
	int code = MPI_Ibcast(data, length, MPI_BYTE, 0, MPI_COMM_WORLD, &request);
	return code == MPI_SUCCESS ? likeness_wait(1, &request) : code;
}

static int likeness_exchange(int partner, void *send, int sent, void *receive, int received) {
	MPI_Request requests[2];
	int n = 0, code = MPI_SUCCESS;
	if (received > 0)
		code = MPI_Irecv(receive, received, MPI_BYTE, partner, 1, MPI_COMM_WORLD, &requests[n++]);
	if (code == MPI_SUCCESS && sent > 0)
		code = MPI_Isend(send, sent, MPI_BYTE, partner, 1, MPI_COMM_WORLD, &requests[n++]);
	return code == MPI_SUCCESS && n > 0 ? likeness_wait(n, requests) : code;
}

static int likeness_sum(float *values, int n) {
	MPI_Request request;
	int code = MPI_Iallreduce(MPI_IN_PLACE, values, n, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD, &request);
	return code == MPI_SUCCESS ? likeness_wait(1, &request) : code;
}

static int likeness_rank(int *rank, int *size) {
	int code = MPI_Comm_rank(MPI_COMM_WORLD, rank);
	return code == MPI_SUCCESS ? MPI_Comm_size(MPI_COMM_WORLD, size) : code;
}

static int likeness_barrier(void) {
	MPI_Request request;
	int code = MPI_Ibarrier(MPI_COMM_WORLD, &request);
	return code == MPI_SUCCESS ? likeness_wait(1, &request) : code;
}

static void likeness_abort(void) { likeness_aborting = 1; }
*/
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"github.com/pkg/errors"
)

// Built reports whether this program is built with MPI (the tag mpi).
const Built = true

// world is the transport of MPI_COMM_WORLD. Its calls are made by one thread.
type world struct {
	calls      chan func()
	own, ranks int
}

// connect initializes MPI on a thread of its own.
func connect() (transport, error) {
	w := &world{calls: make(chan func())}
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		for call := range w.calls {
			call()
		}
	}()
	err := w.do("initialize", func() C.int {
		var provided C.int
		if code := C.likeness_init(&provided); code != C.MPI_SUCCESS {
			return code
		}
		if provided < C.MPI_THREAD_SERIALIZED {
			return C.MPI_ERR_OTHER
		}
		var rank, size C.int
		code := C.likeness_rank(&rank, &size)
		w.own, w.ranks = int(rank), int(size)
		return code
	})
	if err != nil {
		return nil, err
	}
	return w, nil
}

// do makes a call on the thread of MPI.
func (w *world) do(what string, call func() C.int) error {
	var code C.int
	var text string
	done := make(chan struct{})
	w.calls <- func() {
		defer close(done)
		if code = call(); code != C.MPI_SUCCESS {
			buffer := make([]C.char, C.MPI_MAX_ERROR_STRING)
			var length C.int
			C.MPI_Error_string(code, &buffer[0], &length)
			text = C.GoStringN(&buffer[0], length)
		}
	}
	<-done
	if code == C.MPI_SUCCESS {
		return nil
	}
	return errors.Errorf("%s: %s", what, text)
}

func (w *world) rank() int { return w.own }
func (w *world) size() int { return w.ranks }

// longest is the length of one message, whose count MPI takes as an int of 32 bits.
const longest = 1 << 30

func pointer(data []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(data)) }

func (w *world) gather(all, own []byte) error {
	if len(own) == 0 {
		return nil
	}
	if len(own) > longest {
		return errors.Errorf("gather: found %d bytes of each rank, expected at most %d", len(own), longest)
	}
	return w.do("gather", func() C.int { return C.likeness_gather(pointer(all), pointer(own), C.int(len(own))) })
}

func (w *world) broadcast(data []byte) error {
	for len(data) > 0 {
		part := data[:min(longest, len(data))]
		if err := w.do("broadcast", func() C.int { return C.likeness_broadcast(pointer(part), C.int(len(part))) }); err != nil {
			return err
		}
		data = data[len(part):]
	}
	return nil
}

func (w *world) exchange(partner int, send, receive []byte) error {
	for len(send) > 0 || len(receive) > 0 {
		out, in := send[:min(longest, len(send))], receive[:min(longest, len(receive))]
		err := w.do(fmt.Sprintf("exchange with rank %d", partner), func() C.int {
			return C.likeness_exchange(C.int(partner), pointer(out), C.int(len(out)), pointer(in), C.int(len(in)))
		})
		if err != nil {
			return err
		}
		send, receive = send[len(out):], receive[len(in):]
	}
	return nil
}

func (w *world) sum(values []float32) error {
	for len(values) > 0 {
		part := values[:min(longest/4, len(values))]
		err := w.do("sum", func() C.int {
			return C.likeness_sum((*C.float)(pointer(bytesOf(part))), C.int(len(part)))
		})
		if err != nil {
			return err
		}
		values = values[len(part):]
	}
	return nil
}

// finalize waits for the other ranks without using a processor, and then ends MPI.
func (w *world) finalize() error {
	err := w.do("barrier", func() C.int { return C.likeness_barrier() })
	if err == nil {
		err = w.do("finalize", func() C.int { return C.MPI_Finalize() })
	}
	close(w.calls)
	return err
}

// abort makes the thread of MPI, which waits, end all processes of the job, this one included.
func (w *world) abort(message string) {
	fmt.Fprintf(os.Stderr, "likeness: %s\n", message)
	C.likeness_abort()
}
