// Package backbone defines embedding networks: what turns a batch of images
// (batch, height, width, channels) into one vector each (batch, features).
//
// Its nouns:
//
//   - A Backbone draws itself onto a graph with Embed. Called for two or three
//     inputs of one graph it binds the same weights each time: twin towers.
//   - A Network is a backbone as a list of blocks, in Go or in TOML.
//
// The networks of the papers are functions that return a Network: Hadsell,
// Koch, HofferMNIST, HofferCIFAR, and Conv4, LeNet, Digits and Residual beside them;
// Named finds one by its name. Any other type with Embed is a backbone too.
package backbone
