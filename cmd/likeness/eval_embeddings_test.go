package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// What likeness embed writes of a folder with one folder for each class is measured; a
// .npy file with a file of labels gives the same table.
func TestEvalEmbeddings(t *testing.T) {
	inFolder(t)
	bars(t, "photos", 3, 4)
	saveModel(t, "model.safetensors", nil)
	tool(t, "embed", "photos", "--model", "model.safetensors", "--out", "e.csv")
	tool(t, "embed", "photos", "--model", "model.safetensors", "--out", "e.npy")
	var labels strings.Builder
	for i := range 12 {
		fmt.Fprintf(&labels, "class %d\n", i/4)
	}
	write(t, "labels.txt", labels.String())

	table, said := tool(t, "eval", "--embeddings", "e.csv", "--head", "l2")
	for _, text := range []string{"12 embeddings of 4 features, 3 classes; distance l2", "all 66 pairs", "clusters: 3 of k-means, of all embeddings"} {
		if !strings.Contains(said, text) {
			t.Errorf("it says %q, expected %q in it", said, text)
		}
	}
	for _, text := range []string{"verification ROC AUC", "equal error rate", "true accept rate at FAR 1 %", "3-way one-shot accuracy", "recall@1 ", "recall@5", "precision@5", "mean reciprocal rank", "NDCG", "R-precision", "MAP@R", "cluster purity", "NMI of clusters", "AMI of clusters"} {
		if !strings.Contains(table, text) {
			t.Errorf("the table %q lacks %q", table, text)
		}
	}
	if again, _ := tool(t, "eval", "--embeddings", "e.npy", "--labels", "labels.txt", "--head", "l2"); again != table {
		t.Errorf("of the .npy file: found %q, expected %q", again, table)
	}
	if _, said := tool(t, "eval", "--embeddings", "e.csv", "--pairs", "30"); !strings.Contains(said, "a random sample of 30 of 66 pairs, drawn by seed 1") {
		t.Errorf("of a sample it says %q", said)
	}

	toolFails(t, 1, []string{"neither --run nor --embeddings"}, "eval")
	toolFails(t, 1, []string{"both --run and --embeddings"}, "eval", "--run", ".", "--embeddings", "e.csv")
	toolFails(t, 1, []string{"a .npy file has no labels"}, "eval", "--embeddings", "e.npy")
	toolFails(t, 1, []string{"found weighted-l1, which has trained weights"}, "eval", "--embeddings", "e.csv", "--head", "weighted-l1")
	toolFails(t, 1, []string{"none.csv"}, "eval", "--embeddings", filepath.Join("photos", "none.csv"))
}
