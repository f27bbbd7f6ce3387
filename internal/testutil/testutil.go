// Package testutil has helpers for the tests of several packages: checks of goroutines and
// allocations, calls with zero values, and files of images and galleries.
package testutil

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"runtime/metrics"
	"slices"
	"testing"

	bolt "go.etcd.io/bbolt"
	"go.uber.org/goleak"
)

// Long reports whether the tests that take minutes are wanted: the environment variable
// LIKENESS_LONG is set.
func Long() bool { return os.Getenv("LIKENESS_LONG") != "" }

// SkipUnlessLong skips a part of a test that takes long; instead says what stands for
// it otherwise.
func SkipUnlessLong(t testing.TB, instead string) {
	t.Helper()
	if !Long() {
		t.Skip("takes long, set LIKENESS_LONG=1 to run it; " + instead)
	}
}

// MPI returns the words that start an MPI job on this machine, to which -np and the program are added. It skips the test
// unless make mpi runs it, and without mpirun.
func MPI(t testing.TB) []string {
	t.Helper()
	if os.Getenv("LIKENESS_MPI") == "" {
		t.Skip("needs an MPI library, run it with make mpi; the same calls between goroutines are tested without")
	}
	path, err := exec.LookPath("mpirun")
	if err != nil {
		t.Skipf("needs mpirun, such as that of Debian's openmpi-bin with libopenmpi-dev: %v", err)
	}
	return []string{path, "--allow-run-as-root", "--oversubscribe", "--bind-to", "none"}
}

// RenameClass renames a class in the file of a gallery without checking the new name, as
// versions without rules for names did. The gallery must be closed.
func RenameClass(t testing.TB, path, from, to string) {
	t.Helper()
	db, err := bolt.Open(path, 0o666, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	renamed := 0
	err = db.Update(func(tx *bolt.Tx) error {
		examples := tx.Bucket([]byte("examples"))
		changed := map[string][]byte{}
		err := examples.ForEach(func(key, value []byte) error {
			length := binary.LittleEndian.Uint32(value)
			var about map[string]any
			if err := json.Unmarshal(value[4:][:length], &about); err != nil || about["class"] != from {
				return err
			}
			about["class"] = to
			text, err := json.Marshal(about)
			if err != nil {
				return err
			}
			record := binary.LittleEndian.AppendUint32(nil, uint32(len(text)))
			record = append(record, text...)
			record = append(record, value[4+length:len(value)-4]...)
			changed[string(key)] = binary.LittleEndian.AppendUint32(record, crc32.Checksum(record, crc32.MakeTable(crc32.Castagnoli)))
			return nil
		})
		for key, record := range changed {
			if err := examples.Put([]byte(key), slices.Clone(record)); err != nil {
				return err
			}
			renamed++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if renamed == 0 {
		t.Fatalf("%s has no class %q to rename", path, from)
	}
}

// CallsOfNothing calls all exported methods of a value with nil and zero values as
// arguments. No method may panic, and those that can return an error must do so, except
// those that are named.
func CallsOfNothing(t *testing.T, value any, withoutError ...string) {
	t.Helper()
	fine := map[string]bool{}
	for _, name := range withoutError {
		fine[name] = true
	}
	v := reflect.ValueOf(value)
	for i := range v.NumMethod() {
		method := v.Type().Method(i)
		CallOfNothing(t, method.Name, v.Method(i).Interface(), fine[method.Name])
	}
}

// CallOfNothing calls a function in the same way.
func CallOfNothing(t *testing.T, name string, function any, withoutError bool) {
	t.Helper()
	defer func() {
		if cause := recover(); cause != nil {
			t.Errorf("%s: panic: %v", name, cause)
		}
	}()
	f := reflect.ValueOf(function)
	var arguments []reflect.Value
	for i := range f.Type().NumIn() {
		if f.Type().IsVariadic() && i == f.Type().NumIn()-1 {
			break
		}
		arguments = append(arguments, reflect.Zero(f.Type().In(i)))
	}
	results := f.Call(arguments)
	if len(results) == 0 || withoutError {
		return
	}
	last := results[len(results)-1]
	if last.Type() == reflect.TypeFor[error]() && last.IsNil() {
		t.Errorf("%s: found no error", name)
	}
}

// workers are the goroutines that all programs of package graph share. They sleep
// between kernels and end with the last program.
const workers = "github.com/likeness-go/likeness/internal/parallel.(*worker).loop"

// CheckGoroutines is the TestMain of a package: it runs the tests, and ends the
// process with a failure if goroutines are left after them. Models and programs
// that the tests no longer use are collected first, so that the workers must have
// ended, too.
func CheckGoroutines(m *testing.M) {
	code := m.Run()
	if err := find(); code == 0 && err != nil {
		fmt.Fprintf(os.Stderr, "goroutines are left: %v\n", err)
		code = 1
	}
	os.Exit(code)
}

// find looks for goroutines that are left. It collects garbage several times,
// because a cleanup runs some time after its object is collected, and only then can
// the objects that it refers to be collected.
func find(ignored ...goleak.Option) (err error) {
	for range 10 {
		runtime.GC()
		if err = goleak.Find(ignored...); err == nil {
			return nil
		}
	}
	return err
}

// VerifyGoroutines fails a test that leaves more goroutines than there were before.
// Programs that the test no longer uses are collected first.
func VerifyGoroutines(t *testing.T, before goleak.Option) {
	t.Helper()
	if err := find(before); err != nil {
		t.Errorf("goroutines are left: %v", err)
	}
}

// SharedGoroutines makes goleak ignore the goroutines of programs that are still in
// use, for tests that call goleak themselves.
func SharedGoroutines() goleak.Option { return goleak.IgnoreAnyFunction(workers) }

// LimitAllocations fails the test if the call allocates more than the given number
// of bytes, whether or not they are freed. It is for tests that hostile input is
// refused before memory is allocated for the sizes that it claims. Allocations of
// other goroutines during the call count, too. One MiB more is allowed for tables
// and buffers that do not grow with the input.
func LimitAllocations(t testing.TB, bytes int, call func()) {
	t.Helper()
	before := total()
	call()
	if found, limit := total()-before, uint64(bytes)+1<<20; found > limit {
		t.Errorf("%d bytes were allocated, expected at most %d", found, limit)
	}
}

// total is the number of bytes that were ever allocated on the heap. Reading it
// does not stop the program, as runtime.ReadMemStats does.
func total() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
