// The gradient of the gated block, from what its forward pass saved.
#ifndef GDPRNN_KERNELS_BACKWARD_H_
#define GDPRNN_KERNELS_BACKWARD_H_

#include <vector>

#include "block.h"
#include "forward.h"
#include "sums.h"
#include "team.h"
#include "workspace.h"

namespace gdprnn {

constexpr int kStepsTogether = 8;  // whose part of a weight's gradient is added at once

// Transposed weights in panels.
template <typename Math>
struct BackwardWeights {
  std::vector<typename Math::Panels> gates_to_input;   // of a stream: N from 4H
  std::vector<typename Math::Panels> gates_to_hidden;  // of a stream: H from 4H
  std::vector<typename Math::Panels> to_hidden;        // of an LSTM: 2H from N
  typename Math::Panels to_product;                    // N from N
  typename Math::Panels to_input;                      // N from N

  BackwardWeights(const Sizes& sizes, const Weights<const float>& weights)
      : to_product(sizes.channels, sizes.channels, 0,
                   [&](int row, int column) { return weights.output[column * 2 * sizes.channels + row]; }),
        to_input(sizes.channels, sizes.channels, 0, [&](int row, int column) {
          return weights.output[column * 2 * sizes.channels + sizes.channels + row];
        }) {
    const int gate_count = kGates * sizes.hidden;
    for (int lstm = 0; lstm < kLstms; ++lstm) {
      for (int direction = 0; direction < kDirections; ++direction) {
        const int64_t first = static_cast<int64_t>(direction) * gate_count;
        const float* ih = weights.lstm[lstm].ih + first * sizes.channels;
        const float* hh = weights.lstm[lstm].hh + first * sizes.hidden;
        gates_to_input.emplace_back(sizes.channels, gate_count, 0, [&](int row, int column) {
          return ih[static_cast<int64_t>(column) * sizes.channels + row];
        });
        gates_to_hidden.emplace_back(sizes.hidden, gate_count, 0, [&](int row, int column) {
          return hh[static_cast<int64_t>(column) * sizes.hidden + row];
        });
      }
      const float* projection = weights.projection[lstm];
      to_hidden.emplace_back(kDirections * sizes.hidden, sizes.channels, 0, [&](int row, int column) {
        return projection[column * kDirections * sizes.hidden + row];
      });
    }
  }
};

// The gradient of features, [features][kLanes], in the forms in which products take it.
template <typename Math>
struct FeatureGradient {
  typename Math::Element* operand;
  typename Math::Left* left;  // the same memory where an operand is float

  void StorePair(int feature, int lane, Vector first, Vector second) const {
    Math::StorePair(operand, feature, lane, first, second);
    Math::StoreLeft(left, feature, lane, first);
    Math::StoreLeft(left, feature + 1, lane, second);
  }
};

inline void AddTo(float* sums, Vector values) { Store(sums, Load(sums) + values); }

// Gradients of one step's gates before their functions from those of the hidden states, in two parts, and of the cells,
// which become those of the step before. They are also added to the bias's [4H][kLanes].
template <typename Math>
void ActivateBack(int hidden, const typename Math::Element* gates, const typename Math::Element* cells_before,
                  const typename Math::Element* cells, const float* outer_gradient, const float* recurrent_gradient,
                  float* cell_gradient, const FeatureGradient<Math>& gate_gradient, float* bias) {
  for (int unit = 0; unit < hidden; unit += 2) {
    for (int lane = 0; lane < kLanes; lane += kWidth) {
      Vector gate[kGates][2];
      Vector cell[2];
      Vector before[2];
      Vector result[kGates][2];
      for (int number = 0; number < kGates; ++number) {
        Math::LoadPair(gates, number * hidden + unit, lane, &gate[number][0], &gate[number][1]);
      }
      Math::LoadPair(cells, unit, lane, &cell[0], &cell[1]);
      Math::LoadPair(cells_before, unit, lane, &before[0], &before[1]);
      for (int odd = 0; odd < 2; ++odd) {
        const int place = (unit + odd) * kLanes + lane;
        const Vector squashed = Tanh(cell[odd]);
        const Vector entry = gate[0][odd], forget = gate[1][odd], candidate = gate[2][odd], out = gate[3][odd];
        const Vector state = Load(outer_gradient + place) + Load(recurrent_gradient + place);
        const Vector inner = Load(cell_gradient + place) + state * out * (1.0f - squashed * squashed);
        result[0][odd] = inner * candidate * entry * (1.0f - entry);
        result[1][odd] = inner * before[odd] * forget * (1.0f - forget);
        result[2][odd] = inner * entry * (1.0f - candidate * candidate);
        result[3][odd] = state * squashed * out * (1.0f - out);
        Store(cell_gradient + place, inner * forget);
        for (int number = 0; number < kGates; ++number) {
          AddTo(bias + number * hidden * kLanes + place, result[number][odd]);
        }
      }
      for (int number = 0; number < kGates; ++number) {
        gate_gradient.StorePair(number * hidden + unit, lane, result[number][0], result[number][1]);
      }
    }
  }
}

template <typename Math>
class Backward {
 public:
  typedef typename Math::Element Element;
  typedef typename Math::Left Left;
  typedef typename Math::Right Right;

