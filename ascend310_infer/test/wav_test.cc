// Wav files from end to end: how samples stand in them, written and read again.
#include <doctest/doctest.h>
#include <sndfile.h>

#include <cmath>
#include <limits>
#include <vector>

#include "audio_reader.h"
#include "remarks.h"
#include "sample_format.h"
#include "test_folder.h"
#include "track_files.h"

namespace gdprnn {
namespace {

std::string Encoded(const std::vector<double>& samples, SampleFormat format, bool* exceeded) {
  std::string bytes;
  *exceeded = Encode(samples.data(), static_cast<int64_t>(samples.size()), format, &bytes);
  return bytes;
}

// A wav file of one channel.
std::string Wav(const std::vector<double>& samples, SampleFormat format, int sample_rate = 8000) {
  const auto num_samples = static_cast<int64_t>(samples.size());
  bool exceeded = false;
  return WavHeader(num_samples, sample_rate, format) + Encoded(samples, format, &exceeded) +
         WavPadding(num_samples, format);
}

std::vector<double> ReadAll(const std::string& path, int64_t block_length = 1000) {
  AudioReader reader(path);
  std::vector<double> all;
  std::vector<double> block;
  while (reader.Read(block_length, &block) > 0) all.insert(all.end(), block.begin(), block.end());
  return all;
}

TEST_CASE("samples are rounded to the nearest step, halves to the even one, and clip") {
  bool exceeded = true;
  const double step = 1.0 / 32768;
  CHECK(Encoded({0, step, 1.5 * step, 2.5 * step, -step, -1}, SampleFormat::kPcm16, &exceeded) ==
        std::string("\0\0\1\0\2\0\2\0\xff\xff\0\x80", 12));
  CHECK_FALSE(exceeded);
  CHECK(Encoded({1 - 0.4 * step}, SampleFormat::kPcm16, &exceeded) == "\xff\x7f");
  CHECK(exceeded);
  CHECK(Encoded({-1 - 0.6 * step}, SampleFormat::kPcm16, &exceeded) == std::string("\0\x80", 2));
  CHECK(exceeded);
  CHECK(Encoded({-1.0 / 8388608, 0.5}, SampleFormat::kPcm24, &exceeded) == std::string("\xff\xff\xff\0\0\x40", 6));
  CHECK_FALSE(exceeded);
  CHECK(Encoded({2}, SampleFormat::kFloat, &exceeded) == std::string("\0\0\0\x40", 4));
  CHECK_FALSE(exceeded);
}

TEST_CASE("libsndfile reads what was written") {
  const TestFolder folder;
  const std::vector<double> samples = {0, 0.5, -0.25, 0.125, -1};
  for (const SampleFormat format : {SampleFormat::kPcm16, SampleFormat::kPcm24, SampleFormat::kFloat}) {
    const std::string path = folder.Write("a.wav", Wav(samples, format, 12345));
    CHECK(ReadAll(path) == samples);
    const AudioReader reader(path);
    CHECK(reader.sample_rate() == 12345);
    CHECK(reader.num_samples() == 5);
    CHECK(reader.num_channels() == 1);
    CHECK(ChooseFormat(reader.format()) == format);
  }
}

TEST_CASE("files beyond 4 GiB are RF64") {
  const int64_t most = (int64_t{1} << 31) - 19;  // 36 bytes of the header count too
  CHECK(WavHeader(most, 8000, SampleFormat::kPcm16).substr(0, 8) == std::string("RIFF\xfe\xff\xff\xff", 8));
  const std::string header = WavHeader(most + 1, 8000, SampleFormat::kPcm16);
  CHECK(header.substr(0, 8) == "RF64\xff\xff\xff\xff");
  CHECK(header.substr(12, 8) == std::string("ds64\x1c\0\0\0", 8));
  CHECK(header.substr(header.size() - 8) == "data\xff\xff\xff\xff");
}

TEST_CASE("the bit depth of the input is kept") {
  CHECK(ChooseFormat(SF_FORMAT_WAV | SF_FORMAT_PCM_U8) == SampleFormat::kPcm16);
  CHECK(ChooseFormat(SF_FORMAT_OGG | SF_FORMAT_VORBIS) == SampleFormat::kPcm16);
  CHECK(ChooseFormat(SF_FORMAT_FLAC | SF_FORMAT_PCM_24) == SampleFormat::kPcm24);
  CHECK(ChooseFormat(SF_FORMAT_WAV | SF_FORMAT_PCM_32) == SampleFormat::kFloat);
  CHECK(ChooseFormat(SF_FORMAT_WAV | SF_FORMAT_DOUBLE) == SampleFormat::kFloat);
}

TEST_CASE("files that are no audio are told in a line") {
  const TestFolder folder;
  const auto failure_of = [&](const std::string& name) {
    return FailureOf([&] { ReadAll(folder.PathOf(name)); });
  };
  CHECK(Contains(failure_of("none.wav"), "4 " + folder.PathOf("none.wav") + ": no such file"));
  CHECK(Contains(failure_of("."), "found a folder or a device"));
  folder.Write("empty.wav", "");
  CHECK(Contains(failure_of("empty.wav"), "found an empty file of 0 bytes"));
  folder.Write("text.wav", "this is no audio at all, but it has some length");
  CHECK(Contains(failure_of("text.wav"), "unreadable, expected audio that libsndfile reads"));
  folder.Write("a.raw", "12345678");
  CHECK(Contains(failure_of("a.raw"), "found a file without a header"));
  folder.Write("no.wav", Wav({}, SampleFormat::kPcm16));
  CHECK(Contains(failure_of("no.wav"), "found 0 samples, expected at least 1"));
}

TEST_CASE("a truncated file is refused, one of unknown size is not") {
  const TestFolder folder;
  const std::string whole = Wav(std::vector<double>(100, 0.5), SampleFormat::kPcm16);
  folder.Write("short.wav", whole.substr(0, whole.size() - 20));
  CHECK(Contains(FailureOf([&] { ReadAll(folder.PathOf("short.wav")); }), "truncated, found"));
  const std::string unknown = Replaced(whole, std::string("data\xc8\0\0\0", 8), "data\xff\xff\xff\xff");
  folder.Write("pipe.wav", Replaced(unknown, std::string("RIFF\xec\0\0\0", 8), "RIFF\xff\xff\xff\xff"));
  CHECK(ReadAll(folder.PathOf("pipe.wav")).size() == 100);
}

TEST_CASE("NaN and infinite samples are counted to the end") {
  const TestFolder folder;
  std::vector<double> samples(50, 0.5);
  samples[3] = std::numeric_limits<double>::quiet_NaN();
  samples[40] = std::numeric_limits<double>::infinity();
  folder.Write("nan.wav", Wav(samples, SampleFormat::kFloat));
  CHECK(Contains(FailureOf([&] { ReadAll(folder.PathOf("nan.wav"), 7); }),
                 "found 2 NaN or infinite samples, expected finite samples only"));
}

MakeBlocks InTwoBlocks(const std::vector<double>& samples, int64_t num_columns, int* num_calls) {
  return [=](const BlockSink& sink) {
    ++*num_calls;
    const int64_t length = static_cast<int64_t>(samples.size()) / num_columns;
    sink(samples.data(), 1);
    sink(samples.data() + num_columns, length - 1);
  };
}

TEST_CASE("tracks are the columns of the blocks; what would clip is written again as floats") {
  const TestFolder folder;
  const std::vector<Placement> files = {{folder.PathOf("a.wav"), "final_a"}, {folder.PathOf("b.wav"), "final_b"}};
  int num_calls = 0;
  const std::vector<double> samples = {0.5, 0.25, -0.5, 1.25, 0.125, 0};
  const auto formats = WriteTracks(files, SampleFormat::kPcm16, InTwoBlocks(samples, 2, &num_calls), 3, 8000);
  CHECK(formats == std::vector<SampleFormat>{SampleFormat::kPcm16, SampleFormat::kFloat});
  CHECK(num_calls == 2);
  CHECK(ReadAll(files[0].from) == std::vector<double>{0.5, -0.5, 0.125});
  CHECK(ReadAll(files[1].from) == std::vector<double>{0.25, 1.25, 0});
}

TEST_CASE("a track that cannot be written is told by its name in the end") {
  int num_calls = 0;
  const auto make_blocks = InTwoBlocks({0.5, 0.5}, 1, &num_calls);
  CHECK(FailureOf([&] { WriteTracks({{"/nowhere/a.wav", "out/a.wav"}}, SampleFormat::kPcm16, make_blocks, 2, 8000); }) ==
        "6 out/a.wav: cannot be written (No such file or directory)");
}

InputReport ReportOf(const std::vector<double>& samples) {
  Meter meter(1);
  for (const double& sample : samples) meter.Add(&sample, &sample, 1);  // in blocks of one sample
  return {meter.num_samples(), 8000, 1, 0, meter.rms(), meter.clipped_runs()};
}

TEST_CASE("what a listener should know is found") {
  std::vector<double> clipped;
  for (int run = 0; run < 3; ++run) clipped.insert(clipped.end(), {0.1, 0.9, 0.9, 0.9, 0.2, -0.8, -0.8});
  CHECK(ReportOf(clipped).clipped_runs == 3);
  CHECK(FindWarnings(ReportOf(clipped), 8000, 8) ==
        std::vector<std::string>{"clipped: found 3 runs of 3 or more samples at the extreme value"});
  clipped.push_back(0.95);  // so 0.9 was not the extreme
  CHECK(FindWarnings(ReportOf(clipped), 8000, 8).empty());
  CHECK(FindWarnings(ReportOf(std::vector<double>(20, 0)), 8000, 8) ==
        std::vector<std::string>{"silent, and so are its tracks"});
  CHECK(FindWarnings(ReportOf(std::vector<double>(20, 0.0001)), 8000, 8)[0] ==
        "very quiet: found a level of -80 dBFS (RMS), expected -60 or more");
  CHECK(Contains(FindWarnings(ReportOf({10, -11, 12, -13, 14, -15, 16, -17}), 8000, 8)[0], "very loud: found a level"));
  CHECK(Contains(FindWarnings(ReportOf({0.5, -0.5}), 8000, 8)[0], "found a length of 2 at 8000 Hz"));
  CHECK(Contains(FindWarnings(ReportOf(std::vector<double>(20, 0.1)), 16000, 8)[0],
                 "found a sample rate of 8000 Hz, so there is nothing above 4000 Hz"));
}

TEST_CASE("what is done to the input is noted") {
  InputReport report = ReportOf({0.1});
  CHECK(FindNotes(report, 8000).empty());
  report.num_channels = 3;
  report.sample_rate = 44100;
  CHECK(FindNotes(report, 8000) ==
        std::vector<std::string>{"its 3 channels are averaged",
                                 "the network hears up to 4000 Hz: its tracks, at 44100 Hz as the input, have nothing "
                                 "above that"});
}

}  // namespace
}  // namespace gdprnn
