package solver

import "math"

// Schedule says which learning rate a step has: step of total, counted from 0.
// Schedules that go by epochs know how many steps an epoch has; an EpochSteps
// of zero is taken for one.
type Schedule interface {
	LearningRate(step, total int) float64
}

// Constant keeps the rate.
type Constant struct{ Initial float64 }

// Rate is Initial.
func (c Constant) LearningRate(step, total int) float64 { return c.Initial }

// Step multiplies the rate by Factor every so many Epochs.
type Step struct {
	Initial    float64
	Factor     float64
	Epochs     int
	EpochSteps int
}

// Rate is Initial · Factor^⌊epoch/Epochs⌋.
func (s Step) LearningRate(step, total int) float64 {
	return s.Initial * math.Pow(s.Factor, float64(epoch(step, s.EpochSteps)/max(s.Epochs, 1)))
}

// Exponential multiplies the rate by Factor every epoch. Koch's is 0.99.
type Exponential struct {
	Initial    float64
	Factor     float64
	EpochSteps int
}

// Rate is Initial · Factor^epoch, constant within an epoch.
func (e Exponential) LearningRate(step, total int) float64 {
	return e.Initial * math.Pow(e.Factor, float64(epoch(step, e.EpochSteps)))
}

// Cosine goes from Initial to Final along half a cosine (Loshchilov & Hutter
// 2017, equation 5, without restarts).
type Cosine struct {
	Initial float64
	Final   float64
}

// Rate is Final + (Initial − Final)·(1 + cos(π·step/total))/2, and Final from
// step total on.
func (c Cosine) LearningRate(step, total int) float64 {
	if step >= total {
		return c.Final
	}
	return c.Final + (c.Initial-c.Final)*(1+math.Cos(math.Pi*float64(step)/float64(total)))/2
}

// Warmup brings the rate of another schedule up linearly (Goyal et al. 2017,
// section 2.2). The other schedule's clock runs from the start.
type Warmup struct {
	Steps int
	Of    Schedule
}

// Rate is the other schedule's, times (step+1)/Steps in the first Steps steps. It
// is NaN, which no solver takes, where there is no other schedule.
func (w Warmup) LearningRate(step, total int) float64 {
	if w.Of == nil {
		return math.NaN()
	}
	rate := w.Of.LearningRate(step, total)
	if step < w.Steps {
		rate *= float64(step+1) / float64(w.Steps)
	}
	return rate
}

// Ramp raises a momentum linearly, epoch by epoch, from From in the first epoch
// to its target after Epochs epochs (Koch et al. 2015, section 3.2, which begins
// at 0.5). A target below From is reached in the same way.
type Ramp struct {
	From       float64
	Epochs     int // 0 for no ramp
	EpochSteps int
}

// At is the momentum of a step, counted from 0.
func (r Ramp) At(step int, target float64) float64 {
	now := epoch(step, r.EpochSteps)
	if now >= r.Epochs {
		return target
	}
	return r.From + (target-r.From)*float64(now)/float64(r.Epochs)
}

func epoch(step, epochSteps int) int { return step / max(epochSteps, 1) }
