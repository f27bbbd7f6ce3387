package wording

import "strings"

// synonyms are the names in this module for what other libraries and papers call by the
// key, the best first. All are without hyphens and underscores.
var synonyms = func() map[string][]string {
	table := map[string][]string{}
	for line := range strings.Lines(`
learningrate: lr baselr initiallr learnrate eta stepsizelr initlearningrate
finallearningrate: minlr etamin endlr finallr lrmin minlearningrate
schedule: scheduler lrscheduler lrschedule decayschedule lrpolicy
warmup: warmupepochs lrwarmup warmupsteps
decay: gamma lrdecay lrgamma decayrate
decayepochs: stepsize lrstepsize milestones
solver: optimizer optim opt
weightdecay: wd
beta1: betas adambeta1
beta2: adambeta2
epsilon: eps adamepsilon
clipnorm: clip gradclip clipgrad clipgradnorm maxnorm maxgradnorm gradientclipping clipgradient
emadecay: ema modelema average movingaverage
objective: loss lossfn lossfunction criterion miner
head: distance metric distancefn similarity
backbone: model modelname arch architecture network net encoder trunk
model: modelname modelpath checkpoint weights arch network
from: pretrained init initfrom weights finetune checkpoint startfrom
freeze: frozen freezelayers
features: embeddingdim embeddingsize embdim embedsize dim outdim latentdim outfeatures
width: channels filters hidden hiddendim numfilters
batchnorm: bn norm
margin: alpha m
temperature: temp tau t
scale: s gammascale
softmargin: soft
balanced: balance classweights
penalty: l2penalty reg regularization regularizer
l2: euclidean l2reg lambda
l1: manhattan cityblock
squaredl2: squaredeuclidean sqeuclidean
cosine: cos cosinesimilarity angular
npair: infonce ntxent npairs simclr
supervisedcontrastive: supcon
prototypical: protonet prototypicalnet
crossentropy: bce binarycrossentropy
batchhard: hardtriplet hardmining
semihard: semihardtriplet facenet
resnet18: resnet
adamw: adamwd
epochs: numepochs nepochs maxepochs nepoch epoch iters iterations
stepsperepoch: epochsteps itersperepoch stepsepoch
batch: batchsize bs bsz trainbatchsize
imagesperclass: samplesperclass perclass mperclass numinstances examplesperclass k
grouped: group groups
patience: earlystopping earlystop
seed: randomseed manualseed rngseed randomstate
threads: numworkers workers numthreads jobs j cpus ncpus
out: output outputdir outdir savedir logdir savepath outputpath rundir o
data: dataset datadir datapath root input traindir traindata datasetpath images imagedir
limit: maxsamples numsamples subset maximages maxtrainsamples
testlimit: maxtestsamples maxevalsamples
unseen: holdout heldout holdoutclasses testclasses novelclasses
size: imagesize imgsize imgsz inputsize resize resolution
invert: inverted invertcolors negative
crop: cropforeground centercrop boundingbox bbox
skipbroken: skipcorrupt skiperrors ignoreerrors
augment: augmentation augmentations aug p
rotation: degrees rotate rotationrange maxrotation
translation: translate shift widthshiftrange
shear: shearrange
scalemin: minscale
scalemax: maxscale
elastic: elasticalpha elastictransform
elasticsigma: sigma smoothness
erosion: erode thinner
dilation: dilate thicker
fill: fillvalue fillcolor
tensorboard: board tb logtensorboard
config: configfile conf cfg settings
resume: resumefrom continue restart
threshold: cutoff maxdistance
force: anyway yes ignore
nearest: top topk k neighbors n
candidates: top topk k n
falseacceptrate: rate far fmr fpr targetfar
std: deviation stddev stdev sigma
workloads: works workload filter
address: addr host port listen bind
gallery: database db index
json: format outputformat
run: rundir folder dir
to: dest destination dir out output
in: folder dir data
`) {
		name, others, _ := strings.Cut(strings.TrimSpace(line), ":")
		for _, other := range strings.Fields(others) {
			table[other] = append(table[other], name)
		}
	}
	return table
}()