  Backward(const Sizes& sizes, const Weights<const float>& given, int team_size)
      : sizes_(sizes), weights_(sizes, given), team_(team_size), wave_(GroupsOfWave(sizes, team_size)) {
    const int64_t steps = static_cast<int64_t>(wave_) * sizes.steps;
    input_right_ = workspace_.Plan(steps * channel_right());
    for (int64_t& place : input_gradients_) place = workspace_.Plan(steps * channel_floats());
    for (int64_t& place : hidden_right_) place = workspace_.Plan(steps * hidden_right());
    for (int64_t& place : hidden_gradients_) place = workspace_.Plan(steps * hidden_floats());
    zeros_ = workspace_.Plan(Math::ElementsOf(sizes.hidden));
    Sums nothing{};
    sums_floats_ = Sums::Place(sizes, nullptr, &nothing);
    sums_ = workspace_.Plan(team_size * sums_floats_);
    const int64_t combining = kStepsTogether * (3 * channel_floats() + channel_right()) + 4 * channel_floats();
    const int64_t streaming = (kStepsTogether + 1) * gate_floats() + 2 * one_hidden_floats();
    scratch_floats_ = std::max(combining, streaming);
    scratch_ = workspace_.Plan(team_size * scratch_floats_);
    workspace_.Make();
    std::fill_n(workspace_.At(zeros_), Math::ElementsOf(sizes.hidden), 0.0f);
  }

  void Run(const float* output_gradient, float* saved, const float* input, float* input_gradient,
           const Weights<float>& gradients) {
    const int blocks = (sizes_.steps + kStepsTogether - 1) / kStepsTogether;
    team_.Run([&](int member) {
      [[maybe_unused]] const typename Math::Thread thread{};
      std::fill_n(workspace_.At(sums_) + member * sums_floats_, sums_floats_, 0.0f);
      const Sums sums = SumsOf(member);
      float* own = workspace_.At(scratch_) + member * scratch_floats_;
      for (int first = 0; first < sizes_.groups(); first += wave_) {
        const int count = std::min(wave_, sizes_.groups() - first);
        const Range items = team_.Part(member, count * blocks);
        for (int item = items.begin; item < items.end; ++item) {
          CombineBack(first + item / blocks, ArraysOf(item / blocks), item % blocks * kStepsTogether, output_gradient,
                      input, Saved<Math>::Of(sizes_, saved, first + item / blocks), sums, own);
        }
        team_.Meet();
        const Range streams = team_.Part(member, count * kStreams);
        for (int task = streams.begin; task < streams.end; ++task) {
          StreamBack(task / count, ArraysOf(task % count), Saved<Math>::Of(sizes_, saved, first + task % count), sums,
                     own);
        }
        team_.Meet();
        for (int item = items.begin; item < items.end; ++item) {
          const int begin = item % blocks * kStepsTogether;
          for (int step = begin; step < std::min(begin + kStepsTogether, sizes_.steps); ++step) {
            WriteInputGradient(first + item / blocks, ArraysOf(item / blocks), step, input_gradient);
          }
        }
        team_.Meet();
      }
      const Range parts = team_.Part(member, Sums::kParts);
      for (int part = parts.begin; part < parts.end; ++part) {
        WriteGradients(sizes_, workspace_.At(sums_), sums_floats_, team_.size(), part, gradients);
      }
    });
  }

