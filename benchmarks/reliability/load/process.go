package load

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pkg/errors"
)

// resident is the memory of a process that is not swapped out, in bytes, as Linux
// tells it.
func resident(process int) (int64, error) {
	path := fmt.Sprintf("/proc/%d/status", process)
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, errors.WithStack(err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmRSS:" && fields[2] == "kB" {
			kilobytes, err := strconv.ParseInt(fields[1], 10, 64)
			return kilobytes << 10, errors.Wrap(err, path)
		}
	}
	return 0, errors.Errorf("%s: found no VmRSS in kB", path)
}

// descriptors is how many files and connections a process has open.
func descriptors(process int) (int, error) {
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", process))
	return len(open), errors.WithStack(err)
}

// memory is what a process took, sampled in equal times.
type memory []int64

// watch samples a process each second until the context ends.
func watch(ctx context.Context, process int) (memory, error) {
	var samples memory
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		bytes, err := resident(process)
		if err != nil {
			return nil, err
		}
		samples = append(samples, bytes)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return samples, nil
		}
	}
}

// thirds are the largest samples of each third of the time.
func (m memory) thirds() (largest [3]int64) {
	for i := range largest {
		if part := m[i*len(m)/3 : (i+1)*len(m)/3]; len(part) > 0 {
			largest[i] = slices.Max(part)
		}
	}
	return largest
}

// growth is by what part the largest sample of the last third is above that of the
// second; below 0 where it is less.
func (m memory) growth() float64 {
	largest := m.thirds()
	return float64(largest[2])/float64(largest[1]) - 1
}
