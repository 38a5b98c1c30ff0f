#include "sample_format.h"

#include <sndfile.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace gdprnn {
namespace {

constexpr uint32_t kUnknown = 0xFFFFFFFF;  // in an RF64 file, where the chunk ds64 tells the size
constexpr uint32_t kPcm = 1;               // WAVE_FORMAT_PCM
constexpr uint32_t kIeeeFloat = 3;         // WAVE_FORMAT_IEEE_FLOAT

void AppendLittleEndian(uint64_t value, int num_bytes, std::string* bytes) {
  for (int place = 0; place < num_bytes; ++place) bytes->push_back(static_cast<char>(value >> (8 * place) & 0xFF));
}

std::string WavChunk(const std::string& name, const std::string& content) {
  std::string chunk = name;
  AppendLittleEndian(content.size(), 4, &chunk);
  return chunk + content;
}

std::string LayoutChunks(int64_t num_samples, int sample_rate, SampleFormat format) {
  const auto frame_bytes = static_cast<uint64_t>(BytesPerSample(format));
  const auto rate = static_cast<uint64_t>(sample_rate);
  std::string fields;
  AppendLittleEndian(format == SampleFormat::kFloat ? kIeeeFloat : kPcm, 2, &fields);
  AppendLittleEndian(1, 2, &fields);  // channels
  AppendLittleEndian(rate, 4, &fields);
  AppendLittleEndian(rate * frame_bytes, 4, &fields);
  AppendLittleEndian(frame_bytes, 2, &fields);
  AppendLittleEndian(8 * frame_bytes, 2, &fields);
  if (format != SampleFormat::kFloat) return WavChunk("fmt ", fields);
  AppendLittleEndian(0, 2, &fields);  // the size of what follows, which floats must tell
  std::string count;
  AppendLittleEndian(std::min<uint64_t>(static_cast<uint64_t>(num_samples), kUnknown), 4, &count);
  return WavChunk("fmt ", fields) + WavChunk("fact", count);
}

bool EncodeFloats(const double* samples, int64_t num_samples, std::string* bytes) {
  for (int64_t at = 0; at < num_samples; ++at) {
    const auto value = static_cast<float>(samples[at]);
    uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    AppendLittleEndian(bits, 4, bytes);
  }
  return false;
}

}  // namespace

int BytesPerSample(SampleFormat format) {
  switch (format) {
    case SampleFormat::kPcm16: return 2;
    case SampleFormat::kPcm24: return 3;
    default: return 4;
  }
}

SampleFormat ChooseFormat(int input_format) {
  switch (input_format & SF_FORMAT_SUBMASK) {
    case SF_FORMAT_PCM_24:
    case SF_FORMAT_DWVW_24:
    case SF_FORMAT_ALAC_20:
    case SF_FORMAT_ALAC_24: return SampleFormat::kPcm24;
    case SF_FORMAT_PCM_32:
    case SF_FORMAT_FLOAT:
    case SF_FORMAT_DOUBLE:
    case SF_FORMAT_ALAC_32: return SampleFormat::kFloat;
    default: return SampleFormat::kPcm16;
  }
}

bool Encode(const double* samples, int64_t num_samples, SampleFormat format, std::string* bytes) {
  if (format == SampleFormat::kFloat) return EncodeFloats(samples, num_samples, bytes);
  const int num_bytes = BytesPerSample(format);
  const double scale = static_cast<double>(1 << (8 * num_bytes - 1));
  bool exceeded = false;
  for (int64_t at = 0; at < num_samples; ++at) {
    const double step = std::nearbyint(samples[at] * scale);
    const double kept = std::clamp(step, -scale, scale - 1);
    exceeded = exceeded || kept != step;
    AppendLittleEndian(static_cast<uint64_t>(static_cast<int64_t>(kept)), num_bytes, bytes);
  }
  return exceeded;
}

std::string WavHeader(int64_t num_samples, int sample_rate, SampleFormat format) {
  const auto data_bytes = static_cast<uint64_t>(num_samples) * static_cast<uint64_t>(BytesPerSample(format));
  const std::string layout = LayoutChunks(num_samples, sample_rate, format);
  const uint64_t riff_bytes = 4 + layout.size() + 8 + data_bytes + WavPadding(num_samples, format).size();
  std::string header;
  if (riff_bytes <= kUnknown) {
    header = "RIFF";
    AppendLittleEndian(riff_bytes, 4, &header);
    header += "WAVE" + layout + "data";
    AppendLittleEndian(data_bytes, 4, &header);
    return header;
  }
  std::string sizes;
  AppendLittleEndian(riff_bytes + 36, 8, &sizes);  // 36: this chunk itself
  AppendLittleEndian(data_bytes, 8, &sizes);
  AppendLittleEndian(static_cast<uint64_t>(num_samples), 8, &sizes);
  AppendLittleEndian(0, 4, &sizes);
  header = "RF64";
  AppendLittleEndian(kUnknown, 4, &header);
  header += "WAVE" + WavChunk("ds64", sizes) + layout + "data";
  AppendLittleEndian(kUnknown, 4, &header);
  return header;
}

std::string WavPadding(int64_t num_samples, SampleFormat format) {
  return std::string(static_cast<size_t>(num_samples * BytesPerSample(format) % 2), '\0');
}

}  // namespace gdprnn
