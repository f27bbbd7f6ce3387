package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/likeness-go/likeness/internal/wording"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows the progress of a training: on a terminal a bar, elsewhere a line now
// and then; and a line for each epoch.
type progress struct {
	w     io.Writer
	bar   *progressbar.ProgressBar // nil where w is no terminal
	loss  float64                  // an exponential moving average, at first the mean
	begun time.Time                // of the epoch
	done  int                      // steps before the epoch
	last  int                      // step shown
	first int                      // steps taken by an earlier run
}

// plainLines is the number of progress lines of a training without a progress bar.
const plainLines = 10

func newProgress(w io.Writer) *progress { return &progress{w: w} }

// begin is called before the first step.
func (p *progress) begin() {
	p.begun = time.Now()
	if isTerminal(p.w) {
		p.bar = progressbar.NewOptions(-1,
			progressbar.OptionSetWriter(p.w),
			progressbar.OptionSetWidth(20),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionShowCount(),
			progressbar.OptionClearOnFinish(),
		)
	}
}

// resumed sets the number of the next step of a resumed training.
func (p *progress) resumed() { p.done = -1 }

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// step shows a step: the loss, the speed and how much time is left.
func (p *progress) step(s trainer.Step) {
	if p.done < 0 {
		p.done = s.Number - 1
		p.first = p.done
	}
	memory := min(0.95, 1-1/float64(s.Number-p.first)) // at first the mean
	p.loss = memory*p.loss + (1-memory)*s.Loss
	p.last = s.Number
	each := time.Since(p.begun) / time.Duration(s.Number-p.done)
	text := fmt.Sprintf("running mean of the loss %.4f, %.0f images/s", p.loss, float64(s.Images)/each.Seconds())
	if p.bar != nil {
		p.bar.ChangeMax(s.Steps)
		p.bar.Describe(text)
		p.bar.Set(s.Number)
	} else if s.Number*plainLines/s.Steps > (s.Number-1)*plainLines/s.Steps {
		left := time.Duration(s.Steps-s.Number) * each
		fmt.Fprintf(p.w, "step %d of %d: %s, %v left\n", s.Number, s.Steps, text, left.Round(time.Second))
	}
}

// epoch adds an epoch's line.
func (p *progress) epoch(e trainer.Epoch) {
	p.close()
	text := fmt.Sprintf("epoch %d: loss %.4f", e.Epoch, e.Loss)
	if e.Validation != nil {
		text += fmt.Sprintf(", validation %.4f", *e.Validation)
		if e.Best {
			text += " (the best)"
		}
	}
	fmt.Fprintf(p.w, "%s, %.0f images/s\n", text, e.ImagesPerSecond)
	p.begun, p.done = time.Now(), p.last
}

// close takes the bar away.
func (p *progress) close() {
	if p.bar != nil {
		p.bar.Clear()
	}
}

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

// filesRead is what is counted while the data of a training are opened.
const filesRead = "image files read"

// usualQuiet is the time after which a job prints its progress.
const usualQuiet = 2 * time.Second

func newCounter(w io.Writer, u unit) *counter {
	return &counter{w: w, begun: time.Now(), quiet: usualQuiet, unit: u}
}

// show prints the progress.
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

// part is of for a job of several parts, each of which is counted from 1 on.
func (p *counter) part(done, total int) {
	if done == 1 {
		p.close()
		p.bar, p.tenth = nil, 0
	}
	p.of(done, total)
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

// printable is a text from outside the program, such as a file's name or a class, as it
// may be printed: what would forge a line, or is not UTF-8, is escaped.
func printable(s string) string { return wording.Printable(s) }

// printJSON writes a value as one line of JSON, which stays one on a terminal, too:
// inside texts, which alone can hold such characters, what would break the line is
// escaped in JSON's own way.
func (c *console) printJSON(value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return errors.Wrap(err, "print JSON")
	}
	var line strings.Builder
	for _, r := range string(text) {
		if wording.Breaks(r) {
			fmt.Fprintf(&line, `\u%04x`, r)
		} else {
			line.WriteRune(r)
		}
	}
	_, err = fmt.Fprintln(c.out, line.String())
	return err
}

// pathBytes is the JSON output beside a path that is not UTF-8: its bytes in base64. A
// JSON string cannot hold them, and two paths must not become one. It is empty, to be
// left out, for a path that is UTF-8.
func pathBytes(path string) string {
	if utf8.ValidString(path) {
		return ""
	}
	return base64.StdEncoding.EncodeToString([]byte(path))
}
