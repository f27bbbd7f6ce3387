package graph

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
)

// wrongOperations are Gorgonia's own operations that Build refuses, by the name
// of their Go type, with what is wrong in v0.9.18 and what to use instead. Those
// whose type says too little are recognized by refusedByUse.
var wrongOperations = map[string]string{
	"dropoutOp":           "gorgonia.Dropout divides its gradient by p instead of 1 − p, and drops elements in evaluation, too: use graph.Dropout",
	"avgPoolOp":           "gorgonia.AveragePool2D has a wrong gradient: use graph.AveragePool",
	"globalAveragePoolOp": "gorgonia.GlobalAveragePool2D panics when it is differentiated: use graph.GlobalAveragePool",
	"maxPoolOp":           "gorgonia.MaxPool2D and MaxPool1D panic where all elements of a window are NaN, which ends the process: use graph.MaxPool",
	"BatchNormOp":         "gorgonia.BatchNorm loses its running statistics when a second machine is built, and does not train a scale and bias that are nil: use graph.BatchNorm",
	"im2colOp":            "gorgonia.Conv2d and Conv1d are made of reshapes that share memory with their source, which a later operation in place overwrites: use graph.Conv",
}

// refuseOperations is refuseWrong; tests that show what is wrong replace it.
var refuseOperations = refuseWrong

// refuseWrong returns an error for the first node that is an operation of
// Gorgonia's own which computes wrong values or gradients.
func refuseWrong(g *gorgonia.ExprGraph) error {
	for _, node := range g.AllNodes() {
		reason := wrongOperations[operationType(node)]
		if reason == "" {
			reason = refusedByUse(g, node)
		}
		if reason != "" {
			return errors.Errorf("found the operation %v of shape %v: %s", node.Op(), node.Shape(), reason)
		}
	}
	return nil
}

// refusedByUse returns the reason to refuse a node because of its operands, its settings
// or the nodes that use it; it is empty for all others.
func refusedByUse(g *gorgonia.ExprGraph, node *Node) string {
	kind := operationType(node)
	if kind == "" {
		return ""
	}
	switch name := node.Op().String(); kind {
	case "reshapeOp":
		// The broadcasting operations reshape an operand and repeat it at once,
		// which copies it.
		users := g.To(node.ID())
		for alone := users.Len() == 0; alone || users.Next(); {
			if alone || operationType(users.Node().(*Node)) != "repeatOp" {
				return "gorgonia.Reshape (which KeepDims and Ravel call, too) shares memory with its source, which a later operation in place overwrites: use Builder.Reshape"
			}
		}
	case "repeatOp":
		var axis int
		if _, err := fmt.Sscanf(name, "Repeat%d", &axis); err == nil && inner(axis, node.Dims()) {
			return fmt.Sprintf("gorgonia's broadcasting operations have a wrong gradient over axis %d of %d: join axes by Builder.Reshape, so that it is the first, second or last one", axis, node.Dims())
		}
	case "sumOp", "maxOp":
		axes, dims := axesOf(name), operandsOf(g, node)[0].Dims()
		if kind == "sumOp" && len(axes) > 1 && len(axes) < dims {
			return "gorgonia.Sum and Mean over several axes, but not all, have a wrong gradient: take one axis after the other, or Builder.Reshape first"
		}
		if len(axes) == 1 && inner(axes[0], dims) {
			return fmt.Sprintf("gorgonia.Sum, Mean and Max compute wrong values over axis %d of %d: join axes by Builder.Reshape, so that it is the first, second or last one", axes[0], dims)
		}
	case "elemUnaryOp":
		if strings.HasPrefix(name, "invSqrt") {
			return "gorgonia.InverseSqrt has a wrong gradient: use Inverse of Sqrt"
		}
		if strings.HasPrefix(name, "log2") {
			return "gorgonia.Log2 has a wrong gradient: use Log and divide by log(2)"
		}
		if operand := operandsOf(g, node)[0]; strings.HasPrefix(name, "ln") && operationType(operand) == "elemBinOp" {
			kinds := map[string]bool{}
			for _, each := range operandsOf(g, operand) {
				kinds[operationType(each)] = true
			}
			if kinds["sumOp"] && kinds["maxOp"] {
				return "gorgonia.LogSumExp computes log(sum + max) instead of log(sum) + max: subtract the maximum, take Exp, Sum and Log, and add the maximum"
			}
		}
	}
	return ""
}

// inner reports whether an axis of so many is one over which package tensor's reduction
// (v0.9.24) computes wrong values or panics, which would end the process.
func inner(axis, dims int) bool { return axis >= 2 && axis < dims-1 }

// axesOf returns the axes of a reduction with a name such as "Σ[1 2]".
func axesOf(name string) (axes []int) {
	_, list, _ := strings.Cut(strings.TrimSuffix(name, "]"), "[")
	for _, text := range strings.Fields(list) {
		if axis, err := strconv.Atoi(text); err == nil {
			axes = append(axes, axis)
		}
	}
	return axes
}

// operationType is the name of the Go type of a node's operation where that is one
// of Gorgonia's own, and empty otherwise.
func operationType(node *Node) string {
	name, found := strings.CutPrefix(strings.TrimPrefix(fmt.Sprintf("%T", node.Op()), "*"), "gorgonia.")
	if !found {
		return ""
	}
	return name
}

func operandsOf(g *gorgonia.ExprGraph, node *Node) []*Node {
	var operands []*Node
	for children := g.From(node.ID()); children.Next(); {
		operands = append(operands, children.Node().(*Node))
	}
	return operands
}

// distinct returns an error for two nodes of one hash: Gorgonia's compiler compares
// hashes only and would compute one of the two.
func distinct(g *gorgonia.ExprGraph) error {
	seen := map[uint32]*Node{}
	for _, node := range g.AllNodes() {
		hash := node.Hashcode()
		if other := seen[hash]; other != nil {
			return errors.Errorf("nodes %v and %v have the same hash: Gorgonia would compute only one of them: give an input another name, or change the order of operations", other, node)
		}
		seen[hash] = node
		if extent := slicedExtent(g, node); extent > 256 {
			return errors.Errorf("%v is a slice of an axis of %d elements, expected at most 256: Gorgonia may confuse two slices of a longer one: use a Function", node, extent)
		}
	}
	return nil
}

// slicedExtent is the extent of the axis that gorgonia.Slice slices, 0 for other
// nodes. The hash of a slice contains one byte of each of its bounds, so x[0:256] and
// x[256:512] have the same hash; and as their operations and operands are equal, the
// graph contains only one of the two nodes.
func slicedExtent(g *gorgonia.ExprGraph, node *Node) int {
	if operationType(node) != "sliceOp" {
		return 0
	}
	operand := g.From(node.ID())
	operand.Next()
	axis := strings.Count(node.Op().String(), ":, ") // as in T[:, :, 0:256:1...]
	return operand.Node().(*Node).Shape()[axis]
}
