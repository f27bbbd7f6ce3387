package likeness_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"image"
	"image/color"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/adapt"
	"github.com/likeness-go/likeness/audit"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/datasets/omniglot"
	"github.com/likeness-go/likeness/evaluate"
	"github.com/likeness-go/likeness/explain"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/imaging"
	"github.com/likeness-go/likeness/objectives"
	"github.com/likeness-go/likeness/onnx"
	"github.com/likeness-go/likeness/pytorch"
	"github.com/likeness-go/likeness/quantize"
	"github.com/likeness-go/likeness/quantized"
	"github.com/likeness-go/likeness/retrieval"
	"github.com/likeness-go/likeness/retrieval/cache"
	"github.com/likeness-go/likeness/run"
	"github.com/likeness-go/likeness/solver"
	"github.com/likeness-go/likeness/trainer"
	"github.com/likeness-go/likeness/zoo"
)

// exportedFunctions are all functions of these packages, which TestListsAreWhole
// sees to.
var exportedFunctions = []any{
	likeness.WithHead,
	likeness.Load,
	likeness.LoadWith,
	likeness.Read,
	likeness.ReadPreprocessing,
	likeness.New,
	graph.Build,
	graph.Normal,
	graph.Constant,
	graph.SetThreads,
	graph.Sigmoid,
	graph.Softplus,
	graph.Threads,
	graph.Parallel,
	graph.SetWinograd,
	graph.SetFourier,
	graph.SetPairs,
	graph.ParsePrecision,
	graph.Arithmetic,
	graph.EnvironmentError,
	graph.NewWeights, graph.NewZeroWeights,
	heads.FromForm,
	heads.FromFunc,
	heads.IsOwn,
	heads.Identifier,
	heads.DistanceOf,
	heads.Named,
	backbone.Conv4,
	backbone.Conv7,
	backbone.Digits,
	backbone.Residual,
	backbone.Parse,
	backbone.ShapeOf,
	backbone.LeNet,
	backbone.Defaults,
	backbone.Named,
	backbone.Hadsell,
	backbone.Koch,
	backbone.HofferMNIST,
	backbone.HofferCIFAR,
	objectives.Named,
	objectives.HeadFor,
	objectives.Penalty,
	objectives.PerAnchor,
	objectives.Mean,
	objectives.WeightedMean,
	objectives.MeanNonZero,
	objectives.Largest,
	objectives.Smallest,
	objectives.Any,
	objectives.Hinge,
	objectives.IsOwn,
	objectives.Defaults,
	objectives.DefaultHead,
	objectives.DefaultMargin,
	objectives.DefaultScale,
	objectives.DefaultTemperature,
	solver.MatchLayers,
	solver.New,
	solver.Koch,
	adapt.Fit,
	adapt.Folder,
	quantize.Folder,
	quantized.New,
	quantized.Quantize,
	explain.New,
	explain.CheckFileName,
	audit.Embeddings,
	audit.Folder,
	evaluate.Misses,
	evaluate.OneShot,
	evaluate.OneShotDistances,
	evaluate.Retrieve,
	evaluate.Cluster,
	evaluate.NearestOthers,
	evaluate.ScaleInvariant,
	evaluate.Verify,
	evaluate.Difference,
	evaluate.Wilson,
	evaluate.NewVerification,
	evaluate.AUCDifference,
	evaluate.AccuracyDifference,
	evaluate.Queries,
	evaluate.WilsonOfPairs,
	evaluate.UpperBound,
	evaluate.MostAccepted,
	evaluate.GuaranteedThreshold,
	evaluate.ConformalDistance,
	evaluate.InkOf,
	evaluate.ModifiedHausdorff,
	evaluate.NewEmbeddings,
	evaluate.NewTable,
	evaluate.ReadFile,
	evaluate.ReadCSV,
	evaluate.ReadNpy,
	evaluate.Summarize,
	evaluate.AllPairs,
	evaluate.FromRows,
	onnx.Network,
	onnx.Head,
	onnx.Import,
	onnx.Read,
	pytorch.ParseMapping,
	pytorch.Open,
	pytorch.Preprocessing,
	zoo.Names,
	zoo.Load,
	zoo.Choose,
	zoo.ChooseTraits,
	zoo.License,
	zoo.Preprocessing,
	backbone.ResNet,
	backbone.MobileNetV2,
	backbone.EfficientNetB0,
	backbone.EfficientNetLite0,
	backbone.ConvNeXtTiny,
	backbone.PublishedNames,
	retrieval.CheckFileName,
	retrieval.MeasureImage,
	retrieval.Embed,
	retrieval.Groups,
	retrieval.CheckTraits,
	retrieval.MeasureFiles,
	retrieval.Without,
	cache.Open,
	cache.DefaultPath,
	cache.ComputationOf,
	cache.TraitsOf,
	cache.SourceOf,
	imaging.DefaultShorterSide,
	imaging.Skippable,
	run.Configure,
	run.ParseMemory,
	run.Defaults,
	run.GeneralDefaults,
	run.Evaluate,
	run.FindModel,
	run.FlagName,
	run.FormerKeys,
	run.Keys,
	run.Load,
	run.LoadModel,
	run.Measure,
	run.Network,
	run.ParameterOf,
	run.ParseSize,
	run.Resume,
	run.Train,
	run.Untrained,
	trainer.ChooseInterpolation,
	trainer.CopyWeights,
	trainer.Interpolate,
	trainer.InterpolationShares,
	trainer.NewPrefix,
	trainer.ReplaceLast,
	trainer.WithFeatures,
	trainer.ValidationFunc,
	trainer.OneShot,
	trainer.Retrieval,
	trainer.Verification,
	trainer.VerificationOf,
	datasets.KochAffine,
	datasets.EachImage,
	datasets.Fill,
	datasets.FillRows,
	datasets.CacheFolder,
	datasets.CheckImages,
	datasets.ReadAll,
	datasets.Moments,
	datasets.Identity,
	datasets.PixelIdentity,
	datasets.Digests,
	datasets.NewDataset,
	datasets.NewFiles,
	datasets.DefaultSampler,
	datasets.FitBatch,
	datasets.ClassBatches,
	datasets.GroupBatches,
	datasets.GroupOf,
	datasets.NewEpisodes,
	datasets.OneShotTrials,
	datasets.Join,
	datasets.OpenRuns,
	datasets.ReadRuns,
	datasets.RunTrials,
	datasets.ReadAlphabets,
	datasets.MNIST,
	datasets.FindMNIST,
	datasets.Open,
	datasets.BalancedPairs,
	datasets.ListedPairs,
	datasets.RandomTriplets,
	datasets.RandomViews,
	datasets.ListedTriplets,
	omniglot.Small1,
	omniglot.Runs,
	omniglot.License,
	imaging.AffineAugmentations,
	imaging.SymmetryAugmentations,
	imaging.Turn,
	imaging.NewAffineTransform,
	imaging.Resample,
	imaging.Shrink,
	imaging.AdjustBrightness,
	imaging.AdjustContrast,
	imaging.AdjustSaturation,
	imaging.AdjustHue,
	imaging.Grayscale,
	imaging.GaussianBlur,
	imaging.FlipHorizontal,
	imaging.ResizedCrop,
	imaging.Decode,
	imaging.DecodeFile,
	imaging.DecodeSize,
	imaging.OpenFile,
	imaging.Find,
	imaging.IsImage,
	imaging.Formats,
	imaging.HasExtension,
	imaging.Check,
}

