package run

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/likeness-go/likeness/backbone"
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/likeness-go/likeness/internal/strict"
	"github.com/likeness-go/likeness/solver"
	"github.com/pkg/errors"
)

// Settings determine a training. Each has one name: as a field here, as a flag
// with hyphens and as a TOML key with underscores.
//
// In a literal, a field that is zero has its default, see Defaults. To set a number to
// zero whose default is not zero, begin with the result of Defaults or Load, in which
// zero means zero.
//
// These struct tags describe a setting to this package: of lists the choices to which an
// option belongs, so that it returns to its default when another choice is made; needs is
// the setting without which it has no effect; min (0 if absent) and max are the smallest
// and the largest value; range is log for rates, factors and sizes, of which a search (package
// sweep) draws the logarithm. Numbers must be finite. The packages that take a setting check
// it, too, and state the ranges that have no tag.
type Settings struct {
	// Out is the run folder, which must be empty or absent. If it is empty, Train
	// creates runs/DATA-OBJECTIVE-TIME.
	Out string `toml:"-" placeholder:"DIR" help:"Run folder to write. Default: runs/<data>-<objective>-<time>."`
	// TensorBoard also writes event files and embeddings to the folder tensorboard in
	// the run folder.
	TensorBoard bool `toml:"-" name:"tensorboard" help:"Also write losses, validation results and embeddings for TensorBoard: tensorboard --logdir RUN."`

	Data              string  `toml:"data" group:"Data" placeholder:"DIR" help:"Training data: a folder with one folder of images per class (optionally inside train, val and test, or inside folders of groups); the files of MNIST, Omniglot or CIFAR-10; a CSV file of pairs (a,b,different) or triplets (anchor,positive,negative); for simclr, vicreg and barlow-twins any folder of images; or the name of a data set: omniglot-small1 (part of the program), mnist, or one that likeness fetch has downloaded (${published}). Default: omniglot-small1."`
	Limit             int     `toml:"limit" group:"Data" placeholder:"N" help:"Maximum number of training images."`
	TestLimit         int     `toml:"test_limit" group:"Data" placeholder:"N" help:"Maximum number of images in each validation and test set."`
	Unseen            List    `toml:"unseen" of:"data" group:"Data" placeholder:"CLASS" help:"Classes to hold out of training and to test on, or none to train on all classes. Default: classes that only the test data has, or 7,8,9 of the ten digits, or a quarter of the classes."`
	ValidationClasses float64 `toml:"validation_classes,omitzero" max:"0.9" group:"Data" placeholder:"FRACTION" help:"Fraction of the training classes, or of their groups, that are held out for validation, if there are at least twenty of the classes and the data has no validation classes of its own. Default: 0.1; 0.2 for a folder of photographs and for likeness sweep; none of omniglot-small1."`
	Validation        string  `toml:"validation,omitempty" group:"Data" placeholder:"NAME" help:"Measure of the validation on classes that are held out: one-shot (20-way accuracy) or map-at-r (mean average precision at R, which tells models apart that have the same one-shot accuracy). Default: map-at-r with --adapt, and otherwise one-shot."`
	Size              string  `toml:"size" of:"data" group:"Data" placeholder:"HxWxC" help:"Resize all images to this size: 64x64, or 64x64x1 for grayscale. Default: the input size of the network, or the size of the images, or 64x64 if these differ or are large."`
	Invert            bool    `toml:"invert" group:"Data" help:"Invert all images, for black ink on white paper."`
	Crop              float64 `toml:"crop" group:"Data" placeholder:"FACTOR" help:"Crop each image to a square around its foreground (pixels brighter than half). FACTOR is the side of the square divided by the longer side of the foreground, such as 1.15. Default: no cropping."`
	CropMin           float64 `toml:"crop_min" needs:"crop" max:"1" group:"Data" placeholder:"FRACTION" help:"Minimum side of the foreground, as a fraction of the image's side."`
	Resize            string  `toml:"resize,omitempty" group:"Data" placeholder:"NAME" help:"How images of another aspect ratio are resized: stretch (the default), or crop, which resizes the shorter side and crops the center, for photographs."`
	ShorterSide       int     `toml:"shorter_side,omitzero" needs:"resize" group:"Data" placeholder:"PIXELS" help:"Length to which the shorter side is resized with --resize crop. Default: the longer side of --size divided by 0.875, 256 for 224x224."`
	Symmetries        bool    `toml:"symmetries" group:"Data" help:"Add rotated and mirrored copies of each class as classes of their own. Not suitable where orientation carries no meaning."`
	SkipBroken        bool    `toml:"skip_broken" group:"Data" help:"Skip files that cannot be read as images, and list them."`
	Memory            string  `toml:"memory,omitempty" group:"Data" placeholder:"SIZE" help:"Memory for decoded images of folders and CSV files, such as 512MiB, 4GiB or unlimited. Images that do not fit are decoded again whenever they are needed, with the same result. Default: 1GiB."`
	Alphabets         string  `toml:"alphabets" of:"data" group:"Data" placeholder:"SET" help:"Omniglot's training alphabets: background (all 30), small1 or small2 (5 each)."`

	Backbone  string         `toml:"backbone" of:"network from" group:"Network" placeholder:"NAME" help:"Network that embeds images: ${backbones}; or a .toml file that lists its blocks."`
	Width     int            `toml:"width" range:"log" of:"backbone network from" group:"Network" placeholder:"N" help:"Number of filters in the layers of conv4, conv7, lenet and residual."`
	BatchNorm bool           `toml:"batch_norm" of:"backbone network from" group:"Network" negatable:"" help:"Batch normalization in conv4."`
	Features  int            `toml:"features" range:"log" of:"backbone network from" group:"Network" placeholder:"N" help:"Embedding dimension of hadsell, lenet and the networks for photographs; or, with --from, of a new last layer."`
	Pooling   string         `toml:"pooling" of:"backbone network from" group:"Network" placeholder:"NAME" help:"Pooling of the networks for photographs: average or gem."`
	From      string         `toml:"from" of:"backbone network" group:"Network" placeholder:"MODEL" help:"Fine-tune: start from the network and weights of a model.safetensors, of a run folder or of a bundled model such as photo; none starts from scratch. Default: photo for a folder of photographs if no network is chosen."`
	Normalize bool           `toml:"normalize" of:"backbone network from" group:"Network" help:"Scale each embedding to length 1."`
	Freeze    List           `toml:"freeze" group:"Network" placeholder:"LAYER" help:"Layers whose weights are not trained: conv1, conv[12].weight, …"`
	Network   *backbone.Spec `toml:"network" of:"backbone from" kong:"-"` // the blocks of a network that has no name

	Adapt        bool    `toml:"adapt,omitempty" of:"backbone network from" needs:"from" group:"Network" help:"Begin with the model of --from adapted to the training classes, as likeness adapt does: a whitening layer at its end."`
	BackboneRate float64 `toml:"backbone_rate,omitzero" range:"log" of:"backbone network from" needs:"from" group:"Network" placeholder:"FACTOR" help:"Factor on the learning rate for the layers of the model of --from; layers that are added to it have the whole rate."`

	WeightInterpolation string `toml:"weight_interpolation,omitempty" of:"backbone network from" needs:"from" group:"Network" placeholder:"SHARE" help:"Interpolate the weights before and after the training: the share of the trained weights, from 0 (the model of --from, adapted with --adapt) to 1 (the trained weights alone), or auto, which chooses 0, 0.25, 0.5, 0.75 or 1 by the validation, or 0.5 if no classes are held out for that. Default: the trained weights alone; auto for a folder of photographs."`

	FreezeNorm bool `toml:"freeze_norm,omitempty" group:"Network" help:"Keep batch normalization in evaluation mode while training, for fine-tuning: the running statistics of the model are used and not updated, and gain and shift are trained."`

	Objective   string  `toml:"objective" group:"Objective" placeholder:"NAME" help:"Loss function. Of pairs: contrastive, cross-entropy. Of triplets: triplet, triplet-ratio. Of labeled batches: batch-contrastive, batch-cross-entropy, batch-all, batch-hard, batch-ratio, semi-hard, lifted-structure, margin, n-pair, supervised-contrastive, nca, prototypical, multi-similarity, circle, tuplet-margin, angular, fastap, smooth-ap. Of labeled batches, with trainable vectors of each class: arcface, subcenter-arcface, cosface, normalized-softmax, soft-triple, proxy-nca, proxy-nca++, proxy-anchor. Of two augmented views of each image, without labels: simclr, vicreg, barlow-twins. docs/losses.md says how to choose."`
	Head        string  `toml:"head" group:"Objective" placeholder:"NAME" help:"Distance between two embeddings: l2, squared-l2, l1, weighted-l1 or cosine. Default: that of the model of --from, or weighted-l1 for the cross-entropies, cosine for losses with vectors of each class and for those that need it, and otherwise l2."`
	Margin      float64 `toml:"margin" of:"objective head" group:"Objective" placeholder:"DISTANCE" help:"Margin of the loss: a distance; a cosine in cosface, soft-triple and proxy-anchor; a similarity in circle; degrees in arcface, subcenter-arcface and tuplet-margin. Default: chosen for the loss and the head."`
	Scale       float64 `toml:"scale" range:"log" of:"objective head" group:"Objective" placeholder:"FACTOR" help:"Factor on the distances in triplet-ratio and batch-ratio, and on the cosines in circle, tuplet-margin, arcface, subcenter-arcface, cosface, soft-triple and proxy-anchor. Default: chosen for the loss and the head."`
	Temperature float64 `toml:"temperature" range:"log" of:"objective head" group:"Objective" placeholder:"τ" help:"Temperature of the softmax in n-pair, supervised-contrastive, nca, prototypical, normalized-softmax, proxy-nca, proxy-nca++ and simclr, of that over the vectors of a class in soft-triple, and of the sigmoid in smooth-ap. Default: chosen for the loss and the head."`
	Centers     int     `toml:"centers,omitzero" range:"log" of:"objective" group:"Objective" placeholder:"N" help:"Vectors of each class in subcenter-arcface and soft-triple. Default: 3 and 10."`
	LossRate    float64 `toml:"loss_rate,omitzero" range:"log" of:"objective head" group:"Objective" placeholder:"FACTOR" help:"Factor on the learning rate for the vectors of the classes. Default: 100 for soft-triple, proxy-nca, proxy-nca++ and proxy-anchor with the head cosine, and otherwise 1."`
	SoftMargin  bool    `toml:"soft_margin" of:"objective" group:"Objective" help:"Soft margin, ln(1 + exp(x)), instead of the hinge in triplet, batch-all and batch-hard."`
	Balanced    bool    `toml:"balanced" of:"objective" group:"Objective" help:"Give positive and negative pairs equal total weight in batch-contrastive and batch-cross-entropy."`

	Mining        string  `toml:"mining,omitempty" of:"objective" group:"Objective" placeholder:"NAME" help:"Pairs that take part in the loss: easy-positive, the nearest positive of each anchor only, in batch-all, batch-hard, semi-hard, lifted-structure, n-pair, circle and tuplet-margin; all, without mining, in multi-similarity and margin. Default: those of the loss."`
	MiningEpsilon float64 `toml:"mining_epsilon,omitzero" range:"log" of:"objective" group:"Objective" placeholder:"ε" help:"Margin of the mining of multi-similarity, a difference of similarities. Default: 0.1."`
	PositiveScale float64 `toml:"positive_scale,omitzero" range:"log" of:"objective" group:"Objective" placeholder:"α" help:"Factor on the similarities of positives in multi-similarity. Default: 2."`
	NegativeScale float64 `toml:"negative_scale,omitzero" range:"log" of:"objective" group:"Objective" placeholder:"β" help:"Factor on the similarities of negatives in multi-similarity. Default: 50."`
	Base          float64 `toml:"base,omitzero" of:"objective" max:"1" group:"Objective" placeholder:"λ" help:"Similarity that separates positives from negatives in multi-similarity; 1 in the paper. Default: 0.5."`
	Angle         float64 `toml:"angle,omitzero" of:"objective" max:"90" group:"Objective" placeholder:"DEGREES" help:"Largest angle at the negative in angular. Default: 40."`
	Beta          float64 `toml:"beta,omitzero" of:"objective" group:"Objective" placeholder:"DISTANCE" help:"Distance that separates positives from negatives in margin, before it is trained. Default: 1.2."`
	BetaPerClass  bool    `toml:"beta_per_class,omitempty" of:"objective" group:"Objective" help:"Train such a distance for each class in margin."`
	Bins          int     `toml:"bins,omitzero" range:"log" of:"objective" max:"10000" group:"Objective" placeholder:"N" help:"Bins of the histograms of distances in fastap. Default: 10."`

	CrossBatchMemory int `toml:"cross_batch_memory,omitzero" range:"log" of:"objective" group:"Objective" placeholder:"N" help:"Compare each image of a labeled batch with the embeddings of earlier batches, too: the batch and the latest ones before it are N. Not for losses of pairs and triplets or with vectors of each class. 0 compares images of the batch only."`
	CrossBatchWarmup int `toml:"cross_batch_warmup,omitzero" of:"objective" needs:"cross_batch_memory" group:"Objective" placeholder:"STEPS" help:"Steps before --cross-batch-memory begins, in which images of the batch are compared only."`

	Invariance float64 `toml:"invariance,omitzero" range:"log" of:"objective" group:"Objective" placeholder:"WEIGHT" help:"Weight of the differences between the two views of an image in vicreg. Default: 25."`
	Variance   float64 `toml:"variance,omitzero" range:"log" of:"objective" group:"Objective" placeholder:"WEIGHT" help:"Weight of the variances of features below 1 in vicreg. Default: 25."`
	Covariance float64 `toml:"covariance,omitzero" range:"log" of:"objective" group:"Objective" placeholder:"WEIGHT" help:"Weight of the covariances of different features in vicreg. Default: 1."`
	Redundancy float64 `toml:"redundancy,omitzero" range:"log" of:"objective" group:"Objective" placeholder:"WEIGHT" help:"Weight of the correlations of different features in barlow-twins. Default: 0.005."`
	Projection List    `toml:"projection,omitempty" of:"objective" group:"Objective" placeholder:"UNITS" help:"Units of the linear layers of a projection, such as 256,128, which is trained behind the embeddings for the loss and is not part of the saved model. Default: none."`

	Penalty List `toml:"penalty" group:"Objective" placeholder:"LAYER=λ" help:"L2 penalty λ‖w‖² on the weights of a layer, added to the loss. λ alone applies to all layers."`

	Epochs         int  `toml:"epochs" min:"1" group:"Training" placeholder:"N" help:"Number of training epochs."`
	StepsPerEpoch  int  `toml:"steps_per_epoch" group:"Training" placeholder:"N" help:"Steps in an epoch. Default: enough to process as many images as there are."`
	Batch          int  `toml:"batch" range:"log" min:"1" group:"Training" placeholder:"N" help:"Batch size: pairs, triplets, labeled images or images with two views per step."`
	Grouped        bool `toml:"grouped" of:"objective" group:"Training" help:"Draw the classes of each labeled batch from one group: an alphabet, or the part of the class names before /."`
	ImagesPerClass int  `toml:"images_per_class" group:"Training" placeholder:"N" help:"Images of each class in a labeled batch."`
	BatchParts     int  `toml:"batch_parts,omitzero" max:"65536" group:"Training" placeholder:"N" help:"Compute each batch in N equal parts, with batch normalization over the examples of a part. The model is the same on any number of MPI processes that share the parts. Default: 8 with MPI, and otherwise 1."`
	FastReduce     bool `toml:"fast_reduce,omitempty" group:"Training" help:"Add gradients up in the order that the MPI library chooses. The model then depends on the number of processes."`
	SyncBatchNorm  bool `toml:"sync_batch_norm,omitempty" group:"Training" help:"Batch normalization over the whole batch if it is computed in several parts, which then exchange their statistics at each batch norm."`
	Patience       int  `toml:"patience" group:"Training" placeholder:"EPOCHS" help:"Early stopping: stop after this many epochs without improvement on the validation data."`
	Refit          bool `toml:"refit,omitempty" group:"Training" help:"After measuring, train again on all images of the training data, those held out of it for validation and for testing included, for as many steps as the best epoch took; folders test and val of the data stay out. The figures are those of the model before, which measured.safetensors keeps. Default: on for a folder of photographs, unless --unseen names classes; --refit=false turns it off."`

	Precision string `toml:"precision,omitempty" group:"Training" placeholder:"NAME" help:"Format of the factors of products in convolutions and fully connected layers while training: float32 (the default), or bfloat16, with sums and weights in float32, which is faster on AMD's processors from Zen 4 on. The model is float32 in any case."`

	Seed    uint64 `toml:"seed" group:"Training" placeholder:"N" help:"Random seed. The same seed gives the same model."`
	Threads int    `toml:"threads" group:"Training" placeholder:"N" help:"Number of CPU threads. The result does not depend on it. Default: all processors."`

	Augmentation string `toml:"augmentation,omitempty" group:"Augmentation" placeholder:"PRESET" help:"Preset of the random augmentation of training images: photo (crop, flip and color jitter), contrastive (that of SimCLR, which changes images more: for losses without labels), drawing (affine and elastic deformation), none, or auto (photo if the training images are color photographs, and otherwise none; for losses without labels contrastive, or drawing for drawings). The settings below change it. Default: auto, unless a settings file or one of the settings below is given; omniglot-small1 has drawing."`

	Augment           float64 `toml:"augment" of:"augmentation" max:"1" group:"Augmentation" placeholder:"P" help:"Random augmentation of training images: the probability of each transformation below, such as 0.5. Default: off."`
	Rotation          float64 `toml:"rotation" of:"augmentation" needs:"augment" max:"180" group:"Augmentation" placeholder:"DEGREES" help:"Maximum rotation in degrees."`
	Shear             float64 `toml:"shear" of:"augmentation" needs:"augment" group:"Augmentation" placeholder:"SLOPE" help:"Maximum shear along each axis, as a slope."`
	ScaleMin          float64 `toml:"scale_min" of:"augmentation" needs:"augment" group:"Augmentation" placeholder:"FACTOR" help:"Minimum scaling factor along each axis."`
	ScaleMax          float64 `toml:"scale_max" of:"augmentation" needs:"augment" group:"Augmentation" placeholder:"FACTOR" help:"Maximum scaling factor along each axis."`
	Translation       float64 `toml:"translation" of:"augmentation" needs:"augment" group:"Augmentation" placeholder:"PIXELS" help:"Maximum translation along each axis in pixels."`
	Elastic           float64 `toml:"elastic" of:"augmentation" needs:"augment" group:"Augmentation" placeholder:"PIXELS" help:"Standard deviation of the elastic displacement in pixels."`
	ElasticSigma      float64 `toml:"elastic_sigma" of:"augmentation" needs:"augment" group:"Augmentation" placeholder:"PIXELS" help:"Smoothing scale of the elastic displacement in pixels."`
	Erosion           float64 `toml:"erosion" of:"augmentation" needs:"augment" group:"Augmentation" placeholder:"PIXELS" help:"Maximum erosion of strokes on each side in pixels, which makes them thinner."`
	Dilation          float64 `toml:"dilation" of:"augmentation" needs:"augment" group:"Augmentation" placeholder:"PIXELS" help:"Maximum dilation of strokes on each side in pixels, which makes them thicker."`
	BatchElastic      float64 `toml:"batch_elastic" of:"augmentation" needs:"augment" group:"Augmentation" placeholder:"PIXELS" help:"Standard deviation of an elastic displacement that all images of a batch share, in pixels."`
	BatchElasticSigma float64 `toml:"batch_elastic_sigma" of:"augmentation" needs:"augment" group:"Augmentation" placeholder:"PIXELS" help:"Smoothing scale of that displacement in pixels."`
	Fill              uint8   `toml:"fill" of:"augmentation" needs:"augment" max:"255" group:"Augmentation" placeholder:"0-255" help:"Pixel value outside the image."`

	CropScaleMin    float64 `toml:"crop_scale_min,omitzero" of:"augmentation" max:"1" group:"Augmentation of photographs" placeholder:"FRACTION" help:"Random resized crop: minimum area, as a fraction of that of the image, such as 0.5. Default: no crop."`
	CropScaleMax    float64 `toml:"crop_scale_max,omitzero" of:"augmentation" needs:"crop_scale_min" max:"1" group:"Augmentation of photographs" placeholder:"FRACTION" help:"Random resized crop: maximum area. 0 means 1, the whole image."`
	CropRatioMin    float64 `toml:"crop_ratio_min,omitzero" of:"augmentation" needs:"crop_scale_min" group:"Augmentation of photographs" placeholder:"RATIO" help:"Random resized crop: minimum aspect ratio, width / height. 0 in both means 3/4 and 4/3."`
	CropRatioMax    float64 `toml:"crop_ratio_max,omitzero" of:"augmentation" needs:"crop_scale_min" group:"Augmentation of photographs" placeholder:"RATIO" help:"Random resized crop: maximum aspect ratio."`
	HorizontalFlip  float64 `toml:"horizontal_flip,omitzero" of:"augmentation" max:"1" group:"Augmentation of photographs" placeholder:"P" help:"Probability of mirroring left and right."`
	ColorJitter     float64 `toml:"color_jitter,omitzero" of:"augmentation" max:"1" group:"Augmentation of photographs" placeholder:"P" help:"Probability of changing the colors by the four settings below."`
	Brightness      float64 `toml:"brightness,omitzero" of:"augmentation" needs:"color_jitter" max:"255" group:"Augmentation of photographs" placeholder:"X" help:"Color jitter: maximum change of the brightness, by a factor of 1 - X to 1 + X."`
	Contrast        float64 `toml:"contrast,omitzero" of:"augmentation" needs:"color_jitter" max:"255" group:"Augmentation of photographs" placeholder:"X" help:"Color jitter: maximum change of the contrast, by a factor of 1 - X to 1 + X."`
	Saturation      float64 `toml:"saturation,omitzero" of:"augmentation" needs:"color_jitter" max:"255" group:"Augmentation of photographs" placeholder:"X" help:"Color jitter: maximum change of the saturation, by a factor of 1 - X to 1 + X."`
	Hue             float64 `toml:"hue,omitzero" of:"augmentation" needs:"color_jitter" max:"0.5" group:"Augmentation of photographs" placeholder:"SHIFT" help:"Color jitter: maximum shift of the hue; 0.5 is the opposite color."`
	Grayscale       float64 `toml:"grayscale,omitzero" of:"augmentation" max:"1" group:"Augmentation of photographs" placeholder:"P" help:"Probability of replacing colors by their gray levels."`
	GaussianBlur    float64 `toml:"gaussian_blur,omitzero" of:"augmentation" max:"1" group:"Augmentation of photographs" placeholder:"P" help:"Probability of a Gaussian blur."`
	BlurKernel      int     `toml:"blur_kernel,omitzero" of:"augmentation" needs:"gaussian_blur" group:"Augmentation of photographs" placeholder:"PIXELS" help:"Gaussian blur: size of the kernel, an odd number of pixels. 0 means a tenth of the image."`
	BlurSigmaMin    float64 `toml:"blur_sigma_min,omitzero" of:"augmentation" needs:"gaussian_blur" group:"Augmentation of photographs" placeholder:"PIXELS" help:"Gaussian blur: minimum standard deviation in pixels. 0 in both means 0.1 and 2."`
	BlurSigmaMax    float64 `toml:"blur_sigma_max,omitzero" of:"augmentation" needs:"gaussian_blur" group:"Augmentation of photographs" placeholder:"PIXELS" help:"Gaussian blur: maximum standard deviation in pixels."`
	RandomErasing   float64 `toml:"random_erasing,omitzero" of:"augmentation" max:"1" group:"Augmentation of photographs" placeholder:"P" help:"Probability of replacing a random rectangle by the mean of the training images."`
	ErasingScaleMin float64 `toml:"erasing_scale_min,omitzero" of:"augmentation" needs:"random_erasing" max:"1" group:"Augmentation of photographs" placeholder:"FRACTION" help:"Random erasing: minimum area, as a fraction of that of the image. 0 in both means 0.02 and 0.33."`
	ErasingScaleMax float64 `toml:"erasing_scale_max,omitzero" of:"augmentation" needs:"random_erasing" max:"1" group:"Augmentation of photographs" placeholder:"FRACTION" help:"Random erasing: maximum area."`
	ErasingRatioMin float64 `toml:"erasing_ratio_min,omitzero" of:"augmentation" needs:"random_erasing" group:"Augmentation of photographs" placeholder:"RATIO" help:"Random erasing: minimum aspect ratio, height / width. 0 in both means 0.3 and 3.3."`
	ErasingRatioMax float64 `toml:"erasing_ratio_max,omitzero" of:"augmentation" needs:"random_erasing" group:"Augmentation of photographs" placeholder:"RATIO" help:"Random erasing: maximum aspect ratio."`

	Solver            string         `toml:"solver" group:"Solver" placeholder:"NAME" help:"Optimizer: sgd, adam or adamw."`
	LearningRate      float64        `toml:"learning_rate" range:"log" group:"Solver" placeholder:"η" help:"Initial learning rate."`
	Schedule          string         `toml:"schedule" group:"Solver" placeholder:"NAME" help:"Learning rate schedule: constant, step, exponential or cosine."`
	Warmup            float64        `toml:"warmup" group:"Solver" placeholder:"EPOCHS" help:"Epochs of linear learning rate warmup from 0."`
	Decay             float64        `toml:"decay" of:"schedule" group:"Solver" placeholder:"FACTOR" help:"Factor on the learning rate: every epoch of exponential, every step of the step schedule."`
	DecayEpochs       int            `toml:"decay_epochs" of:"schedule" group:"Solver" placeholder:"EPOCHS" help:"Epochs between two steps of the step schedule."`
	FinalLearningRate float64        `toml:"final_learning_rate" range:"log" of:"schedule" group:"Solver" placeholder:"η" help:"Final learning rate of the cosine schedule."`
	Momentum          float64        `toml:"momentum" of:"solver" group:"Solver" placeholder:"μ" help:"Momentum of sgd."`
	MomentumStart     float64        `toml:"momentum_start" of:"solver" group:"Solver" placeholder:"μ" help:"Initial momentum of sgd, which then increases linearly to --momentum."`
	MomentumEpochs    int            `toml:"momentum_epochs" of:"solver" group:"Solver" placeholder:"EPOCHS" help:"Epochs over which the momentum increases. Default: all."`
	Nesterov          bool           `toml:"nesterov" of:"solver" group:"Solver" help:"Nesterov momentum for sgd."`
	Beta1             float64        `toml:"beta1" of:"solver" name:"beta1" group:"Solver" placeholder:"β" help:"Decay rate of the first moment in adam and adamw. 0 means 0.9."`
	Beta2             float64        `toml:"beta2" of:"solver" name:"beta2" group:"Solver" placeholder:"β" help:"Decay rate of the second moment in adam and adamw. 0 means 0.999."`
	Epsilon           float64        `toml:"epsilon" range:"log" of:"solver" group:"Solver" placeholder:"ε" help:"Term added to the denominator in adam and adamw. 0 means 1e-8."`
	L2                float64        `toml:"l2" range:"log" of:"solver" name:"l2" group:"Solver" placeholder:"λ" help:"L2 penalty λ‖w‖² in sgd and adam, added to the gradient by the solver; --penalty is for single layers."`
	WeightDecay       float64        `toml:"weight_decay" range:"log" of:"solver" group:"Solver" placeholder:"λ" help:"Decoupled weight decay of adamw."`
	ClipNorm          float64        `toml:"clip_norm" range:"log" group:"Solver" placeholder:"NORM" help:"Maximum norm of the gradient; larger ones are clipped."`
	EMADecay          float64        `toml:"ema_decay" group:"Solver" name:"ema-decay" placeholder:"DECAY" help:"Use the exponential moving average of the weights, with this decay such as 0.999."`
	Layers            []solver.Layer `toml:"layers,omitempty" kong:"-"` // settings of single layers

	complete bool // zeros mean zero, not the default
}

