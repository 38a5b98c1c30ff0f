// The line that tells how far the program is.
#include "progress.h"

#include <doctest/doctest.h>

namespace gdprnn {
namespace {

TEST_CASE("a line is shorter than the terminal is wide") {
  CHECK(FitLine("talk.wav", "reading 5%", 80) == "talk.wav: reading 5%");
  CHECK(FitLine("talk.wav", "reading 5%", 21) == "talk.wav: reading 5%");
  CHECK(FitLine("talk.wav", "reading 5%", 20) == "....wav: reading 5%");
  CHECK(FitLine("talk.wav", "reading 5%", 11) == "reading 5%");
  CHECK(FitLine("talk.wav", "reading 5%", 5) == "read");
  CHECK(FitLine("talk.wav", "reading 5%", 1).empty());
}

TEST_CASE("no letter is cut") {
  CHECK(FitLine("\xc3\xa4\xc3\xa4\xc3\xa4.wav", "reading 5%", 22) == "...\xc3\xa4.wav: reading 5%");
  CHECK(FitLine("\xc3\xa4\xc3\xa4\xc3\xa4.wav", "reading 5%", 21) == "....wav: reading 5%");
}

}  // namespace
}  // namespace gdprnn
