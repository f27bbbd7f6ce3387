// Package audit finds images of a labeled data set that are probably labeled wrongly, and
// images that resemble no others, from their embeddings.
//
// [Folder] takes a model and a folder with one folder of images for each class, and
// [Embeddings] embeddings with labels. Both return a [Result], which lists the images from
// the most suspicious on, and writes them to a CSV file and to a contact sheet.
//
// # Wrong labels
//
// The probability of each class is computed for each image by a classifier that was fitted
// to other images only: the images of each class are divided into folds, and each fold is
// classified by the others. The classifier is linear discriminant analysis with shrinkage
// (Friedman 1989, "Regularized discriminant analysis", equation 18), computed in closed
// form: with the mean m of each class, the proportion π of its images, and the covariance Σ
// within classes of d features,
//
//	score of class c = xᵀS⁻¹m − ½ mᵀS⁻¹m + log π,   S = Σ + λ · tr(Σ)/d · I
//
// Probabilities are the softmax of the scores divided by a temperature (Guo, Pleiss, Sun &
// Weinberger 2017, "On calibration of modern neural networks"). λ and the temperature are
// those of the largest likelihood of the given labels out of the folds. If the metric does
// not depend on the length of embeddings, as the cosine distance does not, they are first
// scaled to length 1.
//
// From these probabilities come the self-confidence and the normalized margin of confident
// learning, and its estimate of the label errors (Northcutt, Jiang & Chuang 2021, "Confident
// learning: Estimating uncertainty in dataset labels"); see [Finding]. Images are ranked by
// the ratio of the probability of the given label to the largest probability of another one,
// which orders images in the same way at any temperature.
//
// # Outliers
//
// The outlier score of an image is the mean distance to its nearest other images, of any
// class (Angiulli & Pizzuti 2002, "Fast outlier detection in high dimensional spaces"). It is
// large for images that are of no class, damaged or of another kind, and for rare variants.
//
// Both are suspicions, which a person should check: the image of a rare variant and one of two
// classes that resemble each other are suspicious without being wrong.
package audit
