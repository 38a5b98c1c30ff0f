// A file that is written once.
#ifndef GDPRNN_OUTPUT_FILE_H_
#define GDPRNN_OUTPUT_FILE_H_

#include <cstdint>
#include <string>

namespace gdprnn {

class OutputFile {
 public:
  // Makes the file at `path`, where there must be none; errors tell it as `name`, its path in the end.
  // Raises Failure(kOutput), as all others do: it cannot be written.
  OutputFile(const std::string& path, std::string name);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  // After what was written before.
  void Write(const void* bytes, size_t num_bytes);
  void Write(const std::string& bytes) { Write(bytes.data(), bytes.size()); }

  // At a place of the file, wherever the others wrote.
  void WriteAt(int64_t place, const void* bytes, size_t num_bytes);

  // Waits until the disk has it, so that a file which then gets its name is whole after a power failure too. Some file
  // systems tell only now that there was no room.
  void Close();

 private:
  [[noreturn]] void Refuse(const std::string& reason) const;

  std::string name_;
  int descriptor_;
  int64_t length_ = 0;  // of what Write has written
};

}  // namespace gdprnn

#endif  // GDPRNN_OUTPUT_FILE_H_
