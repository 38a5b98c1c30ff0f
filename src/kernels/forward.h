// The gated block: input + output(values * gates, input), values and gates each the projection of a bidirectional LSTM.
#ifndef GDPRNN_KERNELS_FORWARD_H_
#define GDPRNN_KERNELS_FORWARD_H_

#include <vector>

#include "block.h"
#include "team.h"
#include "workspace.h"

namespace gdprnn {

// The weights in panels, and the biases as products begin with them.
template <typename Math>
struct ForwardWeights {
  std::vector<typename Math::Panels> gates;  // of a stream: 4H from N and H
  std::vector<std::vector<float>> gate_biases;
  std::vector<typename Math::Panels> projections;  // of an LSTM: N from 2H
  std::vector<std::vector<float>> projection_biases;
  typename Math::Panels output;  // N from N and N
  std::vector<float> output_bias;

  ForwardWeights(const Sizes& sizes, const Weights<const float>& weights)
      : output(sizes.channels, sizes.channels, sizes.channels,
               [&](int row, int column) { return weights.output[row * 2 * sizes.channels + column]; }),
        output_bias(Spread({weights.output_bias, weights.output_bias + sizes.channels}, sizes.channel_rows())) {
    const int gate_count = kGates * sizes.hidden;
    for (int lstm = 0; lstm < kLstms; ++lstm) {
      for (int direction = 0; direction < kDirections; ++direction) {
        const int64_t first = static_cast<int64_t>(direction) * gate_count;
        const float* ih = weights.lstm[lstm].ih + first * sizes.channels;
        const float* hh = weights.lstm[lstm].hh + first * sizes.hidden;
        gates.emplace_back(gate_count, sizes.channels, sizes.hidden, [&](int row, int column) {
          return column < sizes.channels ? ih[static_cast<int64_t>(row) * sizes.channels + column]
                                         : hh[static_cast<int64_t>(row) * sizes.hidden + column - sizes.channels];
        });
        std::vector<float> bias(weights.lstm[lstm].bias_ih + first, weights.lstm[lstm].bias_ih + first + gate_count);
        for (int row = 0; row < gate_count; ++row) bias[row] += weights.lstm[lstm].bias_hh[first + row];
        gate_biases.push_back(Spread(bias, sizes.gate_rows()));
      }
      const float* projection = weights.projection[lstm];
      projections.emplace_back(sizes.channels, kDirections * sizes.hidden, 0, [&](int row, int column) {
        return projection[row * kDirections * sizes.hidden + column];
      });
      const float* bias = weights.projection_bias[lstm];
      projection_biases.push_back(Spread({bias, bias + sizes.channels}, sizes.channel_rows()));
    }
  }
};

// Gates [4H][kLanes] before their functions, and cells [H][kLanes] of the step before, which become this step's -> hidden
// states, and where they are not nullptr the gates after their functions and the cells.
template <typename Math>
void Activate(int hidden, const float* gates, float* cells, typename Math::Element* hidden_states,
              typename Math::Element* saved_gates, typename Math::Element* saved_cells) {
  for (int unit = 0; unit < hidden; unit += 2) {
    for (int lane = 0; lane < kLanes; lane += kWidth) {
      Vector after[kGates][2];
      Vector cell[2];
      Vector state[2];
      for (int odd = 0; odd < 2; ++odd) {
        const int place = (unit + odd) * kLanes + lane;
        const int gate = hidden * kLanes;
        after[0][odd] = Sigmoid(Load(gates + place));
        after[1][odd] = Sigmoid(Load(gates + gate + place));
        after[2][odd] = Tanh(Load(gates + 2 * gate + place));
        after[3][odd] = Sigmoid(Load(gates + 3 * gate + place));
        cell[odd] = after[1][odd] * Load(cells + place) + after[0][odd] * after[2][odd];
        Store(cells + place, cell[odd]);
        state[odd] = after[3][odd] * Tanh(cell[odd]);
      }
      Math::StorePair(hidden_states, unit, lane, state[0], state[1]);
      if (saved_gates == nullptr) continue;
      Math::StorePair(saved_cells, unit, lane, cell[0], cell[1]);
      for (int gate = 0; gate < kGates; ++gate) {
        Math::StorePair(saved_gates, gate * hidden + unit, lane, after[gate][0], after[gate][1]);
      }
    }
  }
}

// How many groups are worked on together: as few as leave members of the team idle for at most 15 % of their time,
// because each takes memory. src/models/costs.py counts on the same.
inline int GroupsOfWave(const Sizes& sizes, int team_size) {
  int wave = 1;
  while (wave < sizes.groups()) {
    const int turns = (wave * kStreams + team_size - 1) / team_size;
    if (100 * wave * kStreams >= 85 * turns * team_size) break;
    ++wave;
  }
  return wave;
}

template <typename Math>
class Forward {
 public:
  typedef typename Math::Element Element;

