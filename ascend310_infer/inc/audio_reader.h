// Audio files read block by block from their start; as AudioReader and open_audio of src/audio.py.
#ifndef GDPRNN_AUDIO_READER_H_
#define GDPRNN_AUDIO_READER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

struct sf_private_tag;  // libsndfile's handle

namespace gdprnn {

// An open file of any kind that libsndfile reads. Samples have full scale at 1.0.
//
// A truncated file is refused where its format lets that be known: wav, aiff, w64, rf64, flac and mp3 always, ogg
// unless it was cut exactly between two pages.
class AudioReader {
 public:
  // Raises Failure(kInput): the file is missing, unreadable or truncated; more is known only when all has been read.
  explicit AudioReader(const std::string& path);
  ~AudioReader();
  AudioReader(const AudioReader&) = delete;
  AudioReader& operator=(const AudioReader&) = delete;

  const std::string& name() const { return name_; }
  int sample_rate() const { return sample_rate_; }    // Hz
  int num_channels() const { return num_channels_; }
  int64_t num_samples() const { return num_samples_; }  // of each channel; -1 where the header does not tell
  int format() const { return format_; }                // libsndfile's SF_FORMAT_… of how samples are stored

  // Reads the next samples of every channel into `block`, [t, channels], and returns t, which is smaller than
  // `num_samples` only at the end.
  //
  // Raises Failure(kInput): at the end, for a file without samples, a truncated one, or NaN or infinite samples in
  // it; anywhere, for data that cannot be decoded.
  int64_t Read(int64_t num_samples, std::vector<double>* block);

 private:
  void CheckWhole() const;
  void CheckAll() const;
  [[noreturn]] void RefuseUnreadable() const;

  std::string name_;
  std::unique_ptr<sf_private_tag, int (*)(sf_private_tag*)> file_;
  int sample_rate_ = 0;
  int num_channels_ = 0;
  int64_t num_samples_ = -1;
  int format_ = 0;
  int64_t num_read_ = 0;
  int64_t num_bad_ = 0;
};

// Samples of a block of so many channels, which will be `growth` times as many after resampling.
int64_t BlockLength(int num_channels, double growth);

}  // namespace gdprnn

#endif  // GDPRNN_AUDIO_READER_H_
