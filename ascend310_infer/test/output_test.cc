// Where outputs go: planned names, the hidden folder, files.
#include <doctest/doctest.h>
#include <unistd.h>

#include "hidden_folder.h"
#include "output_file.h"
#include "test_folder.h"
#include "wav_mode.h"

namespace {

int num_syncs = 0;

}  // namespace

// Takes the place of the C library's in this program.
extern "C" int fsync(int) {
  ++num_syncs;
  return 0;
}

namespace gdprnn {
namespace {

namespace fs = std::filesystem;

TEST_CASE("the hidden folder goes with all that is in it, and what was put in place stays") {
  const TestFolder folder;
  std::string hidden_path;
  {
    const HiddenFolder hidden(folder.PathOf("."));
    hidden_path = hidden.path();
    OutputFile file(hidden_path + "/a", "a");
    file.Write("12");
    file.WriteAt(4, "56", 2);
    file.Write("34");
    file.Close();
    OutputFile(hidden_path + "/b", "b").Write("unfinished");
    PutInPlace({{hidden_path + "/a", folder.PathOf("a")}});
  }
  CHECK_FALSE(fs::exists(hidden_path));
  CHECK(ReadBytes(folder.PathOf("a")) == "123456");
}

TEST_CASE("hidden folders of programs that are no more are removed, those of others not") {
  const TestFolder folder;
  const std::string leftover = folder.PathOf(std::string(kHiddenPrefix) + "abcdef");
  fs::create_directory(leftover);
  std::ofstream(leftover + "/half") << "half";
  fs::create_directory(folder.PathOf(".separating-abcdef"));  // of separate.py
  const HiddenFolder hidden(folder.PathOf("."));
  MakeOutputFolder(folder.PathOf("."));
  CHECK_FALSE(fs::exists(leftover));
  CHECK(fs::exists(hidden.path()));
  CHECK(fs::exists(folder.PathOf(".separating-abcdef")));
}

TEST_CASE("a file is on the disk before it gets its name") {
  const TestFolder folder;
  num_syncs = 0;
  OutputFile file(folder.PathOf("a"), "a");
  file.Write("1");
  CHECK(num_syncs == 0);
  file.Close();
  CHECK(num_syncs == 1);
}

TEST_CASE("what cannot be written is told") {
  const TestFolder folder;
  const std::string file = folder.Write("file", "");
  CHECK(Contains(FailureOf([&] { MakeOutputFolder(file); }), "6 " + file + ": cannot be made"));
  CHECK(Contains(FailureOf([&] { MakeOutputFolder(file + "/below"); }), "6 " + file + "/below: cannot be made"));
  CHECK(Contains(FailureOf([&] { HiddenFolder{file}; }), "6 " + file + ": cannot be written to (Not a directory)"));
  CHECK(FailureOf([&] { PutInPlace({{folder.PathOf("none"), "to"}}); }) ==
        "6 to: cannot be written (No such file or directory)");
  CHECK(FailureOf([&] { OutputFile(file, "name"); }) == "6 name: cannot be written (File exists)");
}

TEST_CASE("each input has its outputs") {
  const auto plan = PlanOutputs({"in/talk.flac", "in/a.b.wav"}, "out", 2);
  CHECK(plan[0].outputs == std::vector<std::string>{"talk_s1.wav", "talk_s2.wav"});
  CHECK(plan[1].outputs == std::vector<std::string>{"a.b_s1.wav", "a.b_s2.wav"});
}

TEST_CASE("no output is an input, another's output or a folder") {
  const TestFolder folder;
  const std::string out = folder.PathOf("");
  const std::string talk = folder.Write("talk.wav", "");
  const std::string track = folder.Write("talk_s1.wav", "");
  CHECK(Contains(FailureOf([&] { PlanOutputs({talk, track}, out, 2); }), "2 " + talk + ": its output " + track + " is"));
  fs::create_symlink(track, folder.PathOf("link.wav"));
  CHECK(Contains(FailureOf([&] { PlanOutputs({talk, folder.PathOf("link.wav")}, out, 2); }), "is an input too"));
  CHECK(Contains(FailureOf([&] { PlanOutputs({talk, "other/talk.flac"}, out, 2); }), "is also that of " + talk));
  const std::string longest(255 - 7, 'a');  // with _s1.wav a file can just have it
  CHECK(PlanOutputs({longest + ".wav"}, out, 2).size() == 1);
  CHECK(Contains(FailureOf([&] { PlanOutputs({"in/" + longest + "b.wav"}, out, 2); }),
                 "b_s1.wav has a name of 256 bytes, expected at most 255"));
  fs::create_directory(folder.PathOf("more_s2.wav"));
  CHECK(Contains(FailureOf([&] { PlanOutputs({"more.wav"}, out, 2); }), "is a folder, expected none of that name"));
}

}  // namespace
}  // namespace gdprnn
