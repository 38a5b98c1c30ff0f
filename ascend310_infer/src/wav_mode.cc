#include "wav_mode.h"

#include <chrono>
#include <climits>
#include <cstdio>
#include <filesystem>
#include <map>

#include "failure.h"
#include "hidden_folder.h"
#include "named_failure.h"
#include "passes.h"
#include "progress.h"
#include "text.h"

namespace gdprnn {
namespace {

namespace fs = std::filesystem;

// Without links; the path itself where that cannot be told.
std::string Real(const fs::path& path) {
  std::error_code error;
  const fs::path real = fs::weakly_canonical(fs::absolute(path, error), error);
  return error ? path.string() : real.string();
}

// Where a file of this path would be written: through links to folders, but not through one to a file.
std::string Place(const fs::path& path) {
  return Real(path.has_parent_path() ? path.parent_path() : ".") + "/" + path.filename().string();
}

void TellRemarks(const std::string& name, const InputReport& report, const Separation& separation,
                 std::set<std::string>* told) {
  for (const std::string& line : FindWarnings(report, separation.sample_rate, separation.kernel_size)) {
    std::fprintf(stderr, "warning: %s: %s\n", name.c_str(), line.c_str());
  }
  for (const std::string& line : FindNotes(report, separation.sample_rate)) {
    if (told->insert(line).second) std::fprintf(stderr, "note: %s: %s\n", name.c_str(), line.c_str());
  }
}

std::vector<Placement> Placements(const PlannedInput& planned, const std::string& folder,
                                  const std::string& output_dir) {
  std::vector<Placement> placements;
  for (const std::string& output : planned.outputs) {
    placements.push_back({folder + "/" + output, (fs::path(output_dir) / output).string()});
  }
  return placements;
}

// Passes 0 to 2, with all files in `folder`; returns the format of each track.
std::vector<SampleFormat> SeparateInto(const std::vector<Placement>& placements, const PlannedInput& planned,
                                       const std::string& folder, const Separation& separation, Progress* progress,
                                       std::set<std::string>* told, InputReport* report) {
  const OnProgress on_progress = [&](const char* stage, double seconds, double total) {
    progress->Advance(stage, seconds, total);
  };
  SampleFile tracks(folder, separation.num_speakers);
  const std::vector<double> gains = WithName(planned.path, [&] {
    SampleFile mixture(folder);
    *report = ReadMixture(planned.path, separation.sample_rate, on_progress, &mixture);
    progress->Clear();
    TellRemarks(planned.path, *report, separation, told);
    return SeparateMixture(mixture, separation, folder, on_progress, &tracks);
  });
  const MakeBlocks make_blocks = [&](const BlockSink& sink) {
    ScaleTracks(tracks, gains, separation.sample_rate, *report, on_progress, sink);
  };
  return WriteTracks(placements, ChooseFormat(report->format), make_blocks, report->num_samples, report->sample_rate);
}

void TellResult(const PlannedInput& planned, const std::vector<Placement>& placements, const InputReport& report,
                double wall_seconds) {
  std::string files;
  for (const Placement& placement : placements) files += (files.empty() ? "" : ", ") + placement.to;
  std::printf("%s -> %s  (%.1f s of audio, %.2f x real time)\n", planned.path.c_str(), files.c_str(), report.seconds(),
              wall_seconds / report.seconds());
  std::fflush(stdout);
}

}  // namespace

std::vector<PlannedInput> PlanOutputs(const std::vector<std::string>& inputs, const std::string& output_dir,
                                      int num_speakers) {
  std::set<std::string> taken;
  for (const std::string& input : inputs) taken.insert({Real(input), Place(input)});
  std::map<std::string, std::string> owners;  // of the outputs
  std::vector<PlannedInput> plan;
  for (const std::string& input : inputs) {
    PlannedInput planned{input, {}};
    for (int number = 1; number <= num_speakers; ++number) {
      const std::string output = fs::path(input).stem().string() + "_s" + std::to_string(number) + ".wav";
      const fs::path path = fs::path(output_dir) / output;
      if (taken.count(Real(path)) + taken.count(Place(path)) > 0) {
        throw Failure(kOptions, input + ": its output " + path.string() + " is an input too, expected another --output");
      }
      const auto [owner, is_new] = owners.emplace(Place(path), input);
      if (!is_new) {
        throw Failure(kOptions, input + ": its output " + path.string() + " is also that of " + owner->second +
                                    ", expected different names");
      }
      if (output.size() > NAME_MAX) {
        throw Failure(kOptions, Format("%s: its output %s has a name of %zu bytes, expected at most %d", input.c_str(),
                                       output.c_str(), output.size(), NAME_MAX));
      }
      std::error_code error;
      if (fs::is_directory(path, error)) {
        throw Failure(kOptions, input + ": its output " + path.string() + " is a folder, expected none of that name");
      }
      planned.outputs.push_back(output);
    }
    plan.push_back(planned);
  }
  return plan;
}

void SeparateFile(const PlannedInput& planned, const std::string& output_dir, const Separation& separation,
                  std::set<std::string>* told) {
  const auto began = std::chrono::steady_clock::now();
  const HiddenFolder folder(output_dir);
  const std::vector<Placement> placements = Placements(planned, folder.path(), output_dir);
  InputReport report;
  Progress progress(planned.path);
  const std::vector<SampleFormat> formats =
      SeparateInto(placements, planned, folder.path(), separation, &progress, told, &report);
  PutInPlace(placements);
  progress.Clear();
  for (size_t place = 0; place < formats.size(); ++place) {
    if (formats[place] != ChooseFormat(report.format)) {
      std::fprintf(stderr, "note: %s: goes beyond full scale, so it is written as 32-bit float wav\n",
                   placements[place].to.c_str());
    }
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - began;
  TellResult(planned, placements, report, elapsed.count());
}

}  // namespace gdprnn