// exportedTypes are pointers to the zero values of all types that are no
// interfaces.
var exportedTypes = []any{
	new(likeness.Comparison),
	new(likeness.LoadOption),
	new(likeness.Identity),
	new(likeness.Pixels),
	new(likeness.TTA),
	new(likeness.Model),
	new(graph.Activate),
	new(graph.Residual),
	new(graph.Mode),
	new(graph.Precision),
	new(graph.Work),
	new(graph.Outputs),
	new(graph.Builder),
	new(graph.Conv),
	new(graph.Dropout),
	new(graph.BatchNorm),
	new(graph.Initializer),
	new(graph.Linear),
	new(graph.Normalize),
	new(graph.MaxPool),
	new(graph.AveragePool),
	new(graph.GlobalAveragePool),
	new(graph.GeM),
	new(graph.LayerNorm),
	new(graph.Scale),
	new(graph.SqueezeExcite),
	new(graph.Program),
	new(graph.WeightNode),
	new(graph.Flatten),
	new(graph.Parameter),
	new(graph.Role),
	new(graph.Weight),
	new(graph.PackedWeights),
	new(graph.Weights),
	new(heads.Form),
	new(heads.Properties),
	new(heads.L1),
	new(heads.SquaredL2),
	new(heads.WeightedL1),
	new(heads.Cosine),
	new(heads.L2),
	new(backbone.Spec),
	new(backbone.BlockSpec),
	new(backbone.Network),
	new(backbone.Shape),
	new(backbone.Options),
	new(objectives.Angular),
	new(objectives.ArcFace),
	new(objectives.BatchCrossEntropy),
	new(objectives.CosFace),
	new(objectives.NormalizedSoftmax),
	new(objectives.ProxyAnchor),
	new(objectives.ProxyNCA),
	new(objectives.ProxyNCAPlusPlus),
	new(objectives.SoftTriple),
	new(objectives.SubCenterArcFace),
	new(objectives.BatchHard),
	new(objectives.BatchRatio),
	new(objectives.Circle),
	new(objectives.CrossBatchMemory),
	new(objectives.CrossEntropy),
	new(objectives.Memory),
	new(objectives.FastAP),
	new(objectives.LiftedStructure),
	new(objectives.Margin),
	new(objectives.Mining),
	new(objectives.MultiSimilarity),
	new(objectives.NPair),
	new(objectives.BatchAll),
	new(objectives.Contrastive),
	new(objectives.Options),
	new(objectives.NCA),
	new(objectives.SupervisedContrastive),
	new(objectives.WeightPenalty),
	new(objectives.Prototypical),
	new(objectives.Sum),
	new(objectives.Weighted),
	new(objectives.Batch),
	new(objectives.References),
	new(objectives.Anchor),
	new(objectives.SemiHard),
	new(objectives.SmoothAP),
	new(objectives.Triplet),
	new(objectives.TripletRatio),
	new(objectives.TupletMargin),
	new(objectives.SimCLR), new(objectives.VICReg), new(objectives.BarlowTwins), new(objectives.KoLeo), new(objectives.Projection),
	new(objectives.BatchContrastive),
	new(solver.Layer),
	new(solver.Constant),
	new(solver.Step),
	new(solver.Exponential),
	new(solver.Cosine),
	new(solver.Warmup),
	new(solver.Ramp),
	new(solver.Adam),
	new(solver.Config),
	new(solver.Length),
	new(solver.Progress),
	new(solver.SGD),
	new(solver.Average),
	new(solver.State),
	new(adapt.Adaptation),
	new(adapt.Candidate),
	new(adapt.Method),
	new(adapt.Options),
	new(quantize.Accuracy),
	new(quantize.Measures),
	new(quantize.Options),
	new(quantize.Report),
	new(quantized.Network),
	new(quantized.Options),
	new(quantized.Parameter),
	new(explain.Explainer),
	new(explain.Explanation),
	new(explain.Input),
	new(explain.Map),
	new(explain.Named),
	new(audit.Finding),
	new(audit.Options),
	new(audit.Result),
	new(evaluate.Neighbor),
	new(evaluate.Miss),
	new(evaluate.NearestNeighbors),
	new(evaluate.Trial),
	new(evaluate.ClassDistance),
	new(evaluate.Retrieval),
	new(evaluate.Clustering),
	new(evaluate.ClusterOptions),
	new(evaluate.Score),
	new(evaluate.Estimate),
	new(evaluate.LinearClassifier),
	new(evaluate.Verification),
	new(evaluate.Pair),
	new(evaluate.Ink),
	new(evaluate.ROCPoint),
	new(evaluate.Embeddings),
	new(evaluate.Labeled),
	new(evaluate.Table),
	new(evaluate.Summary),
	new(evaluate.SummaryOptions),
	new(onnx.Model),
	new(onnx.Imported),
	new(onnx.ImportOptions),
	new(onnx.Value),
	new(pytorch.Mapping),
	new(pytorch.Source),
	new(pytorch.File),
	new(retrieval.Traits),
	new(imaging.Symmetry),
	new(zoo.Choice),
	new(graph.GeM),
	new(graph.LayerNorm),
	new(graph.Scale),
	new(graph.SqueezeExcite),
	new(retrieval.Collection),
	new(retrieval.Options),
	new(cache.Cache),
	new(cache.Options),
	new(cache.Hash),
	new(cache.Computation),
	new(cache.Source),
	new(cache.Record),
	new(retrieval.Group),
	new(retrieval.Member),
	new(retrieval.NearPair),
	new(retrieval.Match),
	new(trainer.Collapse),
	new(run.Evaluation),
	new(run.EvaluationOptions),
	new(run.Folder),
	new(run.List),
	new(run.Observer),
	new(run.Parameter),
	new(run.Preparation),
	new(run.Result),
	new(run.Settings),
	new(run.Trial),
	new(run.Trials),
	new(trainer.Trainer),
	new(trainer.Prefix),
	new(trainer.Step),
	new(trainer.Epoch),
	new(trainer.Result),
	new(trainer.Interpolation),
	new(trainer.InterpolationCandidate),
	new(datasets.Kind),
	new(datasets.Affine),
	new(datasets.Distortion),
	new(datasets.Augmentation),
	new(datasets.Kind),
	new(datasets.Tuples),
	new(datasets.Dataset),
	new(datasets.Files),
	new(datasets.Reference),
	new(datasets.Elastic),
	new(datasets.Episode),
	new(datasets.Episodes),
	new(datasets.Experiment),
	new(datasets.ExperimentOptions),
	new(datasets.OneShotRun),
	new(datasets.Splits),
	new(datasets.Options),
	new(datasets.Pair),
	new(datasets.Stroke),
	new(datasets.Photo),
	new(datasets.RandomResizedCrop),
	new(datasets.ColorJitter),
	new(datasets.GaussianBlur),
	new(datasets.RandomErasing),
	new(datasets.Triplet),
	new(datasets.PairList),
	new(datasets.TripletList),
	new(imaging.AffineTransform),
	new(imaging.Warp),
	new(imaging.Area),
	new(imaging.Crop),
	new(imaging.Found),
	new(imaging.Skipped),
	new(imaging.Format),
	new(imaging.Preprocessing),
	new(imaging.Size),
}

