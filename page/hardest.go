package page

import (
	"fmt"
	"html/template"
	"path"
	"path/filepath"
	"strings"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/report"
)

// How many of the worst are shown.
const (
	hardestPairs = 8 // of each kind
	worstQueries = 6
)

// imageView is an image with what it is.
type imageView struct {
	Picture template.URL
	Class   string // empty where pairs are listed
	Source  string
	Note    string // such as its distance from a query
	Large   bool   // so many pixels that a browser may smooth them
}

// SourceParts are the parts of the source that a narrow column may break it
// between: before brackets, and after slashes and underscores.
func (v imageView) SourceParts() (parts []string) {
	last := 0
	for i, r := range v.Source {
		if i > last && (r == '[' || r == '(' || strings.ContainsRune("/_", rune(v.Source[i-1]))) {
			parts = append(parts, v.Source[last:i])
			last = i
		}
	}
	return append(parts, v.Source[last:])
}

// pairView is two images, and what the network makes of them.
type pairView struct {
	Left, Right imageView
	Distance    string
	Decision    string // by the threshold, if there is one
	Wrong       bool
}

// verifiedView is what the page shows of verification.
type verifiedView struct {
	Pairs             int
	Threshold         string
	Refused, Accepted string // shares of same and of different pairs that the threshold gets wrong
	Same, Different   []pairView
	Listed            bool
}

func viewVerified(v *report.Verified) *verifiedView {
	if v == nil {
		return nil
	}
	result := &verifiedView{Pairs: len(v.Pairs), Listed: v.Images.Labels == nil}
	if v.Threshold != nil {
		refused, accepted := mistakes(v)
		result.Threshold, result.Refused, result.Accepted = distance(*v.Threshold), percent(refused), percent(accepted)
	}
	same, different := v.Hardest(hardestPairs)
	for _, kind := range []struct {
		pairs []int
		views *[]pairView
	}{{same, &result.Same}, {different, &result.Different}} {
		for _, i := range kind.pairs {
			pair := pairView{
				Left: viewImage(v.Images, v.Pairs[i].Left, ""), Right: viewImage(v.Images, v.Pairs[i].Right, ""),
				Distance: distance(v.Distances[i]),
			}
			if v.Threshold != nil {
				pair.Wrong = (v.Distances[i] > *v.Threshold) != v.Pairs[i].Different
				if pair.Decision = "decided rightly"; pair.Wrong {
					pair.Decision = "decided wrongly"
				}
			}
			*kind.views = append(*kind.views, pair)
		}
	}
	return result
}

// missView is a query that found nothing of its class.
type missView struct {
	Query   imageView
	Nearest []imageView
	Own     imageView // the nearest of its class
}

// retrievedView is what the page shows of retrieval.
type retrievedView struct {
	Images, Queries, Depth, Missed int
	Worst                          []missView
}

func viewRetrieved(r *report.Retrieved) *retrievedView {
	if r == nil {
		return nil
	}
	result := &retrievedView{Images: r.Images.Len(), Queries: r.Queries, Depth: r.Depth, Missed: len(r.Misses)}
	for _, miss := range r.Misses[:min(worstQueries, len(r.Misses))] {
		view := missView{Query: viewImage(r.Images, miss.Query, ""), Own: viewNeighbour(r.Images, miss.Own)}
		view.Own.Note += fmt.Sprintf(", after %d others", miss.Nearer)
		for _, neighbour := range miss.Nearest {
			view.Nearest = append(view.Nearest, viewNeighbour(r.Images, neighbour))
		}
		result.Worst = append(result.Worst, view)
	}
	return result
}

func viewNeighbour(d *datasets.Dataset, n evaluate.Neighbour) imageView {
	return viewImage(d, n.Row, distance(n.Distance))
}

func viewImage(d *datasets.Dataset, i int, note string) imageView {
	v := imageView{Source: fmt.Sprintf("image %d", i), Note: note, Large: max(d.Size.Height, d.Size.Width) > largestPicture/2}
	if d.Labels != nil {
		v.Class = d.Classes[d.Labels[i]]
	}
	if d.Sources != nil {
		v.Source = shortened(d.Sources[i], path.Base(v.Class))
	}
	v.Picture = inline(shrink(d.Size.Image(d.Images[i]), largestPicture))
	return v
}

// shortened is a path's file with its folder, unless this is the class's:
// enough to find it, and not where its owner keeps it.
func shortened(source, class string) string {
	folder, file := path.Split(filepath.ToSlash(source))
	switch folder = path.Base(folder); folder {
	case ".", "/", class:
		return file
	}
	return folder + "/" + file
}
