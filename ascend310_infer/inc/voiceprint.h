// Who is heard in a track; as src/stitching/voiceprint.py, where the model is explained.
//
// Letters in shapes: C speakers, T samples, F frames, D features.
#ifndef GDPRNN_VOICEPRINT_H_
#define GDPRNN_VOICEPRINT_H_

#include <Eigen/Core>
#include <cstdint>
#include <vector>

#include "assignment.h"
#include "power_spectrum.h"
#include "tracks.h"

namespace gdprnn {

// What is heard in each track of a chunk.
struct Voices {
  Eigen::VectorXd precisions;  // [C]: one over the variance of the mean in every direction; 0: nothing is heard
  Eigen::MatrixXd means;       // [C, D]

  // The voices in another order.
  Voices Of(const Order& order) const;
};

// Hears the tracks of chunks, and learns what a recording's frames have in common.
class Listener {
 public:
  // `sample_rate` in Hz; `mean_power` is the recording's mean square.
  Listener(int sample_rate, double mean_power);

  // From a chunk's mixture [T] and tracks [C, T] the means of its voices, not comparable yet.
  Voices Hear(const float* mixture, const TracksView& tracks);

  // The same, centered and whitened with all that was heard.
  std::vector<Voices> Comparable(std::vector<Voices> voices) const;

 private:
  std::vector<Eigen::MatrixXd> HeardFrames(const float* mixture, const TracksView& tracks);
  bool IsSpeech(const float* frame) const;
  Eigen::VectorXd Features(const Eigen::VectorXd& powers) const;
  void Learn(const Eigen::MatrixXd& features, const Eigen::VectorXd& mean);

  Eigen::Index frame_;  // in samples
  Eigen::Index hop_;
  PowerSpectrum spectrum_;
  Eigen::MatrixXd bands_;    // [bands, frame / 2 + 1]
  Eigen::MatrixXd cosines_;  // [D, bands]
  double least_power_;
  Eigen::MatrixXd scatter_;  // [D, D], of frames around the mean of their track and chunk
  int64_t freedom_ = 0;
  Eigen::VectorXd sum_;  // [D]
  int64_t count_ = 0;
};

// Triangular bands over the bins of a frame's spectrum, evenly spaced on the mel scale: [bands, frame / 2 + 1].
//
// Where the rate is low the highest band ends just below half of it, and bands that no bin falls into are left out.
// The mel scale is O'Shaughnessy's (1987): 2595 log10(1 + f / 700 Hz).
Eigen::MatrixXd MelBands(int sample_rate, Eigen::Index frame);

// What is known of the speakers' voices.
struct SpeakerModel {
  Eigen::VectorXd precisions;  // [C], summed over the chunks
  Eigen::MatrixXd weighted;    // [C, D], means times precisions, summed

  // As many speakers as there are voices, of whom nothing was heard.
  static SpeakerModel Like(const Voices& voices);

  // When these, one of each speaker, are heard too, or as if they had not been heard.
  void Add(const Voices& voices);
  void Remove(const Voices& voices);

  // [C, C]: voice d being speaker c's, against its being anybody's; 0 where either is unheard.
  Eigen::MatrixXd LogLikelihoodRatios(const Voices& voices) const;

  // [C, C]: all that was heard of speaker c here and of speaker d there, being one person's.
  Eigen::MatrixXd JointLogLikelihoods(const SpeakerModel& other) const;
};

}  // namespace gdprnn

#endif  // GDPRNN_VOICEPRINT_H_