// Every exported function, with nil or zero for every argument, and every method of
// every zero value and nil pointer, returns: with an error if it can say so. What
// draws with a Builder is called within Build, which returns what unwinds.
func TestNilAndZero(t *testing.T) {
	// Some set what is the whole process's.
	defer graph.SetThreads(graph.Threads())
	defer graph.SetFourier(true)
	defer graph.SetPairs(graph.BFloat16.Faster())
	defer graph.SetWinograd(true)
	for _, function := range exportedFunctions {
		value := reflect.ValueOf(function)
		callWithZero(t, runtime.FuncForPC(value.Pointer()).Name(), value)
	}
	for _, pointer := range exportedTypes {
		zero := reflect.ValueOf(pointer)
		inside := zero.Elem().Type()
		for i := range zero.NumMethod() {
			name := fmt.Sprintf("%v.%s", inside, zero.Type().Method(i).Name)
			if inside == reflect.TypeFor[graph.Builder]() {
				callWithZero(t, name, zero.Type().Method(i).Func) // the receiver is an argument
				continue
			}
			callWithZero(t, "a zero "+name, zero.Method(i))
			if _, byValue := inside.MethodByName(zero.Type().Method(i).Name); !byValue {
				callWithZero(t, "a nil "+name, reflect.Zero(zero.Type()).Method(i))
			}
		}
	}
}

