package report

import (
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
)

// portion is how many images are embedded between two words of progress. It is
// a multiple of a model's batches, so the embeddings do not depend on it.
const portion = 1024

// watched is a contender that says how many images it has embedded.
type watched struct {
	contender
	embedded func(images int)
}

func (w watched) embed(d *datasets.Dataset) (evaluate.Embeddings, error) {
	var all evaluate.Embeddings
	for begin := 0; begin < d.Len(); begin += portion {
		part := *d
		part.Images = d.Images[begin:min(begin+portion, d.Len())]
		some, err := w.contender.embed(&part)
		if err != nil {
			return evaluate.Embeddings{}, err
		}
		all.Data = append(all.Data, some.Data...)
		all.Rows, all.Columns = all.Rows+some.Rows, some.Columns
		w.embedded(some.Rows)
	}
	return all, nil
}

// watch returns a wrapper of contenders that tells Progress of all they embed
// together. The evidence is gathered from one of them, the contest among three.
func (p *Plan) watch(evidence bool) func(contender) contender {
	if p.Progress == nil {
		return func(c contender) contender { return c }
	}
	done, total := 0, 3*p.contested()
	if evidence {
		total += length(p.retrieval) + length(p.shown)
	}
	return func(c contender) contender {
		return watched{c, func(images int) {
			done += images
			p.Progress(done, total)
		}}
	}
}

// contested is how many images each contender embeds, some of them twice.
func (p *Plan) contested() int {
	images := 0
	if p.seen != nil {
		images += p.references.Len() + p.seen.Len()
	}
	if p.testPairs == nil && p.trials == nil {
		return images
	}
	if p.thresholdPairs != nil {
		images += p.validation.Len()
	}
	return images + p.unseen.Len() + length(p.retrieval)
}

func length(d *datasets.Dataset) int {
	if d == nil {
		return 0
	}
	return d.Len()
}
