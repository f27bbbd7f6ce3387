package report

import (
	"runtime"
	"runtime/debug"
	"time"

	"github.com/likeness-go/likeness/internal/processor"
)

// Provenance is what a run was made with.
type Provenance struct {
	Likeness  string    `json:"likeness"` // the version, (devel) where the build does not know it
	Gorgonia  string    `json:"gorgonia"` // the version; empty where the build does not know it
	Go        string    `json:"go"`
	System    string    `json:"system"` // operating system and architecture: linux/amd64
	Processor string    `json:"processor"`
	Threads   int       `json:"threads"` // processors that Go was allowed to use
	Finished  time.Time `json:"finished"`
}

// Here is the provenance of a run that this program finished now.
func Here(now time.Time) *Provenance {
	p := &Provenance{
		Likeness: "(devel)", Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH,
		Processor: processor.Name(), Threads: runtime.GOMAXPROCS(0), Finished: now.UTC().Truncate(time.Second),
	}
	build, known := debug.ReadBuildInfo()
	if !known {
		return p
	}
	for _, module := range append(build.Deps, &build.Main) {
		switch {
		case module.Version == "":
		case module.Path == "github.com/likeness-go/likeness":
			p.Likeness = module.Version
		case module.Path == "gorgonia.org/gorgonia":
			p.Gorgonia = module.Version
		}
	}
	return p
}