// callWithZero calls a function with nil or zero for every argument, but for a
// Builder, within Build.
func callWithZero(t *testing.T, name string, function reflect.Value) {
	builder := reflect.TypeFor[*graph.Builder]()
	drawing := false
	for i := range function.Type().NumIn() {
		drawing = drawing || function.Type().In(i) == builder
	}
	call := func(b *graph.Builder) []reflect.Value {
		var arguments []reflect.Value
		for i := range function.Type().NumIn() {
			in := function.Type().In(i)
			switch {
			case in == builder:
				arguments = append(arguments, reflect.ValueOf(b))
			case function.Type().IsVariadic() && i == function.Type().NumIn()-1:
				arguments = append(arguments, reflect.Zero(in.Elem()))
			default:
				arguments = append(arguments, reflect.Zero(in))
			}
		}
		return function.Call(arguments)
	}
	if drawing {
		checkDrawing(t, name, call)
		return
	}
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("%s: it panics: %v", name, r)
		}
	}()
	call(nil)
}

// checkDrawing draws within Build, which must return.
func checkDrawing(t *testing.T, name string, call func(b *graph.Builder) []reflect.Value) {
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("%s: Build panics: %v", name, r)
		}
	}()
	program, err := graph.Build(graph.NewWeights(graph.Float32, 1), graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		outputs := graph.Outputs{}
		for _, result := range call(b) {
			if node, ok := result.Interface().(*graph.Node); ok {
				outputs["result"] = node
			}
		}
		return outputs
	})
	if err == nil {
		if err := program.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The lists have every exported function and every exported type of the packages.
func TestListsAreWhole(t *testing.T) {
	listed := map[string]bool{}
	for _, function := range exportedFunctions {
		name := runtime.FuncForPC(reflect.ValueOf(function).Pointer()).Name()
		listed[name[strings.LastIndexByte(name, '/')+1:]] = true
	}
	for _, pointer := range exportedTypes {
		listed[reflect.TypeOf(pointer).Elem().String()] = true
	}
	for _, dir := range []string{".", "graph", "heads", "backbone", "objectives", "solver", "evaluate", "audit", "onnx", "pytorch", "zoo", "retrieval", "retrieval/cache", "run", "explain", "trainer", "datasets", "datasets/omniglot", "imaging"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range exported(file) {
				if !listed[file.Name.Name+"."+name] {
					t.Errorf("%s: %s is not in the lists", path, name)
				}
			}
		}
	}
}

