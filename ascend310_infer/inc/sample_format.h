// How samples stand in wav files; as src/sample_format.py, byte by byte.
#ifndef GDPRNN_SAMPLE_FORMAT_H_
#define GDPRNN_SAMPLE_FORMAT_H_

#include <cstdint>
#include <string>

namespace gdprnn {

enum class SampleFormat { kPcm16, kPcm24, kFloat };

int BytesPerSample(SampleFormat format);

// The format that keeps the bit depth of an input, told as libsndfile's SF_FORMAT_…: 16 bits from 8 bits and from
// lossy codecs too.
SampleFormat ChooseFormat(int input_format);

// Appends samples [num_samples], full scale at 1.0, to `bytes`; integers are rounded to the nearest step and clip what
// exceeds full scale. Returns whether something did.
bool Encode(const double* samples, int64_t num_samples, SampleFormat format, std::string* bytes);

// All that stands before the samples of one channel; RF64 (EBU Tech 3306) where the sizes would exceed 32 bits.
std::string WavHeader(int64_t num_samples, int sample_rate, SampleFormat format);

// What stands after them: a byte where their number of bytes is odd.
std::string WavPadding(int64_t num_samples, SampleFormat format);

}  // namespace gdprnn

#endif  // GDPRNN_SAMPLE_FORMAT_H_
