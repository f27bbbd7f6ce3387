// Package backbone defines embedding networks, which map a batch of images (batch,
// height, width, channels) to one vector each (batch, features).
//
//   - A Backbone adds itself to a graph with Embed. Called for two or three inputs of
//     one graph it uses the same weights each time, as siamese networks do.
//   - A Network is a backbone as a list of blocks, in Go or in TOML.
//
// The networks of the papers are functions that return a Network: Hadsell, Koch,
// HofferMNIST and HofferCIFAR; Conv4, Conv7, LeNet, Digits and Residual are further
// ones. Named finds a network by its name. Any other type with Input and Embed is a
// backbone, too.
package backbone
