// What export.py wrote beside an exported network: all that this program has to know of it.
#ifndef GDPRNN_DESCRIPTION_H_
#define GDPRNN_DESCRIPTION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "chunks.h"

namespace gdprnn {

// One input or output of the network.
struct TensorDescription {
  std::string name;
  std::string dtype;  // "float32" or "int32"
  std::vector<int64_t> shape;
};

bool operator==(const TensorDescription& left, const TensorDescription& right);

// "mixture float32 [1, 128000]".
std::string ToText(const TensorDescription& tensor);

// The exported network takes mixture float32 [B, M] and num_samples int32 [B], the length of each of the B mixtures,
// and gives tracks float32 [B, C, M].
struct Description {
  std::string sha256;    // of the exported network, hexadecimal
  int sample_rate = 0;   // Hz
  int num_speakers = 0;  // C
  int kernel_size = 0;   // samples of one window of the network
  int batch_size = 0;    // B
  int chunk_frames = 0;  // of a chunk inside the network
  bool normalize_level = false;  // whether the network brings every mixture to the same level
  double prelu_slope = 0;        // of its head, below zero
  Chunking chunking;     // M and what neighbouring chunks share
  std::vector<TensorDescription> inputs;
  std::vector<TensorDescription> outputs;
};

// Reads the text of a description; errors tell it as `name`.
// Raises Failure(kModel): it is none, of another version, or contradicts itself.
Description ParseDescription(const std::string& text, const std::string& name);

// Reads the description that lies beside an exported network, <model_path>.json. Raises Failure(kModel), as above.
Description ReadDescription(const std::string& model_path);

// The bytes of an exported network. Raises Failure(kModel) unless they have the checksum of its description.
std::string ReadModel(const std::string& path, const Description& description);

// Raises Failure(kModel) unless the tensors that the runtime found in the network are those of its description.
void CheckTensors(const std::string& model_path, const std::vector<TensorDescription>& found,
                  const std::vector<TensorDescription>& expected, const char* kind);

}  // namespace gdprnn

#endif  // GDPRNN_DESCRIPTION_H_
