package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/likeness-go/likeness/trainer"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows how a training goes: on a terminal a bar, elsewhere a line
// now and then; and a line for each epoch.
type progress struct {
	w     io.Writer
	bar   *progressbar.ProgressBar // nil where w is no terminal
	loss  float64                  // a moving average
	begun time.Time                // of the epoch
	done  int                      // steps before the epoch
	last  int                      // step shown
	first int                      // steps taken by an earlier run
}

// plainLines is how many lines there are of a training, where there is no bar.
const plainLines = 10

func newProgress(w io.Writer) *progress {
	p := &progress{w: w, begun: time.Now()}
	if isTerminal(w) {
		p.bar = progressbar.NewOptions(-1,
			progressbar.OptionSetWriter(w),
			progressbar.OptionSetWidth(20),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionShowCount(),
			progressbar.OptionClearOnFinish(),
		)
	}
	return p
}

// resumed says that the next step is not the first.
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
	p.loss = memory*p.loss + (1-memory)*s.Cost
	p.last = s.Number
	each := time.Since(p.begun) / time.Duration(s.Number-p.done)
	text := fmt.Sprintf("loss %.4f, %.0f images/s", p.loss, float64(s.Images)/each.Seconds())
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
	text := fmt.Sprintf("epoch %d: loss %.4f", e.Epoch, e.Cost)
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
