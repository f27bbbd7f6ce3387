// Package processor names the machine's processor, for records of what was
// measured on it.
package processor

import (
	"os"
	"runtime"
	"strings"
)

// Name is the processor's name where the system tells it, and otherwise its
// architecture.
func Name() string {
	// Only Linux has the file, and only on some processors the line.
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
