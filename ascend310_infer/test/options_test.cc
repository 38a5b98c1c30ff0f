#include "options.h"

#include <doctest/doctest.h>

#include "test_folder.h"

namespace gdprnn {
namespace {

using Words = std::vector<std::string>;

const Words kLeast = {"--model", "net.mindir", "--input", "talk.wav", "--output", "out"};

Words With(const Words& more) {
  Words words = kLeast;
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

std::string FailureWith(const Words& words) {
  return FailureOf([&] { ParseOptions(words); });
}

TEST_CASE("the least that is needed leaves the defaults") {
  const Options options = ParseOptions(kLeast);
  CHECK(options.model_path == "net.mindir");
  CHECK(options.inputs == Words{"talk.wav"});
  CHECK(options.output_dir == "out");
  CHECK(options.index_path.empty());
  CHECK(options.device == Device::kCpu);
  CHECK(options.engine == Engine::kFused);
  CHECK_FALSE(options.use_bfloat16);
  CHECK(options.device_id == 0);
  CHECK(options.num_threads == 0);
  CHECK(options.batch_size == 0);
  CHECK_FALSE(options.verbose);
}

TEST_CASE("every option is read, also joined to its value, and inputs add up") {
  const Options options = ParseOptions(With({"--input=more.flac", "--device", "ascend", "--device-id", "3",
                                             "--threads=2", "--batch", "4", "--verbose"}));
  CHECK(options.inputs == Words{"talk.wav", "more.flac"});
  CHECK(options.device == Device::kAscend);
  CHECK(options.device_id == 3);
  CHECK(options.num_threads == 2);
  CHECK(options.batch_size == 4);
  CHECK(options.verbose);
}

TEST_CASE("the engine is fused wherever it can be") {
  CHECK(ParseOptions(With({"--amp", "bfloat16"})).use_bfloat16);
  CHECK(ParseOptions(With({"--engine", "mindspore"})).engine == Engine::kMindSpore);
  CHECK(ParseOptions(With({"--device", "ascend"})).engine == Engine::kMindSpore);
  CHECK(ParseOptions(With({"--model", "net.ms"})).engine == Engine::kMindSpore);
  CHECK(FailureWith(With({"--model", "net.ms", "--engine", "fused"})) ==
        "2 --engine: found fused with net.ms, expected mindspore (see --help)");
  CHECK(FailureWith(With({"--device", "ascend", "--engine", "fused"})) ==
        "2 --engine: found fused for ascend, expected mindspore (see --help)");
  CHECK(FailureWith(With({"--device", "ascend", "--amp", "bfloat16"})) ==
        "2 --amp: found bfloat16 with the engine mindspore, expected none (see --help)");
  CHECK(Contains(FailureWith(With({"--amp", "float16"})), "--amp: found 'float16', expected none or bfloat16"));
}

TEST_CASE("an index takes the place of the inputs") {
  const Options options = ParseOptions({"--model", "m", "--index", "O/index.json", "--output", "R"});
  CHECK(options.index_path == "O/index.json");
  CHECK(options.inputs.empty());
}

TEST_CASE("help and version need nothing else") {
  CHECK(ParseOptions({"--help"}).show_help);
  CHECK(ParseOptions({"--version"}).show_version);
}

TEST_CASE("wrong options are told in a line") {
  CHECK(FailureWith(With({"--speed", "2"})) == "2 found '--speed', which is no option of this program (see --help)");
  CHECK(FailureWith(With({"talk.wav"})) == "2 found 'talk.wav', which is no option of this program (see --help)");
  CHECK(FailureWith(With({"--threads"})) == "2 --threads: found no value after it, expected one (see --help)");
  CHECK(FailureWith(With({"--threads="})) == "2 --threads: found an empty value (see --help)");
  CHECK(FailureWith(With({"--threads", "two"})) ==
        "2 --threads: found 'two', expected a whole number from 1 to 4096 (see --help)");
  CHECK(Contains(FailureWith(With({"--threads", "2x"})), "found '2x'"));
  CHECK(Contains(FailureWith(With({"--threads", "0"})), "found '0'"));
  CHECK(Contains(FailureWith(With({"--batch", "-1"})), "found '-1'"));
  CHECK(Contains(FailureWith(With({"--batch", "99999999999"})), "found '99999999999'"));
  CHECK(FailureWith(With({"--device", "gpu"})) == "2 --device: found 'gpu', expected cpu or ascend (see --help)");
}

TEST_CASE("what belongs together must be there, what does not must not") {
  CHECK(Contains(FailureWith({}), "2 --model is missing"));
  CHECK(Contains(FailureWith({"--model", "m", "--output", "o"}), "2 --input or --index is missing"));
  CHECK(Contains(FailureWith({"--model", "m", "--input", "i"}), "2 --output is missing"));
  CHECK(Contains(FailureWith(With({"--index", "index.json"})), "2 found --input and --index"));
}

TEST_CASE("the help text tells the defaults") {
  CHECK(Contains(Usage(), "cpu or ascend (cpu)"));
  CHECK(Contains(Usage(), "which Ascend device (0)"));
}

}  // namespace
}  // namespace gdprnn
