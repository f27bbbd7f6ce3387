package report_test

import (
	"fmt"
	"os"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/report"
)

// dots returns images of 4×4 pixels with one white pixel in the row of their class.
func dots(rows ...int) *datasets.Dataset {
	d := &datasets.Dataset{Name: "dots", Size: imaging.Size{Height: 4, Width: 4, Channels: 1}}
	for class, row := range rows {
		d.Classes = append(d.Classes, fmt.Sprint("row ", row))
		for column := range 4 {
			pixels := make([]uint8, 16)
			pixels[4*row+column] = 255
			d.Images, d.Labels = append(d.Images, pixels), append(d.Labels, class)
		}
	}
	return d
}

// The plan is drawn before anything is measured and describes its protocol. The
// network of this example, which stands for a trained one, sums each row and
// distinguishes all rows, which raw pixels do not: all different images have the same
// distance.
func Example() {
	images := dots(0, 1)
	network := backbone.Network{Name: "rows", Size: images.Size, Blocks: []graph.Block{
		graph.Flatten{}, graph.Linear{Units: 4},
	}}
	untrained, err := likeness.New(network, heads.L2{}, imaging.Preprocessing{Size: images.Size}, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	trained, err := likeness.New(network, heads.L2{}, imaging.Preprocessing{Size: images.Size}, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	weights := trained.Weights.Get("linear1.weight").Value.Data().([]float32) // (units, pixels)
	clear(weights)
	for pixel := range 16 {
		unit := pixel / 4 // that of the pixel's row
		weights[16*unit+pixel] = 1
	}

	plan, err := report.NewPlan(datasets.Experiment{Train: images, Unseen: dots(2, 3), Protocol: "Rows 2 and 3 were held out."}, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := plan.Measure(trained, untrained)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(plan.Protocol)
	for _, name := range []string{"verification_auc", "oneshot_accuracy"} {
		fmt.Printf("%s: %.2f, pixels %.2f\n", name, result.Metrics[name].Value, result.Metrics[name].Pixels)
	}
	// Output:
	// Rows 2 and 3 were held out; verification of 24 balanced pairs of unseen classes; 2-way one-shot over 12 episodes of unseen classes; retrieval among 8 images of the unseen classes
	// verification_auc: 1.00, pixels 0.50
	// oneshot_accuracy: 1.00, pixels 0.50
}

func ExampleReport_WriteTable() {
	r := report.Report{
		Dataset: "MNIST", Protocol: "7, 8 and 9 were held out", Seed: 1, Seconds: 61.2, ImagesPerSecond: 19607,
		Metrics: map[string]report.Figure{
			"recall_at_1":      {Value: 0.975, Low: 0.969, High: 0.98, Untrained: 0.93, Pixels: 0.9451},
			"verification_auc": {Value: 0.9123, Low: 0.9061, High: 0.918, Untrained: 0.7, Pixels: 0.7512, Gain: &report.Gain{Value: 0.1611, Low: 0.15, High: 0.17}},
			"verification_eer": {Value: 0.15, Low: 0.14, High: 0.16, Untrained: 0.36, Pixels: 0.3},
			"knn_accuracy":     {Value: 1, Low: 0.9996, High: 1, Untrained: 0.95, Pixels: 0.97},
		},
	}
	if err := r.WriteTable(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// MNIST                              trained  95 % interval     untrained  pixels
	// nearest neighbor, seen classes      100.00  [ 99.96, 100.00]      95.00   97.00
	// verification, ROC AUC                91.23  [ 90.61,  91.80]      70.00   75.12
	// verification, equal error rate       15.00  [ 14.00,  16.00]      36.00   30.00
	// recall@1                             97.50  [ 96.90,  98.00]      93.00   94.51
	//
	// seed 1, trained 61 s at 19607 images/s
	// protocol: 7, 8 and 9 were held out
}
