package report_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/likeness-go/likeness/report"
	"github.com/likeness-go/likeness/trainer"
)

// The page of a run without measurements states what is missing.
func ExamplePage_Write() {
	folder, err := os.MkdirTemp("", "run")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	run := report.Page{
		Title:  "MNIST: lenet, contrastive with l2",
		Report: report.Report{Dataset: "MNIST", Seed: 1, Seconds: 13},
		Epochs: []trainer.Epoch{{Epoch: 1, Loss: 0.04, LearningRate: 0.003}, {Epoch: 2, Loss: 0.02, LearningRate: 0.001}},
		Config: "seed = 1\n",
	}
	if err := run.Write(folder); err != nil {
		fmt.Println(err)
		return
	}
	for _, pattern := range []string{"*.html", "plots/*"} {
		files, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, file := range files {
			fmt.Println(filepath.Base(file))
		}
	}
	// Output:
	// report.html
	// loss.png
}