  // `saved` is for the backward pass, or nullptr.
  Forward(const Sizes& sizes, const Weights<const float>& given, float* saved, int team_size)
      : sizes_(sizes), weights_(sizes, given), saved_(saved), team_(team_size), wave_(GroupsOfWave(sizes, team_size)) {
    const int64_t steps = static_cast<int64_t>(wave_) * sizes.steps;
    columns_ = workspace_.Plan(steps * channel_floats());
    operands_ = workspace_.Plan(Math::kOperandIsFloat ? 0 : steps * Math::ElementsOf(sizes.channels));
    hidden_ = workspace_.Plan(saved ? 0 : kLstms * steps * hidden_elements());
    zeros_ = workspace_.Plan(Math::ElementsOf(sizes.hidden));
    scratch_floats_ = std::max((static_cast<int64_t>(sizes.gate_rows()) + sizes.hidden) * kLanes,
                               3 * channel_floats() + Math::ElementsOf(sizes.channels));
    scratch_ = workspace_.Plan(team_size * scratch_floats_);
    workspace_.Make();
    std::fill_n(workspace_.At(zeros_), Math::ElementsOf(sizes.hidden), 0.0f);
  }

  // input and result are tensors as the sizes tell.
  void Run(const float* input, float* result) {
    team_.Run([&](int member) {
      [[maybe_unused]] const typename Math::Thread thread{};
      float* own = workspace_.At(scratch_) + member * scratch_floats_;
      for (int first = 0; first < sizes_.groups(); first += wave_) {
        const int count = std::min(wave_, sizes_.groups() - first);
        const Range steps = team_.Part(member, count * sizes_.steps);
        for (int item = steps.begin; item < steps.end; ++item) {
          GatherColumns(sizes_, input, first + item / sizes_.steps, item % sizes_.steps, ColumnsOf(item));
          if (!Math::kOperandIsFloat) ToOperand(ColumnsOf(item), OperandOf(item));
        }
        team_.Meet();
        const Range streams = team_.Part(member, count * kStreams);
        for (int task = streams.begin; task < streams.end; ++task) {
          RunStream(task / count, first + task % count, task % count, own);
        }
        team_.Meet();
        for (int item = steps.begin; item < steps.end; ++item) {
          Combine(first + item / sizes_.steps, item, own, result);
        }
        team_.Meet();
      }
    });
  }

 private:
  int64_t channel_floats() const { return static_cast<int64_t>(sizes_.channel_rows()) * kLanes; }
  int64_t hidden_elements() const { return Math::ElementsOf(kDirections * sizes_.hidden); }
  // Of a step among those of the wave's groups.
  float* ColumnsOf(int item) const { return workspace_.At(columns_) + item * channel_floats(); }
  Element* OperandOf(int item) const {
    if (Math::kOperandIsFloat) return reinterpret_cast<Element*>(ColumnsOf(item));
    return reinterpret_cast<Element*>(workspace_.At(operands_)) +
           static_cast<int64_t>(item) * Math::ElementsOf(sizes_.channels);
  }
  // Of a group, which has this place in the wave: hidden states of all steps.
  Element* HiddenOf(int group, int place, int lstm) const {
    if (saved_) return Saved<Math>::Of(sizes_, saved_, group).hidden[lstm];
    return reinterpret_cast<Element*>(workspace_.At(hidden_)) +
           (static_cast<int64_t>(place) * kLstms + lstm) * sizes_.steps * hidden_elements();
  }