// exported are a file's functions, and its types that are neither interfaces nor
// aliases nor generic.
func exported(file *ast.File) (names []string) {
	for _, declaration := range file.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil && d.Name.IsExported() && d.Type.TypeParams == nil {
				names = append(names, d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				t, ok := spec.(*ast.TypeSpec)
				if !ok || !t.Name.IsExported() || t.TypeParams != nil || t.Assign.IsValid() {
					continue
				}
				if _, isInterface := t.Type.(*ast.InterfaceType); !isInterface {
					names = append(names, t.Name.Name)
				}
			}
		}
	}
	return names
}

// A nil model and one that lacks a field say so.
func TestModelThatIsNotWhole(t *testing.T) {
	whole := func(change func(*likeness.Model)) *likeness.Model {
		model := newModel(t, heads.L2{})
		change(model)
		return model
	}
	for want, model := range map[string]*likeness.Model{
		"the model is nil":        nil,
		"has no Backbone":         whole(func(m *likeness.Model) { *m = likeness.Model{} }),
		"has no Head":             whole(func(m *likeness.Model) { m.Head = nil }),
		"has no Weights":          whole(func(m *likeness.Model) { m.Weights = nil }),
		"size":                    whole(func(m *likeness.Model) { m.Preprocessing.Size.Height = 0 }),
		"takes images of 16x16x1": whole(func(m *likeness.Model) { m.Preprocessing.Size.Height = 17 }),
		"deviation":               whole(func(m *likeness.Model) { m.Preprocessing.StdDev = []float64{0} }),
		"a panic, possibly of a user-defined backbone": whole(func(m *likeness.Model) { m.Backbone = (*broken)(nil) }),
		"its method Distance pani":                     whole(func(m *likeness.Model) { m.Head = (*brokenHead)(nil) }),
	} {
		for name, ask := range map[string]func() error{
			"Embed":       func() error { return second(model.Embed(picture(1))) },
			"EmbedAll":    func() error { return second(model.EmbedAll(likeness.Pixels{make([]uint8, 256)}, nil)) },
			"EmbedPixels": func() error { return second(model.EmbedPixels([][]uint8{make([]uint8, 256)})) },
			"EmbedTTA": func() error {
				return second(model.EmbedTTA(likeness.TTA{Affine: true}, [][]uint8{make([]uint8, 256)}))
			},
			"Compare":   func() error { return second(model.Compare(picture(1), picture(2))) },
			"Metric":    func() error { return second(model.Metric()) },
			"Save":      func() error { return model.Save(filepath.Join(t.TempDir(), "model")) },
			"Identity":  func() error { return second(model.Identity()) },
			"onnx.Head": func() error { return second(onnx.Head(model)) },
			"gallery": func() error {
				return second(gallery.Create(filepath.Join(t.TempDir(), "gallery"), model, gallery.Options{}))
			},
			"retrieval": func() error {
				return second(retrieval.Embed(t.Context(), model, []string{"a.png"}, retrieval.Options{}))
			},
		} {
			headAlone := want == "its method Distance pani"
			if headAlone && (name == "Embed" || name == "EmbedPixels" || name == "EmbedAll" || name == "Save" || name == "Identity" || name == "EmbedTTA") {
				continue // it needs no distance
			}
			if err := ask(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: found %v, expected %q", name, err, want)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

// broken is a backbone whose methods panic, and brokenHead a head.
type broken struct{ size imaging.Size }

func (b *broken) Input() imaging.Size { return b.size }
func (b *broken) Embed(*graph.Builder, *graph.Node) *graph.Node {
	panic("not done yet")
}

type brokenHead struct{ value float64 }

func (h *brokenHead) Name() string { return "broken" }
func (h *brokenHead) Paired(b *graph.Builder, x, y *graph.Node) *graph.Node {
	return heads.L2{}.Paired(b, x, y)
}
func (h *brokenHead) Pairwise(b *graph.Builder, x, y *graph.Node) *graph.Node {
	return heads.L2{}.Pairwise(b, x, y)
}
func (h *brokenHead) Properties() heads.Properties { return heads.Properties{} }
func (h *brokenHead) Distance(*graph.Weights) (heads.Distance, error) {
	return nil, fmt.Errorf("%v", h.value)
}

// drawn is a backbone that a function draws, and drawnHead a head.
type drawn func(b *graph.Builder, images *graph.Node) *graph.Node

func (drawn) Input() imaging.Size                                      { return size }
func (d drawn) Embed(b *graph.Builder, images *graph.Node) *graph.Node { return d(b, images) }

type drawnHead func(b *graph.Builder, x *graph.Node) *graph.Node

func (drawnHead) Name() string                                              { return "drawn" }
func (h drawnHead) Paired(b *graph.Builder, x, y *graph.Node) *graph.Node   { return h(b, x) }
func (h drawnHead) Pairwise(b *graph.Builder, x, y *graph.Node) *graph.Node { return h(b, x) }
func (drawnHead) Properties() heads.Properties                              { return heads.Properties{} }
func (drawnHead) Distance(weights *graph.Weights) (heads.Distance, error) {
	return heads.L2{}.Distance(weights)
}

// A backbone that does not give a row for each image, or none at all, and a head
// that does not give all distances, are errors of New, and of every method where
// somebody puts them into a model.
func TestWhatABackboneMustGive(t *testing.T) {
	flat := func(b *graph.Builder, images *graph.Node) *graph.Node { return graph.Flatten{}.Apply(b, 1, images) }
	for name, test := range map[string]struct {
		backbone backbone.Backbone
		head     heads.Head
		want     string
	}{
		"nothing": {drawn(func(*graph.Builder, *graph.Node) *graph.Node { return nil }), heads.L2{}, "gives no node for a batch of 2 images"},
		"images":  {drawn(func(_ *graph.Builder, images *graph.Node) *graph.Node { return images }), heads.L2{}, "gives shape (2, 16, 16, 1)"},
		"half the batch": {drawn(func(b *graph.Builder, images *graph.Node) *graph.Node {
			return b.Reshape(images, 1, images.Shape().TotalSize())
		}), heads.L2{}, "gives shape (1, 512) for a batch of 2 images, expected embeddings of shape (2, features)"},
		"other features": {drawn(func(b *graph.Builder, images *graph.Node) *graph.Node {
			return graph.Linear{Units: 4 + images.Shape()[0], NoBias: true}.Apply(b, images.Shape()[0], flat(b, images))
		}), heads.L2{}, "depending on the batch size"},
		"a panic":            {drawn(func(*graph.Builder, *graph.Node) *graph.Node { panic("not done yet") }), heads.L2{}, "not done yet"},
		"a nil backbone":     {nil, heads.L2{}, "has no Backbone"},
		"a nil head":         {drawn(flat), nil, "has no Head"},
		"no distances":       {drawn(flat), drawnHead(func(*graph.Builder, *graph.Node) *graph.Node { return nil }), "its method Pairwise gives no node"},
		"a few distances":    {drawn(flat), drawnHead(func(_ *graph.Builder, x *graph.Node) *graph.Node { return x }), "expected distances of shape (2, 2)"},
		"a head that panics": {drawn(flat), drawnHead(nil), "nil pointer"},
		"a block's nothing":  {backbone.Network{Size: size, Blocks: []graph.Block{nothing{}, graph.Flatten{}}}, heads.L2{}, "returned a nil node"},
		"a nil block":        {backbone.Network{Size: size, Blocks: []graph.Block{nil}}, heads.L2{}, "block 1 of the sequence is nil"},
		"no blocks":          {backbone.Network{Size: size}, heads.L2{}, "the last block has the shape"},
	} {
		model, err := likeness.New(test.backbone, test.head, imaging.Preprocessing{Size: size}, 1)
		if model != nil || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: found %v, %v, expected %q", name, model, err, test.want)
		}
	}
	// A batch size that New did not try.
	model, err := likeness.New(drawn(func(b *graph.Builder, images *graph.Node) *graph.Node {
		if images.Shape()[0] == 8 {
			images = b.Reshape(images, 4, 32, 16, 1)
		}
		return graph.GlobalAveragePool{}.Apply(b, 1, images)
	}), heads.L2{}, imaging.Preprocessing{Size: size}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := model.Embed(pictures(8)...); err == nil || !strings.Contains(err.Error(), "gives shape (4, 1) for a batch of 8 images") {
		t.Errorf("found %v", err)
	}
}

// nothing is a block that gives no node.
type nothing struct{}

func (nothing) Kind() string                                       { return "nothing" }
func (nothing) Apply(*graph.Builder, int, *graph.Node) *graph.Node { return nil }

// An image that cannot be read is an error with its number, wherever images of a
// caller's own are taken.
func TestImagesThatCannotBeRead(t *testing.T) {
	short := image.NewGray(image.Rect(0, 0, 20, 18))
	short.Pix = short.Pix[:100]
	for name, img := range map[string]image.Image{
		"nil": nil, "a nil *image.Gray": (*image.Gray)(nil), "a nil *image.Paletted": (*image.Paletted)(nil),
		"short": short, "empty": image.NewGray(image.Rectangle{}), "endless": image.NewUniform(color.Black), "panicking": (*ownImage)(nil),
	} {
		for head, model := range map[string]*likeness.Model{"l2": newModel(t, heads.L2{})} {
			if _, err := model.Embed(picture(1), img); err == nil || !strings.Contains(err.Error(), "image 1 ") {
				t.Errorf("%s, %s: Embed: found %v", name, head, err)
			}
			if _, err := model.Compare(img, picture(1)); err == nil || !strings.Contains(err.Error(), "image 0 ") {
				t.Errorf("%s, %s: Compare: found %v", name, head, err)
			}
			if err := retrieval.CheckTraits(model.Preprocessing, []retrieval.Traits{retrieval.MeasureImage(model.Preprocessing, img)}); err == nil {
				t.Errorf("%s: Suits: found no error", name)
			}
		}
	}
}

// ownImage is a user-defined image with bounds and no pixels.
type ownImage struct{ image.Gray }

func (*ownImage) Bounds() image.Rectangle   { return image.Rect(0, 0, 4, 4) }
func (i *ownImage) At(x, y int) color.Color { return i.Gray.At(x, y) }
func (*ownImage) ColorModel() color.Model   { return color.GrayModel }
