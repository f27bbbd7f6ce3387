package main

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// counter shows how far a job is that takes long: on a terminal by a bar,
// elsewhere by up to ten lines. A short job shows nothing.
type counter struct {
	w     io.Writer
	begun time.Time
	quiet time.Duration // before which nothing is shown
	unit  unit
	bar   *progressbar.ProgressBar // nil until it is shown, and where w is no terminal
	tenth int64                    // of the job, shown last
}

// unit is what is counted, and how.
type unit struct {
	what  string // such as "images"
	bytes bool   // it counts bytes of what
}

// usualQuiet is how long a job may take without a word.
const usualQuiet = 2 * time.Second

func newCounter(w io.Writer, u unit) *counter {
	return &counter{w: w, begun: time.Now(), quiet: usualQuiet, unit: u}
}

// show says that so much is done.
func (p *counter) show(done, total int64) {
	if total <= 0 || time.Since(p.begun) < p.quiet {
		return
	}
	if isTerminal(p.w) {
		p.showBar(done, total)
		return
	}
	if tenth := 10 * done / total; tenth > p.tenth && done < total {
		p.tenth = tenth
		fmt.Fprintln(p.w, p.unit.line(done, total))
	}
}

// of is show, as the library's callbacks have it.
func (p *counter) of(done, total int) { p.show(int64(done), int64(total)) }

func (p *counter) showBar(done, total int64) {
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(p.w),
			progressbar.OptionSetDescription(p.unit.what),
			progressbar.OptionSetWidth(20),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionShowCount(),
			progressbar.OptionShowBytes(p.unit.bytes),
			progressbar.OptionClearOnFinish(),
		)
	}
	p.bar.Set64(done)
}

// close takes the bar away.
func (p *counter) close() {
	if p.bar != nil {
		p.bar.Clear()
	}
}

func (u unit) line(done, total int64) string {
	if u.bytes {
		return fmt.Sprintf("%s: %.1f of %s", u.what, megabytes(done), size(total))
	}
	return fmt.Sprintf("%d of %d %s", done, total, u.what)
}

func megabytes(bytes int64) float64 { return float64(bytes) / 1e6 }

func size(bytes int64) string { return fmt.Sprintf("%.1f MB", megabytes(bytes)) }
