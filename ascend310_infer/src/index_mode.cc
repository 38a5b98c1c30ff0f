#include "index_mode.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <iterator>
#include <mutex>
#include <nlohmann/json.hpp>

#include "failure.h"
#include "hidden_folder.h"
#include "output_file.h"
#include "progress.h"
#include "text.h"

namespace gdprnn {
namespace {

namespace fs = std::filesystem;

constexpr char kMarker[] = ".gdprnn_infer.json";  // of what the outputs in a folder are made
constexpr char kIndexName[] = "index.json";

std::string MarkerText(const Index& index, const Description& description, const Options& options) {
  const nlohmann::ordered_json marker = {{"program", VersionLine()},
                                         {"device", NameOf(options.device)},
                                         {"engine", NameOf(options.engine)},
                                         {"bfloat16", options.use_bfloat16},
                                         {"model_sha256", description.sha256},
                                         {"index_sha256", index.sha256},
                                         {"chunk_samples", description.chunking.chunk_samples},
                                         {"overlap_samples", description.chunking.overlap_samples}};
  return marker.dump(1) + "\n";
}

std::string ReadIfThere(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
}

void Remove(const std::string& path) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    throw Failure(kOutput, path + ": cannot be removed (" + SystemReason(errno) + ")");
  }
}

// All outputs in a folder, those of inputs that there are no more included.
void RemoveOutputs(const std::string& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".bin" && entry.is_regular_file(error)) Remove(entry.path());
  }
}

// Writes a file in a hidden folder of `folder` and then gives it its name.
void WriteAside(const std::string& text, const std::string& hidden_folder, const std::string& path) {
  const std::string aside = hidden_folder + "/" + fs::path(path).filename().string();
  OutputFile file(aside, path);
  file.Write(text);
  file.Close();
  PutInPlace({{aside, path}});
}

}  // namespace

ResultFolder::ResultFolder(const Index& index, const Description& description, const Options& options)
    : path_(options.output_dir), num_speakers_(index.num_speakers) {
  MakeOutputFolder(path_);
  if (fs::equivalent(path_, index.folder)) {
    throw Failure(kOptions, path_ + ": found the folder of the inputs, expected another --output");
  }
  LockFolder(path_, true);  // two runs would mix their outputs
  const std::string marker = MarkerText(index, description, options);
  const std::string before = ReadIfThere(PathOf(kMarker));
  if (before != marker) {
    Remove(PathOf(kIndexName));
    if (!before.empty()) RemoveOutputs(path_);
    for (const IndexEntry& entry : index.entries) Remove(PathOf(entry.file));
    const HiddenFolder hidden(path_);
    WriteAside(marker, hidden.path(), PathOf(kMarker));
  }
}

bool ResultFolder::Has(const IndexEntry& entry) const {
  struct stat about;
  return stat(PathOf(entry.file).c_str(), &about) == 0 &&
         about.st_size == entry.num_samples * num_speakers_ * static_cast<int64_t>(sizeof(float));
}

namespace {

// The inputs that are still to be separated, given out one by one to several threads.
class Work {
 public:
  Work(const Index& index, const ResultFolder& results) : progress_(index.path) {
    for (const IndexEntry& entry : index.entries) {
      if (results.Has(entry)) continue;
      entries_.push_back(&entry);
      num_samples_ += entry.num_samples;
    }
    rate_ = index.sample_rate;
  }

  size_t num_inputs() const { return entries_.size(); }
  double seconds() const { return static_cast<double>(num_samples_) / rate_; }

  // The next input, or none.
  const IndexEntry* Next() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return next_ < entries_.size() ? entries_[next_++] : nullptr;
  }

  void Advance(int64_t num_samples) {
    const std::lock_guard<std::mutex> lock(mutex_);
    progress_.Advance("separating", static_cast<double>(num_samples) / rate_, seconds());
  }

  void Clear() { progress_.Clear(); }

  // After a failure: nothing more is given out.
  void Stop() {
    const std::lock_guard<std::mutex> lock(mutex_);
    next_ = entries_.size();
  }

 private:
  std::mutex mutex_;
  Progress progress_;
  std::vector<const IndexEntry*> entries_;
  size_t next_ = 0;
  int64_t num_samples_ = 0;
  double rate_ = 1;
};

// Writes [C, T] to the file `aside` from pieces [C, t].
void SeparateEntry(const Index& index, const IndexEntry& entry, const Description& description, int batch_size,
                   const SeparateBatch& separate, const std::string& scratch_dir, const Placement& placement,
                   const std::function<void(int64_t)>& on_progress) {
  const BinRecording recording(index.folder, entry);
  OutputFile output(placement.from, placement.to);
  int64_t done = 0;
  const auto take_piece = [&](const float* piece, int64_t num_samples) {
    for (int track = 0; track < description.num_speakers; ++track) {
      const int64_t place = track * entry.num_samples + done;
      output.WriteAt(place * static_cast<int64_t>(sizeof(float)), piece + track * num_samples,
                     static_cast<size_t>(num_samples) * sizeof(float));
    }
    done += num_samples;
  };
  SeparateInChunks(recording, separate, description.num_speakers, description.chunking, description.sample_rate,
                   batch_size, scratch_dir, on_progress, take_piece);
  output.Close();
  PutInPlace({placement});
}

void SeparateAll(const Index& index, const Description& description, const ResultFolder& results,
                 const std::string& hidden_folder, NetworkPool* pool, Work* work) {
  std::vector<std::future<void>> workers;  // they are waited for whatever happens
  for (size_t place = 0; place < pool->size(); ++place) {
    workers.push_back(std::async(std::launch::async, [&, separate = pool->UseOne(place)] {
      try {
        while (const IndexEntry* entry = work->Next()) {
          const Placement placement{hidden_folder + "/" + entry->file, results.PathOf(entry->file)};
          SeparateEntry(index, *entry, description, pool->batch_each(), separate, hidden_folder, placement,
                        [&](int64_t num_samples) { work->Advance(num_samples); });
        }
      } catch (...) {
        work->Stop();
        throw;
      }
    }));
  }
  for (std::future<void>& worker : workers) worker.get();
}

void TellResult(const Index& index, const ResultFolder& results, const Work& work, double wall_seconds) {
  const size_t num_kept = index.entries.size() - work.num_inputs();
  std::string line = Format("%s -> %s  (%zu utterances", index.path.c_str(), results.PathOf(kIndexName).c_str(),
                            index.entries.size());
  if (num_kept > 0) line += Format(", %zu of them from before", num_kept);
  if (work.num_inputs() > 0) {
    line += Format(", %.1f s of audio, %.2f x real time", work.seconds(), wall_seconds / work.seconds());
  }
  std::printf("%s)\n", line.c_str());
  std::fflush(stdout);
}

}  // namespace

void SeparateIndex(const Index& index, const Description& description, const ResultFolder& results, NetworkPool* pool) {
  const auto began = std::chrono::steady_clock::now();
  Work work(index, results);
  {
    const HiddenFolder hidden(results.path());
    SeparateAll(index, description, results, hidden.path(), pool, &work);
    WriteAside(OutputIndexText(index, description), hidden.path(), results.PathOf(kIndexName));
  }
  work.Clear();
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - began;
  TellResult(index, results, work, elapsed.count());
}

}  // namespace gdprnn
