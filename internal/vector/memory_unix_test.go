//go:build unix

package vector

import (
	"syscall"
	"testing"
	"unsafe"
)

// allocate returns n elements that end where memory that must not be touched
// begins or, from the other side, begin where it ends: a read or a write beyond
// them stops the test.
func allocate[E any](t testing.TB, n int, end bool) []E {
	var element E
	page := syscall.Getpagesize()
	size := n * int(unsafe.Sizeof(element))
	inside := (size + page - 1) / page * page
	all, err := syscall.Mmap(-1, 0, inside+2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(all); err != nil {
			t.Error(err)
		}
	})
	for _, guard := range [][]byte{all[:page], all[page+inside:]} {
		if err := syscall.Mprotect(guard, syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	first := page
	if end {
		first += inside - size
	}
	if n == 0 {
		return []E{}
	}
	return unsafe.Slice((*E)(unsafe.Pointer(&all[first])), n)
}
