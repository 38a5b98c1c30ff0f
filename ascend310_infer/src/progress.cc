#include "progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "text.h"

namespace gdprnn {
namespace {

constexpr std::chrono::milliseconds kInterval{100};
constexpr char kErase[] = "\r\033[K";
constexpr size_t kUsualColumns = 80;
constexpr char kCut[] = "...";

size_t TerminalColumns() {
  winsize size{};
  const bool is_known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return is_known ? size.ws_col : kUsualColumns;
}

}  // namespace

// Letters count as many columns as they have bytes, which is never too few.
std::string FitLine(const std::string& name, const std::string& rest, size_t columns) {
  const std::string whole = name + ": " + rest;
  const size_t room = columns - 1;  // in the last column some terminals begin the next line
  if (whole.size() <= room) return whole;
  if (rest.size() + sizeof kCut >= room) return rest.substr(0, room);
  size_t start = whole.size() - (room - (sizeof kCut - 1));
  while (start < name.size() && (static_cast<unsigned char>(name[start]) & 0xC0) == 0x80) ++start;  // within a letter
  return kCut + whole.substr(start);
}

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
  std::string line = stage_ + " ";
  if (total_ > 0) {
    line += Format("%3.0f%% %.0f/%.0f s of audio", 100 * std::min(1.0, done_ / total_), std::min(done_, total_), total_);
  } else {
    line += Format("%.0f s of audio", done_);
  }
  line += Format(" (%.2f x real time)", elapsed / std::max(done_, 1e-9));
  std::fprintf(stderr, "%s%s", kErase, FitLine(name_, line, TerminalColumns()).c_str());
  is_on_screen_ = true;
}

void Progress::Clear() {
  if (!is_on_screen_) return;
  std::fputs(kErase, stderr);
  is_on_screen_ = false;
}

}  // namespace gdprnn