 private:
  // The arrays of a group that is worked on.
  struct Arrays {
    Right* input_right;                    // [T][kRightRows][channel columns]
    float* input_gradients[1 + kStreams];  // [T][channel rows][kLanes], of the output layer and of each stream
    Right* hidden_right[kLstms];           // [T][kRightRows][2 * hidden columns]
    float* hidden_gradients[kLstms];       // [T][rows of 2H][kLanes]
  };

  int64_t channel_floats() const { return static_cast<int64_t>(sizes_.channel_rows()) * kLanes; }
  int64_t hidden_floats() const { return static_cast<int64_t>(sizes_.both_hidden_rows()) * kLanes; }
  int64_t one_hidden_floats() const { return static_cast<int64_t>(sizes_.hidden_rows()) * kLanes; }
  int64_t gate_floats() const { return static_cast<int64_t>(sizes_.gate_rows()) * kLanes; }
  int64_t channel_right() const { return static_cast<int64_t>(Math::kRightRows) * sizes_.channel_columns(); }
  int64_t hidden_right() const { return static_cast<int64_t>(Math::kRightRows) * 2 * sizes_.hidden_columns(); }

  Arrays ArraysOf(int place) const {
    const int64_t steps = static_cast<int64_t>(place) * sizes_.steps;
    Arrays arrays{};
    arrays.input_right = reinterpret_cast<Right*>(workspace_.At(input_right_)) + steps * channel_right();
    for (int part = 0; part < 1 + kStreams; ++part) {
      arrays.input_gradients[part] = workspace_.At(input_gradients_[part]) + steps * channel_floats();
    }
    for (int lstm = 0; lstm < kLstms; ++lstm) {
      arrays.hidden_right[lstm] = reinterpret_cast<Right*>(workspace_.At(hidden_right_[lstm])) + steps * hidden_right();
      arrays.hidden_gradients[lstm] = workspace_.At(hidden_gradients_[lstm]) + steps * hidden_floats();
    }
    return arrays;
  }
  Sums SumsOf(int member) const {
    Sums sums{};
    Sums::Place(sizes_, workspace_.At(sums_) + member * sums_floats_, &sums);
    return sums;
  }
  // The gradient of features at `place` of those whose outer products are added together.
  static FeatureGradient<Math> GradientAt(float* lefts, float* operand, int64_t floats, int place) {
    auto* left = reinterpret_cast<Left*>(lefts) + place * floats;
    return {reinterpret_cast<Element*>(Math::kOperandIsFloat ? lefts + place * floats : operand), left};
  }