  void ToOperand(const float* columns, Element* operand) const {
    for (int channel = 0; channel < sizes_.channels; channel += 2) {
      for (int lane = 0; lane < kLanes; lane += kWidth) {
        const float* from = columns + channel * kLanes + lane;
        Math::StorePair(operand, channel, lane, Load(from), Load(from + kLanes));
      }
    }
  }

  void RunStream(int stream, int group, int place, float* own) const {
    const int direction = stream % kDirections;
    Element* const hidden = HiddenOf(group, place, stream / kDirections) + direction * HalfHidden();
    const Saved<Math> saved = saved_ ? Saved<Math>::Of(sizes_, saved_, group) : Saved<Math>{};
    const int gate_elements = Math::ElementsOf(kGates * sizes_.hidden);
    const int cell_elements = Math::ElementsOf(sizes_.hidden);
    float* const cells = own + static_cast<int64_t>(sizes_.gate_rows()) * kLanes;
    std::fill_n(cells, sizes_.hidden * kLanes, 0.0f);
    const Element* before = reinterpret_cast<const Element*>(workspace_.At(zeros_));
    for (int count = 0; count < sizes_.steps; ++count) {
      const int64_t step = direction == 0 ? count : sizes_.steps - 1 - count;
      weights_.gates[stream].Multiply(OperandOf(place * sizes_.steps + static_cast<int>(step)), before,
                                      weights_.gate_biases[stream].data(), own);
      Activate<Math>(sizes_.hidden, own, cells, hidden + step * hidden_elements(),
                     saved_ ? saved.gates[stream] + step * gate_elements : nullptr,
                     saved_ ? saved.cells[stream] + step * cell_elements : nullptr);
      before = hidden + step * hidden_elements();
    }
  }
  // From the states of one direction to those of the other.
  int64_t HalfHidden() const { return static_cast<int64_t>(sizes_.hidden) * kLanes / Math::kFeaturesOfElement; }

  // The block's output for one step of a group.
  void Combine(int group, int item, float* own, float* result) const {
    const int64_t step = item % sizes_.steps;
    float* const factors[kLstms] = {own, own + channel_floats()};
    float* const output = own + 2 * channel_floats();
    Element* const product = reinterpret_cast<Element*>(own + 3 * channel_floats());
    for (int lstm = 0; lstm < kLstms; ++lstm) {
      weights_.projections[lstm].Multiply(HiddenOf(group, item / sizes_.steps, lstm) + step * hidden_elements(),
                                          nullptr, weights_.projection_biases[lstm].data(), factors[lstm]);
    }
    const Saved<Math> saved = saved_ ? Saved<Math>::Of(sizes_, saved_, group) : Saved<Math>{};
    const int64_t saved_step = step * Math::ElementsOf(sizes_.channels);
    for (int channel = 0; channel < sizes_.channels; channel += 2) {
      for (int lane = 0; lane < kLanes; lane += kWidth) {
        const int place = channel * kLanes + lane;
        const Vector values[2] = {Load(factors[0] + place), Load(factors[0] + place + kLanes)};
        const Vector gates[2] = {Load(factors[1] + place), Load(factors[1] + place + kLanes)};
        Math::StorePair(product, channel, lane, values[0] * gates[0], values[1] * gates[1]);
        if (!saved_) continue;
        Math::StorePair(saved.factors[0] + saved_step, channel, lane, values[0], values[1]);
        Math::StorePair(saved.factors[1] + saved_step, channel, lane, gates[0], gates[1]);
      }
    }
    weights_.output.Multiply(product, OperandOf(item), weights_.output_bias.data(), output);
    const float* columns = ColumnsOf(item);
    for (int place = 0; place < sizes_.channels * kLanes; place += kWidth) {
      Store(output + place, Load(output + place) + Load(columns + place));
    }
    ScatterColumns(sizes_, output, group, static_cast<int>(step), result);
  }

  Sizes sizes_;
  ForwardWeights<Math> weights_;
  float* saved_;
  Team team_;
  int wave_;
  Workspace workspace_;
  int64_t columns_, operands_, hidden_, zeros_, scratch_, scratch_floats_;
};

}  // namespace gdprnn

#endif  // GDPRNN_KERNELS_FORWARD_H_
