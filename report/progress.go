package report

import "github.com/likeness-go/likeness/datasets"

// told returns what tells Progress of all images that are embedded: by three
// contenders, and by one of them again for the evidence. It is nil where nobody
// listens.
func (p *Plan) told(evidence bool) func(images int) {
	if p.Progress == nil {
		return nil
	}
	done, total := 0, 3*p.contested()
	if evidence {
		total += length(p.retrieval) + length(p.shown)
	}
	return func(images int) {
		done += images
		p.Progress(done, total)
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
