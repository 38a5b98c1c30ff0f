// Samples come back from the disk as they were, and what goes wrong there is told.
#include "sample_file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "failure.h"
#include "test_folder.h"
#include "whole_io.h"

namespace gdprnn {
namespace {

std::vector<float> Ramp(size_t count) {
  std::vector<float> samples(count);
  std::iota(samples.begin(), samples.end(), 1.0F);
  return samples;
}

std::vector<float> ReadAll(const SampleFile& file) {
  std::vector<float> samples(static_cast<size_t>(file.NumSamples() * file.num_channels()));
  file.Read(0, file.NumSamples(), samples.data());
  return samples;
}

// As if the disk were full from so many bytes of a file on.
class FullDisk {
 public:
  explicit FullDisk(rlim_t num_bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{num_bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int);
  rlimit before_{};
};

template <typename Call>
std::string MessageOf(const Call& call) {
  try {
    call();
  } catch (const Failure& failure) {
    CHECK(failure.stage() == kOutput);
    return failure.what();
  }
  return "";
}

}  // namespace

TEST_CASE("what is read or written as a whole, and why not") {
  const TestFolder folder;
  const int descriptor = open(folder.Write("five", "12345").c_str(), O_RDWR | O_CLOEXEC);
  std::string bytes(4, ' ');
  CHECK(ReadWhole(descriptor, 1, bytes.data(), 4).empty());
  CHECK(bytes == "2345");
  CHECK(ReadWhole(descriptor, 2, bytes.data(), 4) == "it ends too early");
  CHECK(WriteWhole(descriptor, 3, "abc", 3).empty());
  close(descriptor);
  CHECK(ReadBytes(folder.PathOf("five")) == "123abc");
  CHECK(WriteWhole(descriptor, 0, "a", 1) == "Bad file descriptor");
}

TEST_CASE("samples come back, at any place") {
  SampleFile file("");
  CHECK(file.NumSamples() == 0);
  const std::vector<float> samples = Ramp(100'000);
  file.Append(samples.data(), 0);
  file.Append(samples.data(), 70'000);
  file.Append(samples.data() + 70'000, 30'000);
  CHECK(ReadAll(file) == samples);
  for (const int64_t start : {0, 1, 69'999, 70'000, 99'999}) {
    float one = 0.0F;
    file.Read(start, 1, &one);
    CHECK(one == static_cast<float>(start + 1));
  }
  file.Read(100'000, 0, nullptr);
}

TEST_CASE("samples of several channels stay together") {
  SampleFile file("", 3);
  file.Append(Ramp(9).data(), 3);
  CHECK(file.NumSamples() == 3);
  std::vector<float> last(3);
  file.Read(2, 1, last.data());
  CHECK(last == std::vector<float>{7, 8, 9});
}

TEST_CASE("a length is set by cropping or with zeros, and what is appended then comes after it") {
  SampleFile file("", 2);
  file.Append(Ramp(6).data(), 3);
  file.SetLength(1);
  CHECK(ReadAll(file) == std::vector<float>{1, 2});
  file.SetLength(2);
  CHECK(ReadAll(file) == std::vector<float>{1, 2, 0, 0});
  file.Append(Ramp(2).data(), 1);
  CHECK(ReadAll(file) == std::vector<float>{1, 2, 0, 0, 1, 2});
}

TEST_CASE("beyond the end there is nothing to read") {
  SampleFile file("");
  file.Append(Ramp(3).data(), 3);
  std::vector<float> samples(4);
  CHECK(MessageOf([&] { file.Read(0, 4, samples.data()); }).find("cannot be read (it ends too early)") < 200);
  CHECK(MessageOf([&] { file.Read(3, 1, samples.data()); }) != "");
}

TEST_CASE("nothing is seen in the folder, and nothing stays there") {
  const TestFolder folder;
  SampleFile file(folder.path());
  file.Append(Ramp(3).data(), 3);
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("the system's place is where TMPDIR says") {
  const TestFolder folder;
  setenv("TMPDIR", (folder.path() + "/missing").c_str(), 1);
  const std::string message = MessageOf([] { SampleFile file(""); });
  unsetenv("TMPDIR");
  CHECK(message == "the temporary file in " + folder.path() + "/missing cannot be made (No such file or directory)");
}

TEST_CASE("a full disk is told, wherever it gets full") {
  for (const rlim_t room : {0, 4, 10, 11'000}) {
    const TestFolder folder;
    SampleFile file(folder.path());
    const FullDisk full(room);
    const std::vector<float> samples = Ramp(5000);
    const std::string expected = "the temporary file in " + folder.path() + " cannot be written (File too large)";
    CHECK(MessageOf([&] { file.Append(samples.data(), 5000); }) == expected);
    CHECK(MessageOf([&] { file.SetLength(5000); }) == expected);
  }
}

TEST_CASE("a disk with just enough room is no problem") {
  SampleFile file("");
  const FullDisk full(20'000);
  file.Append(Ramp(5000).data(), 5000);
  CHECK(ReadAll(file) == Ramp(5000));
}

}  // namespace gdprnn
