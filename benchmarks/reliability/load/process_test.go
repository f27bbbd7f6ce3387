package load

import (
	"os"
	"testing"
)

func TestGrowth(t *testing.T) {
	settled := memory{10, 50, 90, 100, 98, 99, 100, 97, 99}
	if found := settled.thirds(); found != [3]int64{90, 100, 100} || settled.growth() != 0 {
		t.Errorf("found %v, %v", found, settled.growth())
	}
	if found := (memory{10, 20, 30, 40, 50, 60, 70, 80, 90}).growth(); found != 0.5 {
		t.Errorf("found %v, want 0.5", found)
	}
}

func TestProcess(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("there is no /proc")
	}
	if bytes, err := resident(os.Getpid()); err != nil || bytes < 1<<20 {
		t.Errorf("found %d bytes, %v", bytes, err)
	}
	before, err := descriptors(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if after, err := descriptors(os.Getpid()); err != nil || after != before+1 {
		t.Errorf("found %d descriptors, %v, want one more than %d", after, err, before)
	}
}
