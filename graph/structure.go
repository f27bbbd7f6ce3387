package graph

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Describe adds a value to the Structure of the graph that its nodes do not contain:
// the settings of a layer, or the state of a Function. The value is written as JSON,
// or as Go prints it if it has no JSON form.
func (b *Builder) Describe(name string, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		text = fmt.Appendf(nil, "%v", value)
	}
	b.descriptions = append(b.descriptions, fmt.Sprintf("%s %s", b.path(name), text))
}

// Structure returns an identifier of the graph: a hash of its nodes with their
// operations, shapes and operands, its constants, the names, shapes and roles of its
// weights, and the values given to Describe. Two programs with the same structure compute
// the same function of the same weights and inputs, except for differences in the
// closures of user-defined Functions. It does not depend on the values of the weights,
// the processor or the number of threads. A later version of this module may build the
// same network from other operations, which changes the structure. It is empty for a nil
// program.
func (p *Program) Structure() string {
	if p == nil {
		return ""
	}
	return p.structure
}

// structureOf returns the structure of a graph with these outputs.
func (b *Builder) structureOf(outputs Outputs) string {
	hash := sha256.New()
	numbers, next := map[*Node]int{}, 0
	line := func(label string, shape tensor.Shape, operands []int) int {
		fmt.Fprintf(hash, "%d %s %v %v\n", next, label, shape, operands)
		next++
		return next - 1
	}
	var number func(*Node) int
	number = func(node *Node) int {
		if known, ok := numbers[node]; ok {
			return known
		}
		var operands []int
		op, own := node.Op().(*operation)
		own = own && op.adds
		layers := b.layersOf(node)
		children := b.graph.From(node.ID())
		for i := 0; children.Next(); i++ {
			operands = append(operands, number(children.Node().(*Node)))
			for len(layers) > 0 && len(operands) == 1+layers[0].weights {
				operands = []int{line(layers[0].label, layers[0].shape, operands)}
				layers = layers[1:]
			}
			if own && op.layers == nil && i == 1 { // as Gorgonia's sum of both
				operands = []int{line("+ false", node.Shape(), operands)}
			}
		}
		if b.layersOf(node) != nil && len(operands) == 1 {
			if numbers[node] = operands[0]; own {
				children.Reset()
				children.Next()
				numbers[node] = line("+ false", node.Shape(), []int{operands[0], number(children.Node().(*Node))})
			}
			return numbers[node]
		}
		if own && op.layers != nil { // the last layer and another summand
			operands = []int{line("+ false", node.Shape(), operands)}
		}
		if own && op.only {
			numbers[node] = operands[0]
		} else {
			numbers[node] = line(b.label(node), node.Shape(), operands)
		}
		return numbers[node]
	}
	for _, name := range sortedKeys(outputs) {
		fmt.Fprintf(hash, "output %s %d\n", name, number(outputs[name]))
	}
	for _, name := range b.order {
		weight := b.weights.Get(name)
		fmt.Fprintf(hash, "weight %s %v %v\n", name, roleInStructure(weight.Role), weight.Value.Shape())
	}
	for _, description := range b.descriptions {
		fmt.Fprintln(hash, description)
	}
	return fmt.Sprintf("%x", hash.Sum(nil)[:16])
}

// layersOf returns the layers that the operation of a node computes, or nil if it is not one of several.
func (b *Builder) layersOf(node *Node) []structureLayer {
	if op, own := node.Op().(*operation); own {
		return op.layers
	}
	return nil
}

// structureLayer is a layer that is a node of its own in the structure, with the result of the one before
// and a number of weights as its operands.
type structureLayer struct {
	label   string
	shape   tensor.Shape
	weights int
}

// roleInStructure is the name of a role in structures. That of Buffer is the one
// that checkpoints of version 0 contain.
func roleInStructure(role Role) string {
	if role == Buffer {
		return "statistic"
	}
	return role.String()
}

// label describes a node by properties that are the same in every build.
func (b *Builder) label(node *Node) string {
	if op, own := node.Op().(*operation); own {
		return op.name + " " + op.settings
	}
	if constant, ok := node.Op().(interface{ Value() gorgonia.Value }); ok {
		value := constant.Value() // printing it would abbreviate a large tensor
		return fmt.Sprintf("constant %v %v %v", value.Dtype(), value.Shape(), value.Data())
	}
	if node.Op() == nil {
		return node.Name()
	}
	return node.Op().String()
}

// module is the import path of this module with a slash. Its own Functions are
// described by the layers, distances and losses that apply them.
var module = strings.TrimSuffix(reflect.TypeFor[Builder]().PkgPath(), "graph")

// settingsOf lists the fields of a user's Function that have plain values. Fields of
// this module's own Functions may depend on the processor.
func settingsOf(function any) string {
	value := reflect.Indirect(reflect.ValueOf(function))
	if !value.IsValid() || strings.HasPrefix(value.Type().PkgPath()+"/", module) && !strings.HasSuffix(value.Type().PkgPath(), "_test") {
		return ""
	}
	return strings.Join(plainFields(value), " ")
}

func plainFields(value reflect.Value) []string {
	var fields []string
	switch value.Kind() {
	case reflect.Struct:
		for i := range value.NumField() {
			for _, text := range plainFields(value.Field(i)) {
				fields = append(fields, cmp.Or(value.Type().Field(i).Name, "_")+"="+text)
			}
		}
	case reflect.Array, reflect.Slice:
		if !slices.Contains([]reflect.Kind{reflect.Func, reflect.Pointer, reflect.Map, reflect.Chan, reflect.Interface}, value.Type().Elem().Kind()) {
			fields = append(fields, fmt.Sprintf("%v", value))
		}
	case reflect.Bool, reflect.String,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		fields = append(fields, fmt.Sprint(value))
	}
	return fields
}
