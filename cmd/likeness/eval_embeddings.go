package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
)

// embeddingsFlags measure embeddings of any origin.
type embeddingsFlags struct {
	Embeddings string `placeholder:"FILE" help:"Measure the embeddings of a .csv or .npy file, such as likeness embed writes, instead of a run."`
	Labels     string `placeholder:"FILE" help:"With --embeddings: a text file with the class of each embedding, one a line. Without it: the column label of a .csv file, or else the folder of each file in its column file."`
	Head       string `default:"cosine" help:"With --embeddings: the distance: cosine, l2, squared-l2 or l1."`
	Pairs      int    `placeholder:"N" help:"With --embeddings: the maximum number of pairs to verify; a random sample of them if there are more. Default: 200000."`
	Way        int    `placeholder:"N" help:"With --embeddings: the number of classes of a one-shot trial. Default: 20, or all classes if there are fewer."`
	Seed       uint64 `default:"1" help:"With --embeddings: the random seed of the sample of pairs and of the one-shot trials."`
}

// embeddingsHelp is the part of the help of eval on embeddings.
const embeddingsHelp = `With --embeddings it measures labeled embeddings of any origin: verification over all pairs, one-shot classification, retrieval within the set, and clusters of k-means, as many as there are classes, compared with the classes. Intervals are 95 % and resample images, since pairs that share an image are not independent.

  likeness embed photos --out embeddings.csv
  likeness eval --embeddings embeddings.csv
  likeness eval --embeddings embeddings.npy --labels labels.txt --head l2`

// run measures and prints a table.
func (e *embeddingsFlags) run(c *console) error {
	head, err := heads.Named(e.Head)
	if err != nil {
		return errors.Wrap(err, "--head")
	}
	distance, err := head.Distance(graph.NewWeights(graph.Float32, 1))
	if err != nil {
		return errors.Errorf("--head: found %s, which has trained weights that a file of embeddings does not hold: expected cosine, l2, squared-l2 or l1", e.Head)
	}
	table, err := evaluate.ReadFile(e.Embeddings, e.Labels)
	if err != nil {
		return err
	}
	s, err := evaluate.Summarize(distance, table.Labeled, evaluate.SummaryOptions{Pairs: e.Pairs, Way: e.Way, Seed: e.Seed})
	if err != nil {
		return errors.Wrap(err, e.Embeddings)
	}
	c.say("%d embeddings of %d features, %d classes; distance %s", s.Images, table.Columns, s.Classes, e.Head)
	if s.Pairs < s.AllPairs {
		c.say("verification: a random sample of %d of %d pairs, drawn by seed %d", s.Pairs, s.AllPairs, e.Seed)
	} else {
		c.say("verification: all %d pairs", s.Pairs)
	}
	if len(s.Clustered) < s.Images {
		c.say("clusters: %d of k-means, of a random sample of %d embeddings", s.Clustering.Clusters, len(s.Clustered))
	} else {
		c.say("clusters: %d of k-means, of all embeddings", s.Clustering.Clusters)
	}
	row := func(name string, m evaluate.Estimate) { c.print("%-28s %v", name, m) }
	row("verification ROC AUC", s.Verification.AUC())
	row("equal error rate", s.Verification.EqualErrorRate())
	accepted, err := s.Verification.TrueAcceptRate(0.01)
	if err != nil {
		return err
	}
	row("true accept rate at FAR 1 %", accepted)
	row(fmt.Sprintf("%d-way one-shot accuracy", s.Way), s.OneShot.Estimate)
	for _, k := range slices.Sorted(maps.Keys(s.Retrieval.RecallAt)) {
		row(fmt.Sprintf("recall@%d", k), s.Retrieval.RecallAt[k].Estimate)
	}
	for _, k := range slices.Sorted(maps.Keys(s.Retrieval.PrecisionAt)) {
		if k > 1 { // the precision at 1 is the recall at 1
			row(fmt.Sprintf("precision@%d", k), s.Retrieval.PrecisionAt[k].Estimate)
		}
	}
	row("mean reciprocal rank", s.Retrieval.MRR.Estimate)
	row("NDCG", s.Retrieval.NDCG.Estimate)
	row("R-precision", s.Retrieval.RPrecision.Estimate)
	row("MAP@R", s.Retrieval.MAPAtR.Estimate)
	row("cluster purity", s.Clustering.Purity.Estimate)
	row("NMI of clusters", s.Clustering.NMI)
	row("AMI of clusters", s.Clustering.AMI)
	return nil
}
