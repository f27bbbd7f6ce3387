package collective_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/likeness-go/likeness/collective"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/testutil"
)

func TestMain(m *testing.M) { testutil.CheckGoroutines(m) }

// job fails the test if a rank fails.
func job(t *testing.T, ranks int, work func(c *collective.Communicator) error) {
	t.Helper()
	for rank, err := range collective.Local(ranks, work) {
		if err != nil {
			t.Errorf("rank %d of %d: %v", rank, ranks, err)
		}
	}
}

// vectors are numbers whose sums depend on the order.
func vectors(count, length int) [][]float32 {
	r := random.New(1, "vectors", count, length)
	all := make([][]float32, count)
	for i := range all {
		all[i] = make([]float32, length)
		for j := range all[i] {
			all[i][j] = float32(r.NormFloat64() * math.Exp(4*r.NormFloat64()))
		}
	}
	return all
}

// naive is the sum of a binary tree, written as the recursion that defines it.
func naive(values []float32) float32 {
	if len(values) == 1 {
		return values[0]
	}
	half := 1
	for 2*half < len(values) {
		half *= 2
	}
	return naive(values[:half]) + naive(values[half:])
}

// The sum of parts is the same on any number of ranks, bit for bit, and that of the definition.
func TestSumIsThatOfTheTreeOverParts(t *testing.T) {
	for _, length := range []int{0, 1, 2, 3, 7, 1000, 40001} {
		for _, test := range []struct {
			parts int
			ranks []int
		}{{8, []int{1, 2, 4, 8}}, {6, []int{1, 3, 6}}, {5, []int{1, 5}}, {12, []int{3, 6, 12}}} {
			want := make([]float32, length)
			whole := vectors(test.parts, length)
			ordered := false // the order of addition matters to some value
			for j := range want {
				var column []float32
				var inOrder float32
				for _, vector := range whole {
					column = append(column, vector[j])
					inOrder += vector[j]
				}
				want[j] = naive(column)
				ordered = ordered || inOrder != want[j]
			}
			if length > 100 && !ordered {
				t.Fatal("the sums do not depend on the order, so the test shows nothing")
			}
			for _, ranks := range test.ranks {
				job(t, ranks, func(c *collective.Communicator) error {
					own := vectors(test.parts, length)[c.Rank()*test.parts/ranks : (c.Rank()+1)*test.parts/ranks]
					if err := collective.TreeSum(own...); err != nil {
						return err
					}
					if err := c.Sum("values", own[0]); err != nil {
						return err
					}
					if !slices.Equal(own[0], want) {
						return fmt.Errorf("%d parts of length %d: another sum than that of the tree", test.parts, length)
					}
					return nil
				})
			}
		}
	}
}

// Sums of float64 are added in the same tree.
func TestSumFloat64s(t *testing.T) {
	for _, ranks := range []int{1, 2, 3, 8} {
		want := 0.
		for _, v := range vectors(ranks, 5) {
			want += float64(v[2])
		}
		job(t, ranks, func(c *collective.Communicator) error {
			var values []float64
			for _, v := range vectors(ranks, 5)[c.Rank()] {
				values = append(values, float64(v))
			}
			if err := c.SumFloat64s("values", values); err != nil || math.Abs(values[2]-want) > 1e-9*math.Abs(want) {
				return fmt.Errorf("found %v and %v, expected %v", values, err, want)
			}
			return nil
		})
	}
}

// Over a network, calls give the same and take at least the time of their messages.
func TestNetwork(t *testing.T) {
	network := collective.Network{Latency: 2 * time.Millisecond, Rate: 1e6}
	for _, ranks := range []int{2, 3, 4} {
		for rank, err := range network.Local(ranks, func(c *collective.Communicator) error {
			all, err := c.Gather("ranks", []float32{float32(c.Rank()), 1})
			for i := 0; i < len(all); i += 2 {
				if all[i] != float32(i/2) || all[i+1] != 1 {
					return fmt.Errorf("gather: found %v", all)
				}
			}
			if err != nil || len(all) != 2*ranks {
				return fmt.Errorf("gather: found %v and %v", all, err)
			}
			values := make([]float32, 1000)
			values[999] = 2
			start := time.Now()
			if err := c.Sum("values", values); err != nil || values[999] != float32(2*ranks) {
				return fmt.Errorf("sum: found %v and %v", values[999], err)
			}
			levels := map[int]int{2: 1, 4: 2}[ranks]
			bytes := 2 * 4000 * (ranks - 1) / ranks // and those of headers
			if took, want := time.Since(start), time.Duration(3*levels)*network.Latency+time.Duration(bytes)*time.Microsecond; levels > 0 && took < want {
				return fmt.Errorf("a sum took %v, expected at least %v", took, want)
			}
			data, err := c.FromRoot("text", func() ([]byte, error) { return []byte("text"), nil })
			if err != nil || string(data) != "text" {
				return fmt.Errorf("from root: found %q and %v", data, err)
			}
			return nil
		}) {
			if err != nil {
				t.Errorf("rank %d of %d: %v", rank, ranks, err)
			}
		}
	}
	for _, wrong := range []collective.Network{{}, {Latency: -1, Rate: 1}, {Rate: math.NaN()}} {
		if errs := wrong.Local(2, func(*collective.Communicator) error { return nil }); len(errs) != 1 || errs[0] == nil {
			t.Errorf("%+v: found the errors %v, expected one", wrong, errs)
		}
		if _, err := wrong.Connect(); err == nil {
			t.Errorf("%+v: found no error of Connect", wrong)
		}
	}
}

