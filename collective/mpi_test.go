package collective_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/likeness-go/likeness/collective"
	"github.com/likeness-go/likeness/internal/testutil"
)

// asRank says in the environment what a process of TestMPI does.
const asRank = "LIKENESS_MPI_RANK"

// The calls over a real MPI library, between processes.
func TestMPI(t *testing.T) {
	mpirun := testutil.MPI(t)
	program := filepath.Join(t.TempDir(), "collective.test")
	if out, err := exec.Command("go", "test", "-c", "-tags", "mpi", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build with -tags mpi: %v\n%s", err, out)
	}
	for what, want := range map[string]string{"calls": "", "mismatch": "the ranks of the job do not do the same", "error": "the disk is full", "killed": "signal 9", "silent": "the disk is full"} {
		for _, ranks := range []int{1, 3, 4} {
			if ranks == 1 && want != "" {
				continue
			}
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			start := time.Now()
			command := exec.CommandContext(ctx, mpirun[0], append(mpirun[1:], "-np", fmt.Sprint(ranks), program, "-test.run", "^TestMPIRank$")...)
			command.Env = append(os.Environ(), asRank+"="+what)
			out, err := command.CombinedOutput()
			if (err != nil) != (want != "") || !strings.Contains(string(out), want) || ctx.Err() != nil {
				t.Errorf("%s on %d ranks: found the error %v, expected the text %q\n%s", what, ranks, err, want, out)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("%s on %d ranks took %v, expected at most 10 s", what, ranks, took)
			}
			stop()
		}
	}
}

// TestMPIRank is what each process of TestMPI does.
func TestMPIRank(t *testing.T) {
	what := os.Getenv(asRank)
	if what == "" {
		t.Skip("it is a process of TestMPI")
	}
	c, err := collective.Connect()
	if err != nil {
		t.Fatal(err)
	}
	err = map[string]func(*collective.Communicator) error{"calls": calls, "mismatch": mismatched, "error": erring, "killed": killed, "silent": silent}[what](c)
	if closing := c.Close(err); err == nil {
		err = closing
	}
	if err != nil {
		t.Error(err)
	}
}

func calls(c *collective.Communicator) error {
	if err := signals(); err != nil {
		return err
	}
	const parts = 12
	for _, length := range []int{0, 1, 5, 300000} {
		each := parts / c.Size()
		if each&(each-1) != 0 && c.Size() > 1 {
			each = 1
		}
		count := each * c.Size()
		own, want := vectors(count, length)[c.Rank()*each:][:each], vectors(count, length)
		if err := errors.Join(collective.TreeSum(own...), collective.TreeSum(want...)); err != nil {
			return err
		}
		if err := c.Sum("values", own[0]); err != nil {
			return err
		}
		if !slices.Equal(own[0], want[0]) {
			return fmt.Errorf("%d parts of length %d: another sum than that of one process", count, length)
		}
	}
	all, err := c.Gather("rank", []float32{float32(c.Rank())})
	if err != nil || len(all) != c.Size() || all[c.Rank()] != float32(c.Rank()) || all[c.Size()-1] != float32(c.Size()-1) {
		return fmt.Errorf("gather: found %v and %v", all, err)
	}
	pieces, err := c.ToRoot("pieces", []byte(strings.Repeat("text", c.Rank()<<18)))
	if err != nil || c.Root() && (len(pieces) != c.Size() || len(pieces[c.Size()-1]) != (c.Size()-1)<<20) {
		return fmt.Errorf("to root: found %d pieces and %v", len(pieces), err)
	}
	sent := []float32{float32(c.Rank())}
	if err := c.Broadcast("rank", sent); err != nil || sent[0] != 0 {
		return fmt.Errorf("broadcast: found %v and %v", sent, err)
	}
	values := []float32{1}
	if err := c.FastSum("ones", values); err != nil || values[0] != float32(c.Size()) {
		return fmt.Errorf("fast sum: found %v and %v", values, err)
	}
	data, err := c.FromRoot("text", func() ([]byte, error) { return []byte(strings.Repeat("text", 1<<18)), nil })
	if err != nil || len(data) != 1<<20 {
		return fmt.Errorf("from root: found %d bytes and %v", len(data), err)
	}
	return nil
}

// signals checks that MPI leaves the signals to Go: a nil dereference is a panic, and a signal can
// be waited for.
func signals() (err error) {
	received := make(chan os.Signal, 1)
	signal.Notify(received, syscall.SIGUSR1, syscall.SIGTERM)
	defer signal.Stop(received)
	for _, each := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGTERM} {
		if err := syscall.Kill(os.Getpid(), each); err != nil {
			return err
		}
		select {
		case <-received:
		case <-time.After(5 * time.Second):
			return fmt.Errorf("%v was not received", each)
		}
	}
	defer func() {
		if recover() == nil {
			err = errors.New("a nil dereference is no panic")
		}
	}()
	var none *struct{ value int }
	none.value++
	return nil
}

func mismatched(c *collective.Communicator) error {
	return c.Sum(fmt.Sprint("values ", min(c.Rank(), 1)), make([]float32, 3))
}

func erring(c *collective.Communicator) error {
	for step := 0; ; step++ {
		if c.Rank() == 1 && step == 3 {
			return errors.New("the disk is full")
		}
		if err := c.Sum("values", make([]float32, 3)); err != nil {
			return err
		}
	}
}

func killed(c *collective.Communicator) error {
	for step := 0; ; step++ {
		if c.Rank() == 1 && step == 3 {
			return syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		if err := c.Sum("values", make([]float32, 3)); err != nil {
			return err
		}
	}
}

// silent is an error while the other ranks make no call: they are aborted.
func silent(c *collective.Communicator) error {
	if c.Rank() == 1 {
		return errors.New("the disk is full")
	}
	time.Sleep(30 * time.Second)
	return nil
}