// List is a list of names, which in TOML may also be one string, separated by commas:
// unseen = "none" and unseen = "7,8" are unseen = ["none"] and unseen = ["7", "8"].
type List []string

// UnmarshalTOML reads a list or a string.
func (l *List) UnmarshalTOML(value any) error {
	if l == nil {
		return errors.New("found no list to read into")
	}
	if text, ok := value.(string); ok {
		if text == "" {
			return errors.New(`found an empty text, expected a list such as ["a", "b"] or a text such as "a,b"`)
		}
		*l = strings.Split(text, ",")
		return nil
	}
	values, ok := value.([]any)
	*l = make(List, len(values))
	for i, value := range values {
		if (*l)[i], ok = value.(string); !ok {
			break
		}
	}
	if !ok {
		return errors.Errorf(`found %v, expected a list of texts such as ["a", "b"] or a text such as "a,b"`, value)
	}
	return nil
}

// Keys returns the TOML keys of all settings, in the order of the fields.
func Keys() []string {
	var keys []string
	for field := range fields() {
		keys = append(keys, keyOf(field))
	}
	return keys
}

// fields yields the fields of Settings that have a key.
func fields() func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for field := range reflect.TypeFor[Settings]().Fields() {
			if key := keyOf(field); field.IsExported() && key != "-" && !yield(field) {
				return
			}
		}
	}
}

