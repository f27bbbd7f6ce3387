package solver

import "math"

// Schedule is the learning rate as a function of the step, counted from 0, and the total
// number of steps. Schedules in epochs have the number of steps in an epoch; an
// EpochSteps of zero means one.
type Schedule interface {
	LearningRate(step, total int) float64
}

// Constant is a constant learning rate.
type Constant struct{ Initial float64 }

// LearningRate returns Initial.
func (c Constant) LearningRate(step, total int) float64 { return c.Initial }

// Step multiplies the learning rate by Factor every Epochs epochs.
type Step struct {
	Initial    float64
	Factor     float64
	Epochs     int
	EpochSteps int
}

// LearningRate is Initial · Factor^⌊epoch/Epochs⌋.
func (s Step) LearningRate(step, total int) float64 {
	return s.Initial * math.Pow(s.Factor, float64(epoch(step, s.EpochSteps)/max(s.Epochs, 1)))
}

// Exponential multiplies the learning rate by Factor every epoch; Koch et al. use 0.99.
type Exponential struct {
	Initial    float64
	Factor     float64
	EpochSteps int
}

// LearningRate is Initial · Factor^epoch, constant within an epoch.
func (e Exponential) LearningRate(step, total int) float64 {
	return e.Initial * math.Pow(e.Factor, float64(epoch(step, e.EpochSteps)))
}

// Cosine decreases the learning rate from Initial to Final along half a cosine (Loshchilov & Hutter
// 2017, equation 5, without restarts).
type Cosine struct {
	Initial float64
	Final   float64
}

// LearningRate is Final + (Initial − Final)·(1 + cos(π·step/total))/2, and Final from
// step total on.
func (c Cosine) LearningRate(step, total int) float64 {
	if step >= total {
		return c.Final
	}
	return c.Final + (c.Initial-c.Final)*(1+math.Cos(math.Pi*float64(step)/float64(total)))/2
}

// Warmup raises the learning rate of another schedule linearly in the first Steps
// steps (Goyal et al. 2017, section 2.2). The other schedule also counts from the
// first step.
type Warmup struct {
	Steps int
	Of    Schedule
}

// LearningRate is that of the other schedule, times (step+1)/Steps in the first Steps
// steps. It is NaN, which every solver refuses, if Of is nil.
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
// at 0.5). The target may be below From.
type Ramp struct {
	From       float64
	Epochs     int // 0 for no ramp
	EpochSteps int
}

// At returns the momentum of a step, counted from 0.
func (r Ramp) At(step int, target float64) float64 {
	now := epoch(step, r.EpochSteps)
	if now >= r.Epochs {
		return target
	}
	return r.From + (target-r.From)*float64(now)/float64(r.Epochs)
}

func epoch(step, epochSteps int) int { return step / max(epochSteps, 1) }
