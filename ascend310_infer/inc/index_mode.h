// The model-zoo mode: a folder of .bin inputs to a folder of .bin outputs.
#ifndef GDPRNN_INDEX_MODE_H_
#define GDPRNN_INDEX_MODE_H_

#include <string>

#include "description.h"
#include "index.h"
#include "network_pool.h"
#include "options.h"

namespace gdprnn {

// Where the outputs go. What lies there of an earlier run is kept only if that had the same network and inputs, which
// a hidden file tells; index.json appears last, when all outputs are there.
class ResultFolder {
 public:
  // Makes the folder if it is missing, and removes from it what does not belong to this network and these inputs.
  // Raises Failure(kOutput): it cannot be written; Failure(kOptions): it is the folder of the inputs.
  ResultFolder(const Index& index, const Description& description, const Options& options);

  const std::string& path() const { return path_; }
  std::string PathOf(const std::string& file) const { return path_ + "/" + file; }

  // Whether this input's output is there from an earlier run.
  bool Has(const IndexEntry& entry) const;

 private:
  std::string path_;
  int num_speakers_;
};

// Separates every input that has no output yet, one on each of the pool's networks at a time, then writes index.json.
// Each input is separated in chunks, aligned and stitched; the tracks keep the network's gains.
//
// Raises Failure(kInput), Failure(kInference) or Failure(kOutput).
void SeparateIndex(const Index& index, const Description& description, const ResultFolder& results, NetworkPool* pool);

}  // namespace gdprnn

#endif  // GDPRNN_INDEX_MODE_H_
