package main

import "github.com/likeness-go/likeness/internal/works"

// scale is how fast the library trains, by the number of threads and the size
// of a batch.
type scale struct {
	work    works.Work
	threads []int
	rates   [][]float64 // images a second: by threads and works.PairCounts
}

// scale measures the library alone.
func (s *session) scale(w works.Work) (scale, error) {
	result := scale{work: w, threads: works.ThreadCounts(s.threads)}
	process, err := s.process(library, "")
	if err != nil {
		return result, err
	}
	for _, threads := range result.threads {
		var rates []float64
		for _, pairs := range works.PairCounts {
			s.say("%s: %d pairs on %d threads", w.Name, pairs, threads)
			if _, err := process.ask(request{Do: "prepare", Work: w.Name, Pairs: pairs, Threads: threads}); err != nil {
				return result, err
			}
			all, err := s.turns([]contestant{{process: process}})
			if err != nil {
				return result, err
			}
			rates = append(rates, float64(2*pairs)/median(all[0].times)*1000)
			if _, err := process.ask(request{Do: "release"}); err != nil {
				return result, err
			}
		}
		result.rates = append(result.rates, rates)
	}
	return result, nil
}
