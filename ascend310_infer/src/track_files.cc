#include "track_files.h"

#include <unistd.h>

#include <memory>
#include <string>

#include "output_file.h"

namespace gdprnn {
namespace {

// One wav file of known length.
class TrackFile {
 public:
  TrackFile(const Placement& place, SampleFormat format, int64_t num_samples, int sample_rate)
      : format_(format), padding_(WavPadding(num_samples, format)), file_(place.from, place.to) {
    file_.Write(WavHeader(num_samples, sample_rate, format));
  }

  // Writes one column of a block [num_samples, num_columns].
  void Write(const double* block, int64_t num_samples, size_t num_columns, size_t column) {
    samples_.resize(static_cast<size_t>(num_samples));
    for (size_t at = 0; at < samples_.size(); ++at) samples_[at] = block[at * num_columns + column];
    bytes_.clear();
    exceeded_ = Encode(samples_.data(), num_samples, format_, &bytes_) || exceeded_;
    file_.Write(bytes_);
  }

  void Finish() {
    file_.Write(padding_);
    file_.Close();
  }

  bool exceeded() const { return exceeded_; }

 private:
  SampleFormat format_;
  std::string padding_;
  OutputFile file_;
  std::vector<double> samples_;
  std::string bytes_;
  bool exceeded_ = false;  // whether it was given what its format had to clip
};

// Writes some columns of the blocks and returns those that their format had to clip.
std::vector<size_t> WriteColumns(const std::vector<size_t>& columns, const std::vector<Placement>& files,
                                 SampleFormat format, const MakeBlocks& make_blocks, int64_t num_samples,
                                 int sample_rate) {
  std::vector<std::unique_ptr<TrackFile>> open;
  for (const size_t column : columns) {
    open.push_back(std::make_unique<TrackFile>(files[column], format, num_samples, sample_rate));
  }
  make_blocks([&](const double* block, int64_t length) {
    for (size_t at = 0; at < open.size(); ++at) open[at]->Write(block, length, files.size(), columns[at]);
  });
  std::vector<size_t> exceeded;
  for (size_t at = 0; at < open.size(); ++at) {
    open[at]->Finish();
    if (open[at]->exceeded()) exceeded.push_back(columns[at]);
  }
  return exceeded;
}

}  // namespace

std::vector<SampleFormat> WriteTracks(const std::vector<Placement>& files, SampleFormat format,
                                      const MakeBlocks& make_blocks, int64_t num_samples, int sample_rate) {
  std::vector<SampleFormat> formats(files.size(), format);
  std::vector<size_t> columns(files.size());
  for (size_t column = 0; column < columns.size(); ++column) columns[column] = column;
  const auto exceeded = WriteColumns(columns, files, format, make_blocks, num_samples, sample_rate);
  for (const size_t column : exceeded) {
    unlink(files[column].from.c_str());
    formats[column] = SampleFormat::kFloat;
  }
  if (!exceeded.empty()) {
    WriteColumns(exceeded, files, SampleFormat::kFloat, make_blocks, num_samples, sample_rate);
  }
  return formats;
}

}  // namespace gdprnn
