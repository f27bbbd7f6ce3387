// Package backbone defines embedding networks, which map a batch of images (batch,
// height, width, channels) to embeddings (batch, features).
//
//   - A Backbone adds itself to a graph with Embed. Called for two or three inputs of
//     one graph it uses the same weights each time, as siamese networks do.
//   - A Network is a backbone that consists of a list of blocks, written in Go or in
//     TOML.
//
// Functions return the networks of published papers, Hadsell, Koch, HofferMNIST and
// HofferCIFAR, and the general networks Conv4, Conv7, LeNet, Digits and Residual. Named
// returns a network by its name. Any type with the methods Input and Embed is a Backbone.
package backbone