func TestFastSum(t *testing.T) {
	job(t, 3, func(c *collective.Communicator) error {
		values := []float32{float32(c.Rank()), 1}
		if err := c.FastSum("values", values); err != nil || !slices.Equal(values, []float32{3, 3}) {
			return fmt.Errorf("found %v and %v, expected 3 and 3", values, err)
		}
		return nil
	})
}

func TestGatherAndFromRoot(t *testing.T) {
	job(t, 3, func(c *collective.Communicator) error {
		for range 3 {
			all, err := c.Gather("values", []float32{float32(c.Rank()), -1})
			if err != nil || !slices.Equal(all, []float32{0, -1, 1, -1, 2, -1}) {
				return fmt.Errorf("gather: found %v and %v", all, err)
			}
			for _, text := range []string{"", "from rank 0"} {
				data, err := c.FromRoot("text", func() ([]byte, error) {
					if !c.Root() {
						return nil, errors.New("called on another rank than 0")
					}
					return []byte(text), nil
				})
				if err != nil || string(data) != text {
					return fmt.Errorf("from root: found %q and %v", data, err)
				}
			}
			parts, err := c.ToRoot("parts", []byte("abcd")[:2*c.Rank()]) // none of rank 0
			if want := map[bool]string{true: "[ ab abcd]"}[c.Root()]; err != nil || c.Root() != (parts != nil) || c.Root() && fmt.Sprintf("%s", parts) != want {
				return fmt.Errorf("to root: found %q and %v, expected %s", parts, err, want)
			}
			values := []float32{float32(c.Rank() + 7), 8}
			if err := errors.Join(c.Broadcast("values", values), c.Broadcast("none", nil)); err != nil || !slices.Equal(values, []float32{7, 8}) {
				return fmt.Errorf("broadcast: found %v and %v, expected the values of rank 0", values, err)
			}
			if stop, err := c.Agree("stop", c.Rank() == 1, nil); err != nil || !stop {
				return fmt.Errorf("agree: found %v and %v, expected that all stop", stop, err)
			}
			if stop, err := c.Agree("go on", false, nil); err != nil || stop {
				return fmt.Errorf("agree: found %v and %v, expected that none stops", stop, err)
			}
		}
		return nil
	})
}

// One process needs no communicator.
func TestNilIsOneRank(t *testing.T) {
	var c *collective.Communicator
	values := []float32{1, 2}
	if err := errors.Join(c.Sum("values", values), c.FastSum("values", values), c.Broadcast("values", values), c.Close(nil)); err != nil || !slices.Equal(values, []float32{1, 2}) {
		t.Errorf("found %v and %v", values, err)
	}
	all, err := c.Gather("values", values)
	if err != nil || !slices.Equal(all, values) || c.Rank() != 0 || c.Size() != 1 || !c.Root() {
		t.Errorf("found %v and %v", all, err)
	}
	if parts, err := c.ToRoot("text", []byte("own")); err != nil || len(parts) != 1 || string(parts[0]) != "own" {
		t.Errorf("to root: found %q and %v", parts, err)
	}
	if _, err := c.Agree("error", false, errors.ErrUnsupported); err != errors.ErrUnsupported {
		t.Errorf("found %v, expected the error of this rank", err)
	}
	if c, ok := collective.FromContext(context.Background()), true; c != nil || !ok {
		t.Error("found a communicator in an empty context")
	}
}