func keyOf(field reflect.StructField) string {
	key, _, _ := strings.Cut(field.Tag.Get("toml"), ",")
	return key
}

// fieldIndices are the indices of the fields of Settings by their keys.
var fieldIndices = func() map[string]int {
	indices := map[string]int{}
	for field := range fields() {
		indices[keyOf(field)] = field.Index[0]
	}
	return indices
}()

// field finds the setting of a key.
func (s *Settings) field(key string) reflect.Value {
	i, known := fieldIndices[key]
	if !known {
		panic("no setting has the key " + key)
	}
	return reflect.ValueOf(s).Elem().Field(i)
}

// Value returns the setting of a TOML key, nil if there is no such key.
func (s Settings) Value(key string) any {
	if _, known := fieldIndices[key]; !known {
		return nil
	}
	return s.field(key).Interface()
}

func (s *Settings) set(key string, from Settings) { s.field(key).Set(from.field(key)) }

// FlagName returns the name of the flag of a TOML key, without hyphens before it.
func FlagName(key string) string { return strings.ReplaceAll(key, "_", "-") }

// format formats a setting as its flag has it.
func format(value any) string {
	switch value := value.(type) {
	case List:
		return strings.Join(value, ",")
	case []solver.Layer:
		var names []string
		for _, layer := range value {
			names = append(names, layer.Name)
		}
		return "those of " + strings.Join(names, ",")
	}
	return fmt.Sprint(value)
}

