package main

import "github.com/likeness-go/likeness/benchmarks/workload"

// scale is how fast the library trains, by the number of threads and the size
// of a batch.
type scale struct {
	work    workload.Workload
	threads []int
	rates   [][]float64 // images a second: by threads and workload.PairCounts
}

// scale measures the library alone. The work itself on all threads is not measured
// again where its time is known: one work has one time.
func (s *session) scale(w workload.Workload, known *series) (scale, error) {
	result := scale{work: w, threads: workload.ThreadCounts(s.threads)}
	process, err := s.process(library, "")
	if err != nil {
		return result, err
	}
	for _, threads := range result.threads {
		var rates []float64
		for _, pairs := range workload.PairCounts {
			if known != nil && pairs == w.Count && threads == s.threads {
				rates = append(rates, rate(pairs, median(known.times)))
				continue
			}
			s.say("%s: %d pairs on %d threads", w.Name, pairs, threads)
			if _, err := process.ask(request{Do: "prepare", Work: w.Name, Pairs: pairs, Threads: threads}); err != nil {
				return result, err
			}
			all, err := s.turns([]contestant{{process: process}})
			if err != nil {
				return result, err
			}
			rates = append(rates, rate(pairs, median(all[0].times)))
			if _, err := process.ask(request{Do: "release"}); err != nil {
				return result, err
			}
		}
		result.rates = append(result.rates, rates)
	}
	return result, nil
}

// rate is the images a second of steps of so many pairs and milliseconds.
func rate(pairs int, milliseconds float64) float64 { return float64(2*pairs) / milliseconds * 1000 }
