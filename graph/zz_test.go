package graph_test
import ("testing";"fmt";"github.com/likeness-go/likeness/graph")
func TestZZ(t *testing.T){
 for i, r := range []graph.Residual{
  {Body: []graph.Block{graph.Conv{Filters:3,Kernel:3,Padding:1,BatchNorm:true}}, Activation:"relu"},
  {Body: []graph.Block{graph.Conv{Filters:3,Kernel:3,Padding:1}}},
  {Body: []graph.Block{graph.Conv{Filters:4,Kernel:3,Padding:1}}, Shortcut: []graph.Block{graph.Conv{Filters:4,Kernel:1}}, Activation:"prelu", Pool:2},
  {Body: []graph.Block{graph.Linear{Units:5}}, Activation:"tanh"},
 }{
  for _, mode := range []graph.Mode{graph.Training, graph.Evaluation} {
  w := graph.NewWeights(graph.Float32, 1)
  p, err := graph.Build(w, mode, func(b *graph.Builder) graph.Outputs {
   var x *graph.Node
   if i==3 { x = b.Input("x",2,5) } else { x = b.Input("x",2,6,6,3) }
   y := b.Sequence([]graph.Block{r}, x)
   o := graph.Outputs{"y": y}
   if mode==graph.Training { o[graph.Cost] = sumOfSquares(b, y) }
   return o })
  if err!=nil {t.Fatal(err)}
  fmt.Println(i, mode, p.Structure())
  p.Close()
 }}
}
