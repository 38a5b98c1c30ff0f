// How far the program is, on a terminal.
#ifndef GDPRNN_PROGRESS_H_
#define GDPRNN_PROGRESS_H_

#include <chrono>
#include <string>

namespace gdprnn {

// "name: rest" in less than `columns` of a terminal, so that it stays one line: of a long name the end.
std::string FitLine(const std::string& name, const std::string& rest, size_t columns);

// One line on standard error that is written again and again; nothing where that is no terminal.
class Progress {
 public:
  explicit Progress(std::string name);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Seconds of audio that a stage is through with since the last call, and in all (less than 0: not known).
  void Advance(const std::string& stage, double seconds, double total);

  // Takes the line from the screen.
  void Clear();

 private:
  void Show();

  std::string name_;
  bool is_shown_;  // whether there is a terminal
  bool is_on_screen_ = false;
  std::string stage_;
  double done_ = 0;
  double total_ = 0;
  std::chrono::steady_clock::time_point began_;
  std::chrono::steady_clock::time_point shown_;
};

}  // namespace gdprnn

#endif  // GDPRNN_PROGRESS_H_
