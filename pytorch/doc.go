// Package pytorch takes weights that were learned in PyTorch, or elsewhere, into
// a network of this library.
//
// Its nouns:
//
//   - A File is the tensors of a safetensors file, as PyTorch's users save them
//     by safetensors.torch.save_file(network.state_dict(), "weights.safetensors").
//   - A Mapping says which of them become which weights. ParseMapping reads it
//     from TOML; Derive finds it where the names of a torch.nn.Sequential leave
//     no doubt.
//
// Fill overwrites a model's weights, all or none:
//
//	file, err := pytorch.Open("weights.safetensors")
//	mapping, err := file.Derive(model)
//	err = file.Fill(model, mapping)
//
// The weights of this library are in PyTorch's layout, so that a file of
// PyTorch's needs nothing but names: a convolution is (out, in, height, width), a
// fully connected layer (out, in) with its inputs in channel-height-width order,
// and batch norm has weight, bias, running_mean and running_var. For tensors of
// other layouts a Mapping names theirs, in the notation of einops:
//
//	layout         of                                        where it is usual
//	oihw           a convolution                             PyTorch; where nothing is said
//	hwio           a convolution                             TensorFlow, Keras, Flax
//	ohwi           a convolution                             TensorFlow Lite, MLX
//	oi             a fully connected layer                   PyTorch; where nothing is said
//	io             a fully connected layer                   TensorFlow, Keras, Flax
//	o(hwc)         one on images flattened channels last     TensorFlow Lite, MLX
//	(hwc)o         one on images flattened channels last     TensorFlow, Keras, Flax
package pytorch
