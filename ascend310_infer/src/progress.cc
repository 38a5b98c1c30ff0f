#include "progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "text.h"

namespace gdprnn {
namespace {

constexpr std::chrono::milliseconds kInterval{100};
constexpr char kErase[] = "\r\033[K";

}  // namespace

Progress::Progress(std::string name) : name_(std::move(name)), is_shown_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  Clear();
}

void Progress::Advance(const std::string& stage, double seconds, double total) {
  const auto now = std::chrono::steady_clock::now();
  if (stage != stage_ || (total_ >= 0 && done_ >= total_)) {  // another stage, or the same once more
    stage_ = stage;
    done_ = 0;
    began_ = now;
  }
  done_ += seconds;
  total_ = total;
  if (is_shown_ && (!is_on_screen_ || now - shown_ >= kInterval)) {
    shown_ = now;
    Show();
  }
}

void Progress::Show() {
  const double elapsed = std::chrono::duration<double>(shown_ - began_).count();
  std::string line = name_ + ": " + stage_ + " ";
  if (total_ > 0) {
    line += Format("%3.0f%% %.0f/%.0f s of audio", 100 * std::min(1.0, done_ / total_), std::min(done_, total_), total_);
  } else {
    line += Format("%.0f s of audio", done_);
  }
  line += Format(" (%.2f x real time)", elapsed / std::max(done_, 1e-9));
  std::fprintf(stderr, "%s%s", kErase, line.c_str());
  is_on_screen_ = true;
}

void Progress::Clear() {
  if (!is_on_screen_) return;
  std::fputs(kErase, stderr);
  is_on_screen_ = false;
}

}  // namespace gdprnn