  // The output layer, the product and the projections, for some steps from `begin` on.
  void CombineBack(int group, const Arrays& arrays, int begin, const float* output_gradient, const float* input,
                   const Saved<Math>& saved, const Sums& sums, float* own) {
    const int steps = std::min(kStepsTogether, sizes_.steps - begin);
    float* const output_left = own;
    float* const factor_left[kLstms] = {own + kStepsTogether * channel_floats(),
                                        own + 2 * kStepsTogether * channel_floats()};
    Right* const product_right = reinterpret_cast<Right*>(own + 3 * kStepsTogether * channel_floats());
    float* const columns = own + kStepsTogether * (3 * channel_floats() + channel_right());
    float* const product_gradient = columns + channel_floats();
    float* const operand = columns + 2 * channel_floats();
    Element* const product = reinterpret_cast<Element*>(columns + 3 * channel_floats());
    for (int place = 0; place < steps; ++place) {
      const int64_t step = begin + place;
      const auto output = GradientAt(output_left, operand, channel_floats(), place);
      GatherColumns(sizes_, output_gradient, group, static_cast<int>(step), columns);
      GatherRight<Math>(sizes_, input, group, static_cast<int>(step), arrays.input_right + step * channel_right());
      for (int channel = 0; channel < sizes_.channels; channel += 2) {
        for (int lane = 0; lane < kLanes; lane += kWidth) {
          const int at = channel * kLanes + lane;
          const Vector gradient[2] = {Load(columns + at), Load(columns + at + kLanes)};
          output.StorePair(channel, lane, gradient[0], gradient[1]);
          AddTo(sums.output_bias + at, gradient[0]);
          AddTo(sums.output_bias + at + kLanes, gradient[1]);
        }
      }
      weights_.to_input.Multiply(output.operand, nullptr, columns,  // the input is also added to the output
                                 arrays.input_gradients[0] + step * channel_floats());
      weights_.to_product.Multiply(output.operand, nullptr, nullptr, product_gradient);
      for (int lstm = 0; lstm < kLstms; ++lstm) {
        const auto factor = GradientAt(factor_left[lstm], operand, channel_floats(), place);
        const Element* factors[kLstms] = {saved.factors[lstm] + step * Math::ElementsOf(sizes_.channels),
                                          saved.factors[1 - lstm] + step * Math::ElementsOf(sizes_.channels)};
        for (int channel = 0; channel < sizes_.channels; channel += 2) {
          for (int lane = 0; lane < kLanes; lane += kWidth) {
            const int at = channel * kLanes + lane;
            Vector own_factor[2], other[2];
            Math::LoadPair(factors[0], channel, lane, &own_factor[0], &own_factor[1]);
            Math::LoadPair(factors[1], channel, lane, &other[0], &other[1]);
            const Vector gradient[2] = {Load(product_gradient + at) * other[0],
                                        Load(product_gradient + at + kLanes) * other[1]};
            factor.StorePair(channel, lane, gradient[0], gradient[1]);
            AddTo(sums.projection_bias[lstm] + at, gradient[0]);
            AddTo(sums.projection_bias[lstm] + at + kLanes, gradient[1]);
            if (lstm == 0) {
              Math::StorePair(product, channel, lane, own_factor[0] * other[0], own_factor[1] * other[1]);
            }
          }
        }
        weights_.to_hidden[lstm].Multiply(factor.operand, nullptr, nullptr,
                                          arrays.hidden_gradients[lstm] + step * hidden_floats());
        for (int direction = 0; direction < kDirections; ++direction) {
          Math::TransposeToRight(saved.hidden[lstm] + step * Math::ElementsOf(kDirections * sizes_.hidden) +
                                     direction * sizes_.hidden * kLanes / Math::kFeaturesOfElement,
                                 sizes_.hidden,
                                 arrays.hidden_right[lstm] + step * hidden_right() + direction * sizes_.hidden_columns(),
                                 sizes_.hidden_columns(), 2 * sizes_.hidden_columns());
        }
      }
      Math::TransposeToRight(product, sizes_.channels, product_right + place * channel_right(),
                             sizes_.channel_columns(), sizes_.channel_columns());
    }
    const auto* output = reinterpret_cast<const Left*>(output_left);
    const int width = sizes_.channel_columns();
    Math::AddOuterProducts(output, channel_floats(), sizes_.channels, product_right, channel_right(), width, width,
                           steps, sums.output, 2 * width);
    Math::AddOuterProducts(output, channel_floats(), sizes_.channels, arrays.input_right + begin * channel_right(),
                           channel_right(), width, width, steps, sums.output + width, 2 * width);
    const int hidden_width = 2 * sizes_.hidden_columns();
    for (int lstm = 0; lstm < kLstms; ++lstm) {
      Math::AddOuterProducts(reinterpret_cast<const Left*>(factor_left[lstm]), channel_floats(), sizes_.channels,
                             arrays.hidden_right[lstm] + begin * hidden_right(), hidden_right(), hidden_width,
                             hidden_width, steps, sums.projection[lstm], hidden_width);
    }
  }