// Version of the file that Save writes. Files that are written by hand need none, and
// those of the first versions have none.
const (
	settingsFormat  = "likeness-settings/2"
	settingsFormat1 = "likeness-settings/1" // with the former keys
)

// settingsFile is settings as a file has them.
type settingsFile struct {
	Format string `toml:"format"`
	Settings
	formerKeys
}

// formerKeys are the keys of earlier versions that have other names now. The tag
// former is the key that replaces each.
type formerKeys struct {
	CropLeast  *float64 `toml:"crop_least,omitempty" former:"crop_min"`
	Soft       *bool    `toml:"soft,omitempty" former:"soft_margin"`
	EpochSteps *int     `toml:"epoch_steps,omitempty" former:"steps_per_epoch"`
	PerClass   *int     `toml:"per_class,omitempty" former:"images_per_class"`
	Smoothness *float64 `toml:"smoothness,omitempty" former:"elastic_sigma"`
	Thinner    *float64 `toml:"thinner,omitempty" former:"erosion"`
	Thicker    *float64 `toml:"thicker,omitempty" former:"dilation"`
	Rate       *float64 `toml:"rate,omitempty" former:"learning_rate"`
	FinalRate  *float64 `toml:"final_rate,omitempty" former:"final_learning_rate"`
	Clip       *float64 `toml:"clip,omitempty" former:"clip_norm"`
	Average    *float64 `toml:"average,omitempty" former:"ema_decay"`
}

