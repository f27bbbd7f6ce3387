// Package pytorch imports weights that were trained in PyTorch, or elsewhere, into a
// network of this library.
//
// Its main types:
//
//   - A File contains the tensors of a safetensors file, as saved in PyTorch by
//     safetensors.torch.save_file(network.state_dict(), "weights.safetensors").
//   - A Mapping assigns tensors to weights. ParseMapping reads it from TOML; Derive
//     derives it from the names or the order of layers where that is unambiguous.
//
// Fill overwrites the weights of a model, all or none:
//
//	file, err := pytorch.Open("weights.safetensors")
//	mapping, err := file.Derive(model)
//	err = file.Fill(model, mapping)
//
// The weights of this library are in PyTorch's layout, so that only names need to be
// mapped for a file of PyTorch's: a convolution is (out, in, height, width), a
// fully connected layer (out, in) with its inputs in channel-height-width order,
// and batch norm has weight, bias, running_mean and running_var. For tensors of
// other layouts a Mapping names the layout, in the notation of einops:
//
//	layout         of                                        where it is used
//	oihw           a convolution                             PyTorch; the default
//	hwio           a convolution                             TensorFlow, Keras, Flax
//	ohwi           a convolution                             TensorFlow Lite, MLX
//	oi             a fully connected layer                   PyTorch; the default
//	io             a fully connected layer                   TensorFlow, Keras, Flax
//	o(hwc)         one on images flattened channels last     TensorFlow Lite, MLX
//	(hwc)o         one on images flattened channels last     TensorFlow, Keras, Flax
package pytorch