  // One stream of a group, against its direction.
  void StreamBack(int stream, const Arrays& arrays, const Saved<Math>& saved, const Sums& sums, float* own) {
    const int direction = stream % kDirections;
    const int lstm = stream / kDirections;
    const int steps = sizes_.steps;
    const int64_t gate_elements = Math::ElementsOf(kGates * sizes_.hidden);
    const int64_t cell_elements = Math::ElementsOf(sizes_.hidden);
    const auto* zeros = reinterpret_cast<const Element*>(workspace_.At(zeros_));
    float* const gate_left = own;
    float* const operand = own + kStepsTogether * gate_floats();
    float* const recurrent_gradient = operand + gate_floats();
    float* const cell_gradient = recurrent_gradient + one_hidden_floats();
    std::fill_n(recurrent_gradient, 2 * one_hidden_floats(), 0.0f);
    for (int done = 0; done < steps; done += kStepsTogether) {
      const int count = std::min(kStepsTogether, steps - done);
      const int begin = direction == 0 ? steps - done - count : done;  // of these steps in time
      for (int number = 0; number < count; ++number) {
        const int place = direction == 0 ? count - 1 - number : number;
        const int64_t step = begin + place;
        const int64_t before = direction == 0 ? step - 1 : step + 1;
        const bool is_first = before < 0 || before >= steps;
        const auto gates = GradientAt(gate_left, operand, gate_floats(), place);
        ActivateBack<Math>(sizes_.hidden, saved.gates[stream] + step * gate_elements,
                           is_first ? zeros : saved.cells[stream] + before * cell_elements,
                           saved.cells[stream] + step * cell_elements,
                           arrays.hidden_gradients[lstm] + step * hidden_floats() + direction * sizes_.hidden * kLanes,
                           recurrent_gradient, cell_gradient, gates, sums.bias[stream]);
        weights_.gates_to_input[stream].Multiply(gates.operand, nullptr, nullptr,
                                                 arrays.input_gradients[1 + stream] + step * channel_floats());
        weights_.gates_to_hidden[stream].Multiply(gates.operand, nullptr, nullptr, recurrent_gradient);
      }
      const auto* left = reinterpret_cast<const Left*>(gate_left);
      const int width = sizes_.channel_columns();
      Math::AddOuterProducts(left, gate_floats(), kGates * sizes_.hidden, arrays.input_right + begin * channel_right(),
                             channel_right(), width, width, count, sums.ih[stream], width);
      // Beside each step's gates the hidden states of the step before, which the first step of all does not have.
      const bool is_last = done + count == steps;
      const int skipped = is_last && direction == 0 ? 1 : 0;
      const int64_t first_before = begin + skipped + (direction == 0 ? -1 : 1);
      Math::AddOuterProducts(left + skipped * gate_floats(), gate_floats(), kGates * sizes_.hidden,
                             arrays.hidden_right[lstm] + first_before * hidden_right() +
                                 direction * sizes_.hidden_columns(),
                             hidden_right(), 2 * sizes_.hidden_columns(), sizes_.hidden_columns(),
                             count - (is_last ? 1 : 0), sums.hh[stream], sizes_.hidden_columns());
    }
  }

  void WriteInputGradient(int group, const Arrays& arrays, int step, float* input_gradient) {
    const int64_t offset = step * channel_floats();
    float* sum = arrays.input_gradients[0] + offset;
    for (int place = 0; place < sizes_.channels * kLanes; place += kWidth) {
      Vector total = Load(sum + place);
      for (int stream = 0; stream < kStreams; ++stream) {
        total += Load(arrays.input_gradients[1 + stream] + offset + place);
      }
      Store(sum + place, total);
    }
    ScatterColumns(sizes_, sum, group, step, input_gradient);
  }

  Sizes sizes_;
  BackwardWeights<Math> weights_;
  Team team_;
  int wave_;
  Workspace workspace_;
  int64_t input_right_, input_gradients_[1 + kStreams], hidden_right_[kLstms], hidden_gradients_[kLstms];
  int64_t zeros_, sums_, sums_floats_, scratch_, scratch_floats_;
};

}  // namespace gdprnn

#endif  // GDPRNN_KERNELS_BACKWARD_H_
