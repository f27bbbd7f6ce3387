// Package processor returns the name of the machine's processor, for records of
// measurements.
package processor

import (
	"os"
	"runtime"
	"strings"
)

// Name returns the name of the processor if the operating system provides it, and
// otherwise its architecture, such as "amd64".
func Name() string {
	// Only Linux has this file, and only for some processors does it have this line.
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
