package evaluate_test

import (
	"fmt"
	"log"
	"strings"

	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/heads"
)

// What is commonly reported of the embeddings of a file: evaluate.ReadFile reads one with
// the same columns.
func ExampleSummarize() {
	table, err := evaluate.ReadCSV(strings.NewReader(`file,e0,e1
photos/cat/1.png,0,0
photos/cat/2.png,1,0
photos/cat/3.png,0,1
photos/dog/1.png,5,5
photos/dog/2.png,6,5
photos/dog/3.png,1,2
`))
	if err != nil {
		log.Fatal(err)
	}
	metric, err := heads.L2{}.Distance(nil) // the distance has no weights
	if err != nil {
		log.Fatal(err)
	}
	summary, err := evaluate.Summarize(metric, table.Labeled, evaluate.SummaryOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(table.Classes, summary.Images, "images,", summary.Pairs, "of", summary.AllPairs, "pairs")
	fmt.Printf("AUC %.3f, recall at 1 %.3f\n", summary.Verification.AUC().Value, summary.Retrieval.RecallAt[1].Value)
	// Output:
	// [cat dog] 6 images, 15 of 15 pairs
	// AUC 0.880, recall at 1 0.833
}