// FormerKeys returns the TOML keys that earlier versions had for some settings, each
// with the key that replaces it. Files with them are still read.
func FormerKeys() map[string]string {
	former := map[string]string{}
	for field := range reflect.TypeFor[formerKeys]().Fields() {
		former[keyOf(field)] = field.Tag.Get("former")
	}
	return former
}

// rename moves the values of former keys to the settings that replace them, and says
// which there are. The keys are those of the file, in which former ones are replaced.
func (f *settingsFile) rename(keys map[string]bool) (renamed []string, err error) {
	value := reflect.ValueOf(f.formerKeys)
	for field := range value.Type().Fields() {
		was, now := keyOf(field), field.Tag.Get("former")
		if former := value.FieldByIndex(field.Index); !former.IsNil() {
			if keys[now] {
				return nil, errors.Errorf("found both %s and %s, which is its former name: leave out %s", now, was, was)
			}
			f.field(now).Set(former.Elem())
			delete(keys, was)
			keys[now] = true
			renamed = append(renamed, was+" is now "+now)
		}
	}
	return renamed, nil
}

// Load reads a settings file, such as the config.toml of a run folder. Settings that are
// not in the file have their defaults, except that a file without data means MNIST, as in
// earlier versions. It checks names and types, and Settings.Check checks the values.
func Load(path string) (Settings, error) {
	if path == "" {
		return Settings{}, errors.New("read config: found no path")
	}
	settings, _, err := Configure(path, Settings{}, nil)
	return settings, err
}

