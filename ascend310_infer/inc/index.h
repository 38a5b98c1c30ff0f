// Folders of inputs and outputs in the model-zoo mode: an index.json and one .bin an utterance, 32-bit floating point.
#ifndef GDPRNN_INDEX_H_
#define GDPRNN_INDEX_H_

#include <cstdint>
#include <string>
#include <vector>

#include "description.h"
#include "recording.h"

namespace gdprnn {

// One input, [1, row_length], of which num_samples are true.
struct IndexEntry {
  std::string name;  // of the utterance
  std::string file;  // in the folder of the index; the output's file has the same name
  int64_t row_length = 0;
  int64_t num_samples = 0;
};

// What preprocess.py --mode infer310 wrote.
struct Index {
  std::string path;
  std::string folder;
  std::string sha256;    // of index.json
  int sample_rate = 0;   // Hz
  int num_speakers = 0;  // C
  std::string data;      // the test set that it was made from, for who reads the outputs
  std::vector<IndexEntry> entries;
};

// Reads the text of an index.json at `path`; the files need not be there.
// Raises Failure(kInput): it is none, of another version, or names files that are not plain names or not unique.
Index ParseIndex(const std::string& text, const std::string& path);

// Reads an index.json and compares the sizes of the files with it. Raises Failure(kInput).
Index ReadIndex(const std::string& path);

// Raises Failure(kInput) unless the inputs are for this network.
void CheckFits(const Index& index, const Description& description);

// The samples of one input.
class BinRecording : public Recording {
 public:
  // Reads through the file once. Raises Failure(kInput): it cannot be read, or has NaN, infinite or huge samples.
  BinRecording(const std::string& folder, const IndexEntry& entry);
  ~BinRecording() override;
  BinRecording(const BinRecording&) = delete;
  BinRecording& operator=(const BinRecording&) = delete;

  int64_t NumSamples() const override { return num_samples_; }
  void Read(int64_t start, int64_t count, float* to) const override;

 private:
  void CheckSamples() const;

  std::string path_;
  int64_t num_samples_;
  int descriptor_;
};

// The text of the index.json of the outputs.
std::string OutputIndexText(const Index& index, const Description& description);

}  // namespace gdprnn

#endif  // GDPRNN_INDEX_H_