// Ranks whose calls differ get an error that names both.
func TestMismatchIsAnError(t *testing.T) {
	for name, calls := range map[string][2]func(c *collective.Communicator) error{
		"name": {
			func(c *collective.Communicator) error { return c.Sum("gradients", make([]float32, 3)) },
			func(c *collective.Communicator) error { return c.Sum("statistics", make([]float32, 3)) },
		},
		"size": {
			func(c *collective.Communicator) error { return c.Sum("gradients", make([]float32, 3)) },
			func(c *collective.Communicator) error { return c.Sum("gradients", make([]float32, 4)) },
		},
		"kind": {
			func(c *collective.Communicator) error {
				_, err := c.Gather("gradients", make([]float32, 3))
				return err
			},
			func(c *collective.Communicator) error { return c.Sum("gradients", make([]float32, 3)) },
		},
		"number": {
			func(c *collective.Communicator) error { return c.Sum("gradients", make([]float32, 3)) },
			func(c *collective.Communicator) error {
				_, err := c.Agree("one more", false, nil)
				return errors.Join(err, c.Sum("gradients", make([]float32, 3)))
			},
		},
	} {
		for rank, err := range collective.Local(3, func(c *collective.Communicator) error { return calls[min(c.Rank(), 1)](c) }) {
			if !errors.Is(err, collective.ErrMismatch) || !strings.Contains(err.Error(), "gradients") {
				t.Errorf("%s, rank %d: found the error %v, expected ErrMismatch with the name of the call", name, rank, err)
			}
		}
	}
}

// A rank that fails, panics or ends early ends all others with an error that says so.
func TestDyingRankEndsAll(t *testing.T) {
	for name, die := range map[string]func() error{
		"an error": func() error { return errors.New("the disk is full") },
		"a panic":  func() error { panic("the disk is full") },
	} {
		for rank, err := range collective.Local(4, func(c *collective.Communicator) error {
			for step := 0; ; step++ {
				if c.Rank() == 2 && step == 5 {
					return die()
				}
				if err := c.Sum("gradients", make([]float32, 10)); err != nil {
					return err
				}
			}
		}) {
			var peer *collective.PeerError
			if err == nil || !strings.Contains(err.Error(), "the disk is full") || errors.As(err, &peer) != (rank != 2) || rank != 2 && peer.Rank != 2 {
				t.Errorf("%s, rank %d: found the error %v, expected that of rank 2", name, rank, err)
			}
		}
	}
	for rank, err := range collective.Local(2, func(c *collective.Communicator) error {
		if c.Rank() == 1 {
			return nil
		}
		_, err := c.Gather("embeddings", make([]float32, 2))
		return err
	}) {
		if !errors.Is(err, collective.ErrClosed) {
			t.Errorf("rank %d: found the error %v, expected ErrClosed", rank, err)
		}
	}
}

// An error of rank 0 is one of all ranks.
func TestErrorOfRoot(t *testing.T) {
	for rank, err := range collective.Local(3, func(c *collective.Communicator) error {
		_, err := c.FromRoot("checkpoint", func() ([]byte, error) { return nil, errors.New("damaged") })
		if again := c.Sum("values", nil); again == nil {
			return errors.New("a call after an error succeeds")
		}
		return err
	}) {
		if err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("rank %d: found the error %v, expected that of rank 0", rank, err)
		}
	}
}

func TestTreeSumRefusesOtherLengths(t *testing.T) {
	if err := collective.TreeSum(make([]float32, 2), make([]float32, 3)); err == nil {
		t.Error("found no error for vectors of two lengths")
	}
	if err := collective.TreeSum[float32](); err != nil {
		t.Error(err)
	}
}

func TestLauncher(t *testing.T) {
	for _, name := range []string{"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE", "PMI_SIZE", "PMI_RANK", "MPI_LOCALNRANKS", "PMIX_RANK", "SLURM_STEP_NUM_TASKS"} {
		t.Setenv(name, "")
	}
	if found := collective.Launcher(); found != (collective.Launched{}) {
		t.Errorf("found %+v without a launcher", found)
	}
	if c, err := collective.Connect(); c != nil || err != nil {
		t.Errorf("found %v and %v without a launcher", c, err)
	}
	t.Setenv("PMI_SIZE", "4")
	t.Setenv("PMI_RANK", "3")
	if found := collective.Launcher(); found != (collective.Launched{Size: 4, Rank: 3}) {
		t.Errorf("found %+v", found)
	}
	t.Setenv("PMIX_RANK", "2")
	t.Setenv("SLURM_STEP_NUM_TASKS", "5")
	if found := collective.Launcher(); found != (collective.Launched{Size: 5, Rank: 2}) {
		t.Errorf("found %+v", found)
	}
	if !collective.Built {
		if _, err := collective.Connect(); !errors.Is(err, collective.ErrNoMPI) || !strings.Contains(err.Error(), "-tags mpi") {
			t.Errorf("found the error %v, expected ErrNoMPI that says how to build", err)
		}
	}
}
