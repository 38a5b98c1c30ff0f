// The gated block: input + output(values * gates, input), values and gates each the projection of a bidirectional LSTM.
#ifndef GDPRNN_KERNELS_FORWARD_H_
#define GDPRNN_KERNELS_FORWARD_H_

#include <vector>

#include "block.h"
#include "products.h"
#include "team.h"
#include "workspace.h"

namespace gdprnn {

// The weights in panels.
struct ForwardWeights {
  std::vector<Panels> gates;                    // of a stream: 4H from N and H
  std::vector<std::vector<float>> gate_biases;  // of a stream
  std::vector<Panels> projections;              // of an LSTM: N from 2H
  std::vector<std::vector<float>> projection_biases;
  Panels output;  // N from 2N
  std::vector<float> output_bias;

  ForwardWeights(const Sizes& sizes, const Weights<const float>& weights);
};

inline std::vector<float> Padded(const float* values, int count, int rows) {
  std::vector<float> padded(values, values + count);
  padded.resize(rows);
  return padded;
}

inline ForwardWeights::ForwardWeights(const Sizes& sizes, const Weights<const float>& weights)
    : output(sizes.channels, 2 * sizes.channels,
             [&](int row, int column) { return weights.output[row * 2 * sizes.channels + column]; }),
      output_bias(Padded(weights.output_bias, sizes.channels, sizes.channel_rows())) {
  const int gate_count = kGates * sizes.hidden;
  for (int lstm = 0; lstm < kLstms; ++lstm) {
    for (int direction = 0; direction < kDirections; ++direction) {
      const int64_t first = static_cast<int64_t>(direction) * gate_count;
      const float* ih = weights.lstm[lstm].ih + first * sizes.channels;
      const float* hh = weights.lstm[lstm].hh + first * sizes.hidden;
      gates.emplace_back(gate_count, sizes.channels + sizes.hidden, [&](int row, int column) {
        return column < sizes.channels ? ih[static_cast<int64_t>(row) * sizes.channels + column]
                                       : hh[static_cast<int64_t>(row) * sizes.hidden + column - sizes.channels];
      });
      std::vector<float> bias = Padded(weights.lstm[lstm].bias_ih + first, gate_count, sizes.gate_rows());
      for (int row = 0; row < gate_count; ++row) bias[row] += weights.lstm[lstm].bias_hh[first + row];
      gate_biases.push_back(std::move(bias));
    }
    const float* projection = weights.projection[lstm];
    projections.emplace_back(sizes.channels, 2 * sizes.hidden, [&](int row, int column) {
      return projection[row * 2 * sizes.hidden + column];
    });
    projection_biases.push_back(Padded(weights.projection_bias[lstm], sizes.channels, sizes.channel_rows()));
  }
}

// Gates before their functions -> gates after them, in place; cells [H][kLanes] from those of the step before; the output.
inline void Activate(int hidden, float* gates, const float* cells_before, float* cells, float* outputs) {
  const int values = hidden * kLanes;
  for (int place = 0; place < values; place += kWidth) {
    const Vector entry = Sigmoid(Load(gates + place));
    const Vector forget = Sigmoid(Load(gates + values + place));
    const Vector candidate = Tanh(Load(gates + 2 * values + place));
    const Vector out = Sigmoid(Load(gates + 3 * values + place));
    const Vector cell = forget * Load(cells_before + place) + entry * candidate;
    Store(gates + place, entry);
    Store(gates + values + place, forget);
    Store(gates + 2 * values + place, candidate);
    Store(gates + 3 * values + place, out);
    Store(cells + place, cell);
    Store(outputs + place, out * Tanh(cell));
  }
}

// One stream over a group. Each of `gates` and `cells` holds all steps where `keeps`, else one.
inline void RunStream(const Sizes& sizes, const ForwardWeights& weights, int stream, const float* columns, float* gates,
                      float* cells, bool keeps, float* hidden, const float* zeros) {
  const int direction = stream % kDirections;
  const int64_t gate_step = keeps ? static_cast<int64_t>(sizes.gate_rows()) * kLanes : 0;
  const int64_t cell_step = keeps ? static_cast<int64_t>(sizes.hidden) * kLanes : 0;
  const int64_t hidden_step = static_cast<int64_t>(2 * sizes.hidden) * kLanes;
  hidden += static_cast<int64_t>(direction * sizes.hidden) * kLanes;
  const float* cells_before = zeros;
  const float* hidden_before = zeros;
  for (int count = 0; count < sizes.steps; ++count) {
    const int step = direction == 0 ? count : sizes.steps - 1 - count;
    Multiply<Begin::kBias>(weights.gates[stream], columns + static_cast<int64_t>(step) * sizes.channels * kLanes,
                           sizes.channels, hidden_before, weights.gate_biases[stream].data(), gates + step * gate_step);
    Activate(sizes.hidden, gates + step * gate_step, cells_before, cells + step * cell_step,
             hidden + step * hidden_step);
    cells_before = cells + step * cell_step;
    hidden_before = hidden + step * hidden_step;
  }
}

// The block's output for one step, columns [channel rows][kLanes].
inline void Combine(const Sizes& sizes, const ForwardWeights& weights, const float* const hidden[kLstms],
                    const float* columns, float* const factors[kLstms], float* product, float* output) {
  for (int lstm = 0; lstm < kLstms; ++lstm) {
    Multiply<Begin::kBias>(weights.projections[lstm], hidden[lstm], 2 * sizes.hidden, nullptr,
                           weights.projection_biases[lstm].data(), factors[lstm]);
  }
  for (int place = 0; place < sizes.channels * kLanes; place += kWidth) {
    Store(product + place, Load(factors[0] + place) * Load(factors[1] + place));
  }
  Multiply<Begin::kBias>(weights.output, product, sizes.channels, columns, weights.output_bias.data(), output);
  for (int place = 0; place < sizes.channels * kLanes; place += kWidth) {
    Store(output + place, Load(output + place) + Load(columns + place));
  }
}

// How many groups are worked on together: as few as give all members of the team equally many streams.
inline int GroupsOfWave(const Sizes& sizes, int team_size) {
  int wave = 1;
  while (wave < sizes.groups() && wave * kStreams % team_size != 0) ++wave;
  return wave;
}

// input and result are tensors as `sizes` tells. `saved` is for the backward pass, or nullptr.
inline void RunForward(const Sizes& sizes, const Weights<const float>& given, const float* input, float* result,
                       float* saved, int team_size) {
  const ForwardWeights weights(sizes, given);
  const int wave = GroupsOfWave(sizes, team_size);
  const int64_t channel_floats = static_cast<int64_t>(sizes.channels) * kLanes;
  const int64_t hidden_floats = static_cast<int64_t>(2 * sizes.hidden) * kLanes;
  const int64_t row_floats = static_cast<int64_t>(sizes.channel_rows()) * kLanes;
  Workspace workspace;
  const int64_t columns_place = workspace.Plan(wave * sizes.steps * channel_floats);
  const int64_t zeros_place = workspace.Plan(hidden_floats);
  const int64_t hidden_place = workspace.Plan(saved ? 0 : wave * kLstms * sizes.steps * hidden_floats);
  const int64_t scratch = static_cast<int64_t>(sizes.gate_rows() + sizes.hidden + 4 * sizes.channel_rows()) * kLanes;
  const int64_t scratch_place = workspace.Plan(team_size * scratch);
  workspace.Make();
  float* const columns = workspace.At(columns_place);
  std::fill_n(workspace.At(zeros_place), hidden_floats, 0.0f);
  const auto hidden_of = [&](int place, int lstm) {
    return workspace.At(hidden_place) + (place * kLstms + lstm) * sizes.steps * hidden_floats;
  };

  Team team(team_size);
  team.Run([&](int member) {
    float* const own = workspace.At(scratch_place) + member * scratch;
    for (int first = 0; first < sizes.groups(); first += wave) {
      const int count = std::min(wave, sizes.groups() - first);
      const Range steps = team.Part(member, count * sizes.steps);
      for (int item = steps.begin; item < steps.end; ++item) {
        GatherColumns(sizes, input, first + item / sizes.steps, item % sizes.steps, columns + item * channel_floats);
      }
      team.Meet();
      const Range streams = team.Part(member, count * kStreams);
      for (int task = streams.begin; task < streams.end; ++task) {
        const int stream = task / count;
        const int place = task % count;
        const float* group_columns = columns + place * sizes.steps * channel_floats;
        if (saved) {
          const Saved parts = Saved::Of(sizes, saved, first + place);
          RunStream(sizes, weights, stream, group_columns, parts.gates[stream], parts.cells[stream], true,
                    parts.hidden[stream / kDirections], workspace.At(zeros_place));
        } else {
          RunStream(sizes, weights, stream, group_columns, own, own + sizes.gate_rows() * kLanes, false,
                    hidden_of(place, stream / kDirections), workspace.At(zeros_place));
        }
      }
      team.Meet();
      for (int item = steps.begin; item < steps.end; ++item) {
        const int place = item / sizes.steps;
        const int step = item % sizes.steps;
        const float* hidden[kLstms];
        float* factors[kLstms];
        for (int lstm = 0; lstm < kLstms; ++lstm) {
          const Saved parts = saved ? Saved::Of(sizes, saved, first + place) : Saved{};
          hidden[lstm] = (saved ? parts.hidden[lstm] : hidden_of(place, lstm)) + step * hidden_floats;
          factors[lstm] = saved ? parts.factors[lstm] + step * row_floats : own + (2 + lstm) * row_floats;
        }
        Combine(sizes, weights, hidden, columns + item * channel_floats, factors, own, own + row_floats);
        ScatterColumns(sizes, own + row_floats, first + place, step, result);
      }
      team.Meet();
    }
  });
}

}  // namespace gdprnn

#endif  // GDPRNN_KERNELS_FORWARD_H_