// readConfig reads a settings file, and says which keys it has and which of them it
// has by former names.
func readConfig(path string) (settings Settings, keys map[string]bool, renamed []string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Settings{}, nil, nil, errors.Wrap(err, "read config")
	}
	return parseConfig(string(text), path)
}

func parseConfig(text, path string) (settings Settings, keys map[string]bool, renamed []string, err error) {
	var file settingsFile
	err = strict.Decode(text, path, &file)
	// A later format may have keys that are unknown here: report its number first.
	if file.Format != "" && file.Format != settingsFormat && file.Format != settingsFormat1 {
		return Settings{}, nil, nil, errors.Errorf("%s: format: found %q, expected %q, %q or none", path, file.Format, settingsFormat, settingsFormat1)
	}
	if err != nil {
		return Settings{}, nil, nil, err
	}
	var entries map[string]any
	if _, err := toml.Decode(text, &entries); err != nil {
		return Settings{}, nil, nil, errors.Wrap(err, path)
	}
	delete(entries, "format")
	keys = map[string]bool{}
	for key := range entries {
		keys[key] = true
	}
	if file.Format != "" && (file.Augmentation != photoAugmentation && file.Augmentation != contrastiveAugmentation || file.photo() != (datasets.Photo{})) {
		// A program wrote the file with everything decided: what it left out is zero, also where
		// a preset of the augmentation has another number. Without any number of the preset,
		// somebody has added its name since.
		for field := range fields() {
			if _, options, _ := strings.Cut(field.Tag.Get("toml"), ","); options != "" {
				keys[keyOf(field)] = true
			}
		}
	}
	if renamed, err = file.rename(keys); err != nil {
		return Settings{}, nil, nil, errors.Wrap(err, path)
	}
	if file.Format == settingsFormat1 {
		renamed = nil // a program wrote it, and it need not be changed
	}
	return file.Settings, keys, renamed, nil
}

