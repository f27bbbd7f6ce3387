package main

import (
	"encoding/json"
	"io"

	"github.com/pkg/errors"
)

// row is the library beside the fastest way of another framework.
type row struct {
	Work       string  `json:"work"`
	LikenessMS float64 `json:"likeness_ms"` // median over the rounds
	Peer       string  `json:"peer"`
	Way        string  `json:"way"` // that of the peer's which was the fastest
	PeerMS     float64 `json:"peer_ms"`
	Ratio      float64 `json:"ratio"`      // peer_ms / likeness_ms
	RatioLow   float64 `json:"ratio_low"`  // the least of a single round
	RatioHigh  float64 `json:"ratio_high"` // the greatest
}

// rows of a work, one for each framework.
func (c comparison) rows() []row {
	var rows []row
	best := map[string]int{} // by framework, in rows
	own := c.series[0].times
	for i, s := range c.series[1:] {
		ratio := ratioOf(s.times, own)
		r := row{
			Work: c.work.Title, LikenessMS: median(own), Peer: c.peers[i].framework, Way: s.name,
			PeerMS: median(s.times), Ratio: ratio.value, RatioLow: ratio.low, RatioHigh: ratio.high,
		}
		at, known := best[r.Peer]
		switch {
		case !known:
			best[r.Peer] = len(rows)
			rows = append(rows, r)
		case r.PeerMS < rows[at].PeerMS:
			rows[at] = r
		}
	}
	return rows
}

// rows of all works.
func (r results) rows() []row {
	all := []row{}
	for _, c := range r.comparisons {
		all = append(all, c.rows()...)
	}
	return all
}

func (r results) json(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "\t")
	return errors.Wrap(encoder.Encode(r.rows()), "write rows")
}
