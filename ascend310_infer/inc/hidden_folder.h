// Files that appear together when all of them are done: they are made in a hidden folder and then moved.
#ifndef GDPRNN_HIDDEN_FOLDER_H_
#define GDPRNN_HIDDEN_FOLDER_H_

#include <string>
#include <vector>

namespace gdprnn {

// Makes a folder for outputs if it is missing, before the work that fills it, and removes from it the hidden folders of
// programs that were killed.
// Raises Failure(kOutput): it cannot be made, or files cannot be written there.
void MakeOutputFolder(const std::string& path);

// Keeps other runs out of a folder for as long as this process lives: all of them, or only those that want it `alone`.
// Raises Failure(kOutput): another one is there.
void LockFolder(const std::string& path, bool alone);

constexpr char kHiddenPrefix[] = ".gdprnn_infer-";  // of the names of hidden folders

// A temporary folder, which is gone afterwards, whatever ended that. At most one at a time. It is locked for as long as
// this process lives, which tells others that it is no leftover.
class HiddenFolder {
 public:
  // Raises Failure(kOutput): it cannot be made in `parent`.
  explicit HiddenFolder(const std::string& parent);
  ~HiddenFolder();
  HiddenFolder(const HiddenFolder&) = delete;
  HiddenFolder& operator=(const HiddenFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int lock_ = -1;
};

// A file that is ready, and where it shall be.
struct Placement {
  std::string from;
  std::string to;
};

// Gives files their final paths; an interrupt waits until all have them. Raises Failure(kOutput) if one cannot.
void PutInPlace(const std::vector<Placement>& placements);

}  // namespace gdprnn

#endif  // GDPRNN_HIDDEN_FOLDER_H_