// Save writes all settings to a TOML file, which Load reads. Relative paths of data
// and models become absolute; names of data sets remain.
func (s Settings) Save(path string) error {
	for _, location := range []*string{&s.Data, &s.From} {
		if *location != "" && !isName(*location) && !isBundled(*location) {
			absolute, err := filepath.Abs(*location)
			if err != nil {
				return errors.Wrapf(err, "save %s", path)
			}
			*location = absolute
		}
	}
	for _, list := range []*List{&s.Unseen, &s.Freeze, &s.Penalty} {
		if *list == nil {
			*list = List{} // nil would be left out
		}
	}
	text, err := s.text()
	if err != nil {
		return errors.Wrapf(err, "save %s", path)
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// text is the settings as TOML.
func (s Settings) text() ([]byte, error) {
	var text bytes.Buffer
	text.WriteString("# All settings of this run. likeness train --config FILE repeats it.\n\n")
	encoder := toml.NewEncoder(&text)
	encoder.Indent = ""
	err := encoder.Encode(settingsFile{Format: settingsFormat, Settings: s})
	return text.Bytes(), err
}

// solver is the part of the settings that package solver reads.
func (s Settings) solver() solver.Config {
	return solver.Config{
		Solver: s.Solver, LearningRate: s.LearningRate,
		Momentum: s.Momentum, MomentumStart: s.MomentumStart, MomentumEpochs: s.MomentumEpochs, Nesterov: s.Nesterov,
		Beta1: s.Beta1, Beta2: s.Beta2, Epsilon: s.Epsilon,
		L2: s.L2, WeightDecay: s.WeightDecay, Clip: s.ClipNorm, Average: s.EMADecay,
		Schedule: s.Schedule, Warmup: s.Warmup, Decay: s.Decay, DecayEpochs: s.DecayEpochs, FinalLearningRate: s.FinalLearningRate,
		Layers: s.Layers,
	}
}
