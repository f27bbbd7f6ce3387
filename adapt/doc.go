// Package adapt fits a trained model to the classes of a data set in seconds, without
// training its network: embeddings are computed once, and a linear map of them is computed
// in closed form.
//
// [Folder] takes a model and a folder with one folder of images for each class, and returns
// a model whose network is the old one followed by a fully connected layer. [Fit] does the
// same on embeddings and labels, and returns an [Adaptation]:
//
//	adapted, adaptation, err := adapt.Folder(ctx, model, "photos", adapt.Options{})
//	err = adapted.Save("photos.safetensors")
//
// The map is within-class whitening with shrinkage. With Σ the covariance of the embeddings
// within their classes, d features and the strength λ, it is y = W(x − mean), where
//
//	WᵀW = c · (Σ + λ · tr(Σ)/d · I)⁻¹
//
// and c keeps the mean scale of the features. Directions in which images of one class differ
// much count less in the cosine distance of y. This is the within-class covariance
// normalization of Hatch, Kajarekar & Stolcke 2006 ("Within-class covariance normalization
// for SVM-based speaker recognition"), shrunk toward a multiple of the identity matrix as in
// Friedman 1989 ("Regularized discriminant analysis", equation 18). A large λ leaves the
// directions as they are; λ = 0 whitens fully and amplifies the noise of the estimate.
//
// Everything is chosen on held-out classes, since the purpose is to recognize classes that
// are in no data set: the classes are divided into three folds, each fold is measured with
// the map that the classes of the other two give, and the results of all folds are pooled.
// The strength with the largest MAP@R is taken if it is better than the frozen embeddings
// beyond chance. Then small layers are trained on top of it, see [Method], and are taken only
// if they are better than the whitening beyond chance. Intervals resample whole classes.
package adapt
