package run

import (
	"fmt"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/report"
)

// listed is pairs or triplets that a CSV file lists. A triplet is also two pairs:
// anchor and positive, anchor and negative.
type listed struct {
	title    string
	pairs    datasets.Parts[datasets.PairList]
	triplets *datasets.TripletList // to train on; nil if pairs are listed
}

func newListed(splits datasets.Splits) data {
	if splits.Triplets.Train == nil {
		return listed{title: splits.Name, pairs: splits.Pairs}
	}
	return listed{
		title: splits.Name,
		pairs: datasets.Parts[datasets.PairList]{
			Train: pairsOf(splits.Triplets.Train), Validation: pairsOf(splits.Triplets.Validation), Test: pairsOf(splits.Triplets.Test),
		},
		triplets: splits.Triplets.Train,
	}
}

func pairsOf(list *datasets.TripletList) *datasets.PairList {
	if list == nil {
		return nil
	}
	pairs := &datasets.PairList{Dataset: list.Dataset}
	for _, t := range list.Triplets {
		pairs.Pairs = append(pairs.Pairs,
			datasets.Pair{Left: t.Anchor, Right: t.Positive},
			datasets.Pair{Left: t.Anchor, Right: t.Negative, Different: true})
	}
	return pairs
}

func (l listed) name() string { return l.title }

func (l listed) images() *datasets.Dataset { return l.pairs.Train.Dataset }

func (l listed) projected() *datasets.Dataset { return l.images() }

func (l listed) unseen() []string { return nil }

func (l listed) summary() string {
	count, kind := len(l.pairs.Train.Pairs), "pairs"
	if l.triplets != nil {
		count, kind = len(l.triplets.Triplets), "triplets"
	}
	return fmt.Sprintf("%s, %d listed %s of %d images at %v", l.title, count, kind, l.images().Len(), l.images().Size)
}

// limited keeps the first tuples whose images are within the limit.
func (l listed) limited(n, m int, _ uint64) data {
	l.pairs.Validation, l.pairs.Test = limitPairs(l.pairs.Validation, m), limitPairs(l.pairs.Test, m)
	if l.triplets == nil {
		l.pairs.Train = limitPairs(l.pairs.Train, n)
	} else if n > 0 {
		few := shortlist{limit: n, position: map[int]int{}}
		list := &datasets.TripletList{}
		for _, t := range l.triplets.Triplets {
			if few.take(&t.Anchor, &t.Positive, &t.Negative) {
				list.Triplets = append(list.Triplets, t)
			}
		}
		list.Dataset = l.images().Subset(few.taken)
		l.triplets, l.pairs.Train = list, pairsOf(list)
	}
	return l
}

func limitPairs(all *datasets.PairList, limit int) *datasets.PairList {
	if all == nil || limit == 0 {
		return all
	}
	few := shortlist{limit: limit, position: map[int]int{}}
	list := &datasets.PairList{}
	for _, p := range all.Pairs {
		if few.take(&p.Left, &p.Right) {
			list.Pairs = append(list.Pairs, p)
		}
	}
	list.Dataset = all.Dataset.Subset(few.taken)
	return list
}

// shortlist is at most limit images, and the position of each in it.
type shortlist struct {
	limit    int
	taken    []int
	position map[int]int
}

// take replaces the images by their positions in the shortlist, if they fit.
func (s *shortlist) take(images ...*int) bool {
	fresh := map[int]bool{}
	for _, image := range images {
		if _, found := s.position[*image]; !found {
			fresh[*image] = true
		}
	}
	if len(s.taken)+len(fresh) > s.limit {
		return false
	}
	for _, image := range images {
		if fresh[*image] {
			s.position[*image] = len(s.taken)
			s.taken = append(s.taken, *image)
			fresh[*image] = false
		}
		*image = s.position[*image]
	}
	return true
}

func (l listed) plan(uint64) (*report.Plan, error) {
	return report.NewPairPlan(l.pairs.Validation, l.pairs.Test), nil
}
