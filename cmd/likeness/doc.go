// Command likeness trains networks that say how alike two images are, and uses
// them.
//
//	likeness train                       # siamese twins on MNIST, and how good they are
//	likeness train --data photos         # on a folder with a folder of images a class
//	likeness eval --run runs/…           # the same table again, from the files
//	likeness eval --run runs/… --report  # and the page to look at
//	likeness embed photos --out e.npy    # images to vectors
//	likeness compare a.png b.png         # two images: same or different?
//	likeness export --onnx network.onnx  # a model for ONNX Runtime
//	likeness import w.safetensors …      # weights that PyTorch saved, to start from
//	likeness near-duplicates scans       # images that are nearly the same
//	likeness search a.png --in scans     # the nearest of a folder
//	likeness fetch omniglot              # a published data set
//	likeness enroll alice a.jpg --gallery faces.gallery    # a class from an image
//	likeness identify b.jpg --gallery faces.gallery        # of whom, or unknown?
//	likeness doctor                      # does it work on this machine?
//	likeness serve --gallery faces.gallery                 # all that over HTTP, and a page
//
// Settings say all that determines a training; a flag and a TOML key of one
// name are one setting. A setup is what settings come to: the material, which
// is the data cut into its parts, and the network. A run folder keeps what a
// training leaves behind. A gallery is a file of known classes, see that package.
package main
