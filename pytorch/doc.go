// Package pytorch imports weights that were trained in PyTorch, or elsewhere, into a
// network of this library.
//
// Its main types:
//
//   - A File contains the tensors of a file of weights: a safetensors file, as saved by
//     safetensors.torch.save_file(network.state_dict(), "weights.safetensors"), or a .pth
//     or .pt file of torch.save.
//   - A Mapping assigns tensors to weights. ParseMapping reads it from TOML; Derive
//     derives it where that is unambiguous: from the published names of a network of
//     package backbone, such as torchvision's ResNet-18, or from the names or the order of
//     layers.
//
// Fill overwrites the weights of a model, all or none:
//
//	file, err := pytorch.Open("weights.pth")
//	mapping, err := file.Derive(model)
//	err = file.Fill(model, mapping)
//
// # Files of torch.save
//
// Open reads the zip format of PyTorch 1.6 and later, and the legacy format of 0.1.10 to
// 1.5. The object in the file must be a state dict, a dictionary of tensors, or a
// checkpoint of a training that has the state dict under the key state_dict,
// model_state_dict or model; two of these keys are an error. Values that are no tensors,
// such as the number of an epoch, are passed over. The prefix "module.", which
// torch.nn.DataParallel adds, is removed if all names have it. Tensors may be of any
// strides and share storages.
//
// Such a file contains a pickle, a program for Python that could do anything there. Here
// it is read by a restricted interpreter, which has the containers, numbers and texts, and
// the functions that rebuild tensors and parameters. Any other function or type, among
// them that of a whole network saved by torch.save(network), is an error with its name.
// Sizes are compared with the size of the file before memory is allocated, and an archive
// with compressed or overlapping entries is an error.
//
// # Layouts
//
// The weights of this library are in PyTorch's layout, so that only names need to be
// mapped for a file of PyTorch's: a convolution is (out, in, height, width), a
// fully connected layer (out, in) with its inputs in channel-height-width order,
// and batch norm has weight, bias, running_mean and running_var. Dimensions of 1 at the end
// of a shape make no difference. For tensors of other layouts a Mapping names the layout,
// in the notation of einops:
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
