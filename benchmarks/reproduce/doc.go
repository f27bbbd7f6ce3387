// Command reproduce trains and measures the entries of the tables of the papers, one job at
// a time:
//
//	go run ./benchmarks/reproduce -data DIR omniglot
//
// DIR is the folder of Omniglot's official files (images_background.zip,
// images_evaluation.zip, all_runs.zip and the minimal splits). Each run adds its
// figures to benchmarks/results/accuracy.jsonl and writes accuracy.md from all rows. With
// -quick, training is a tenth as long, and the rows are marked.
package main
