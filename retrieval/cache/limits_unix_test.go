//go:build unix

package cache

import (
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A full disk, here a limit on the size of files, is an error of Err, and the embeddings that
// were stored before are kept.
func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "embeddings.db")
	c := opened(t, path, Options{})
	for i := range 5 {
		c.Store(numbered(i, 100))
	}
	if err := c.Err(); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	limited := before
	limited.Cur = 1 << 20 // more than the log of this test program, which grows meanwhile
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limited); err != nil {
		t.Skip("the system has no limit on the size of files: ", err)
	}
	for i := 5; i < 1000 && c.Err() == nil; i++ {
		c.Store(numbered(i, 2000))
	}
	failure := c.Err()
	closing := c.Close()
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if failure == nil || closing == nil || holds(c, 1) {
		t.Errorf("found the error %v, and %v of Close, expected that the file may not grow", failure, closing)
	}
	c = opened(t, path, Options{})
	for i := range 5 {
		expectNumbered(t, c, i, 100)
	}
	c.Store(numbered(99, 2000))
	expectNumbered(t, c, 99, 2000)
}
