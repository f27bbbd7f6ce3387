package main

import (
	"fmt"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/trainer"
	"github.com/pkg/errors"
)

// listed is pairs or triplets that somebody listed. Triplets are pairs too:
// anchor and positive, anchor and negative.
type listed struct {
	title    string
	pairs    datasets.Parts[datasets.PairList]
	triplets *datasets.TripletList // to train on; nil where pairs are listed
}

func newListed(splits datasets.Splits) material {
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

func (l listed) shown() *datasets.Dataset { return l.images() }

func (l listed) unseen() []string { return nil }

func (l listed) summary() string {
	count, kind := len(l.pairs.Train.Pairs), "pairs"
	if l.triplets != nil {
		count, kind = len(l.triplets.Triplets), "triplets"
	}
	return fmt.Sprintf("%s, %d listed %s of %d images at %v", l.title, count, kind, l.images().Len(), l.images().Size)
}

// limited keeps the first tuples that so many images suffice for.
func (l listed) limited(n, m int, _ uint64) material {
	l.pairs.Validation, l.pairs.Test = limitPairs(l.pairs.Validation, m), limitPairs(l.pairs.Test, m)
	if l.triplets == nil {
		l.pairs.Train = limitPairs(l.pairs.Train, n)
	} else if n > 0 {
		few := shortlist{most: n, position: map[int]int{}}
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

func limitPairs(all *datasets.PairList, most int) *datasets.PairList {
	if all == nil || most == 0 {
		return all
	}
	few := shortlist{most: most, position: map[int]int{}}
	list := &datasets.PairList{}
	for _, p := range all.Pairs {
		if few.take(&p.Left, &p.Right) {
			list.Pairs = append(list.Pairs, p)
		}
	}
	list.Dataset = all.Dataset.Subset(few.taken)
	return list
}

// shortlist is at most so many images, and where each is in it.
type shortlist struct {
	most     int
	taken    []int
	position map[int]int
}

// take makes positions in the shortlist of the images, if there is room.
func (s *shortlist) take(images ...*int) bool {
	fresh := map[int]bool{}
	for _, image := range images {
		if _, found := s.position[*image]; !found {
			fresh[*image] = true
		}
	}
	if len(s.taken)+len(fresh) > s.most {
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

func (l listed) examples(objective objectives.Loss, batch, _ int) (*trainer.Examples, error) {
	switch objective.Kind() {
	case datasets.Pairs:
		if len(l.pairs.Train.Pairs) == 0 {
			return nil, errors.New("limit: so few images make no pair")
		}
		return trainer.Pairs(l.pairs.Train, batch), nil
	case datasets.Triplets:
		if l.triplets == nil {
			return nil, errors.Errorf("objective %s judges triplets, but %s lists pairs: use contrastive or cross-entropy", objective.Name(), l.title)
		}
		if len(l.triplets.Triplets) == 0 {
			return nil, errors.New("limit: so few images make no triplet")
		}
		return trainer.Triplets(l.triplets, batch), nil
	}
	return nil, errors.Errorf("objective %s judges batches of images with classes, but %s lists tuples without: use contrastive or cross-entropy, or triplet for triplets", objective.Name(), l.title)
}

func (l listed) validation(uint64) (trainer.Validation, string, error) {
	list := l.pairs.Validation
	if list == nil {
		return nil, "", nil
	}
	return trainer.VerificationOf(list.Dataset, list.Pairs), fmt.Sprintf("ROC AUC on %d listed pairs", len(list.Pairs)), nil
}

func (l listed) plan(uint64) (*report.Plan, error) {
	return report.NewPairPlan(l.pairs.Validation, l.pairs.Test), nil
}
