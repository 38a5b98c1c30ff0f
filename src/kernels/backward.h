// The gradient of the gated block, from what its forward pass saved.
#ifndef GDPRNN_KERNELS_BACKWARD_H_
#define GDPRNN_KERNELS_BACKWARD_H_

#include <vector>

#include "block.h"
#include "forward.h"
#include "products.h"
#include "team.h"
#include "workspace.h"

namespace gdprnn {

constexpr int kStepsTogether = 8;  // whose part of a weight's gradient is added at once

// Transposed weights in panels.
struct BackwardWeights {
  std::vector<Panels> gates_to_input;   // of a stream: N from 4H
  std::vector<Panels> gates_to_hidden;  // of a stream: H from 4H
  std::vector<Panels> to_hidden;        // of an LSTM: 2H from N
  Panels to_product;                    // N from N
  Panels to_input;                      // N from N

  BackwardWeights(const Sizes& sizes, const Weights<const float>& weights)
      : to_product(sizes.channels, sizes.channels,
                   [&](int row, int column) { return weights.output[column * 2 * sizes.channels + row]; }),
        to_input(sizes.channels, sizes.channels, [&](int row, int column) {
          return weights.output[column * 2 * sizes.channels + sizes.channels + row];
        }) {
    const int gate_count = kGates * sizes.hidden;
    for (int lstm = 0; lstm < kLstms; ++lstm) {
      for (int direction = 0; direction < kDirections; ++direction) {
        const int64_t first = static_cast<int64_t>(direction) * gate_count;
        const float* ih = weights.lstm[lstm].ih + first * sizes.channels;
        const float* hh = weights.lstm[lstm].hh + first * sizes.hidden;
        gates_to_input.emplace_back(sizes.channels, gate_count, [&](int row, int column) {
          return ih[static_cast<int64_t>(column) * sizes.channels + row];
        });
        gates_to_hidden.emplace_back(sizes.hidden, gate_count, [&](int row, int column) {
          return hh[static_cast<int64_t>(column) * sizes.hidden + row];
        });
      }
      const float* projection = weights.projection[lstm];
      to_hidden.emplace_back(2 * sizes.hidden, sizes.channels, [&](int row, int column) {
        return projection[column * 2 * sizes.hidden + row];
      });
    }
  }
};

// Where one member of the team adds up the weights' gradients.
struct Sums {
  float* ih[kStreams];           // [gate rows][channel columns]
  float* hh[kStreams];           // [gate rows][hidden columns]
  float* bias[kStreams];         // [gate rows][kLanes]
  float* projection[kLstms];     // [channel rows][2 * hidden columns]
  float* projection_bias[kLstms];  // [channel rows][kLanes]
  float* output;                 // [channel rows][2 * channel columns]
  float* output_bias;            // [channel rows][kLanes]

  // Its size; from `floats` on, or of nothing with nullptr.
  static int64_t Place(const Sizes& sizes, float* floats, Sums* sums) {
    int64_t taken = 0;
    const auto take = [&](int rows, int columns) {
      float* place = floats ? floats + taken : nullptr;
      taken += static_cast<int64_t>(rows) * columns;
      return place;
    };
    for (int stream = 0; stream < kStreams; ++stream) {
      sums->ih[stream] = take(sizes.gate_rows(), sizes.channel_columns());
      sums->hh[stream] = take(sizes.gate_rows(), sizes.hidden_columns());
      sums->bias[stream] = take(sizes.gate_rows(), kLanes);
    }
    for (int lstm = 0; lstm < kLstms; ++lstm) {
      sums->projection[lstm] = take(sizes.channel_rows(), 2 * sizes.hidden_columns());
      sums->projection_bias[lstm] = take(sizes.channel_rows(), kLanes);
    }
    sums->output = take(sizes.channel_rows(), 2 * sizes.channel_columns());
    sums->output_bias = take(sizes.channel_rows(), kLanes);
    return taken;
  }
};

inline void AddTo(float* sums, const float* values, int count) {
  for (int place = 0; place < count; place += kWidth) Store(sums + place, Load(sums + place) + Load(values + place));
}

// Gradients of one step's gates before their functions, [4H][kLanes], from those of the output and of the cells, which
// become those of the cells one step before.
inline void ActivateBack(int hidden, const float* gates, const float* cells_before, const float* cells,
                         const float* output_gradient, const float* recurrent_gradient, float* cell_gradient,
                         float* gate_gradient) {
  const int values = hidden * kLanes;
  for (int place = 0; place < values; place += kWidth) {
    const Vector entry = Load(gates + place);
    const Vector forget = Load(gates + values + place);
    const Vector candidate = Load(gates + 2 * values + place);
    const Vector out = Load(gates + 3 * values + place);
    const Vector squashed = Tanh(Load(cells + place));
    const Vector gradient = Load(output_gradient + place) + Load(recurrent_gradient + place);
    const Vector cell = Load(cell_gradient + place) + gradient * out * (1.0f - squashed * squashed);
    Store(gate_gradient + place, cell * candidate * entry * (1.0f - entry));
    Store(gate_gradient + values + place, cell * Load(cells_before + place) * forget * (1.0f - forget));
    Store(gate_gradient + 2 * values + place, cell * entry * (1.0f - candidate * candidate));
    Store(gate_gradient + 3 * values + place, gradient * squashed * out * (1.0f - out));
    Store(cell_gradient + place, cell * forget);
  }
}

// The arrays of a group that is worked on.
struct BackwardArrays {
  float* input_rows;                 // [T][kLanes][channel columns]
  float* input_gradients[1 + kStreams];  // [T][channel rows][kLanes], of the output layer and of each stream
  float* hidden_rows[kLstms];        // [T][kLanes][2 * hidden columns]
  float* hidden_gradients[kLstms];   // [T][rows of 2H][kLanes]
};

class Backward {
 public:
  Backward(const Sizes& sizes, const Weights<const float>& given, int team_size)
      : sizes_(sizes), weights_(sizes, given), team_(team_size), wave_(GroupsOfWave(sizes, team_size)) {
    const int64_t steps = static_cast<int64_t>(wave_) * sizes.steps;
    input_rows_ = workspace_.Plan(steps * kLanes * sizes.channel_columns());
    for (int64_t& place : input_gradients_) place = workspace_.Plan(steps * channel_floats());
    for (int64_t& place : hidden_rows_) place = workspace_.Plan(steps * kLanes * 2 * sizes.hidden_columns());
    for (int64_t& place : hidden_gradients_) place = workspace_.Plan(steps * hidden_floats());
    zeros_ = workspace_.Plan(static_cast<int64_t>(sizes.hidden) * kLanes);
    Sums nothing{};
    sums_floats_ = Sums::Place(sizes, nullptr, &nothing);
    sums_ = workspace_.Plan(team_size * sums_floats_);
    scratch_floats_ = std::max(kStepsTogether * gate_floats() + 2 * hidden_row_floats(),
                               kStepsTogether * (3 * channel_floats() + kLanes * sizes.channel_columns()) +
                                   channel_floats());
    scratch_ = workspace_.Plan(team_size * scratch_floats_);
    workspace_.Make();
    std::fill_n(workspace_.At(zeros_), static_cast<int64_t>(sizes.hidden) * kLanes, 0.0f);
  }

  void Run(const float* output_gradient, float* saved, const float* input, float* input_gradient,
           const Weights<float>& gradients) {
    team_.Run([&](int member) {
      std::fill_n(workspace_.At(sums_) + member * sums_floats_, sums_floats_, 0.0f);
      const Sums sums = SumsOf(member);
      float* own = workspace_.At(scratch_) + member * scratch_floats_;
      const int blocks = (sizes_.steps + kStepsTogether - 1) / kStepsTogether;
      for (int first = 0; first < sizes_.groups(); first += wave_) {
        const int count = std::min(wave_, sizes_.groups() - first);
        const Range items = team_.Part(member, count * blocks);
        for (int item = items.begin; item < items.end; ++item) {
          const int place = item / blocks;
          const int begin = item % blocks * kStepsTogether;
          CombineBack(first + place, begin, std::min(begin + kStepsTogether, sizes_.steps), output_gradient, input,
                      Saved::Of(sizes_, saved, first + place), ArraysOf(place), sums, own);
        }
        team_.Meet();
        const Range streams = team_.Part(member, count * kStreams);
        for (int task = streams.begin; task < streams.end; ++task) {
          const int place = task % count;
          StreamBack(task / count, Saved::Of(sizes_, saved, first + place), ArraysOf(place), sums, own);
        }
        team_.Meet();
        for (int item = items.begin; item < items.end; ++item) {
          const int begin = item % blocks * kStepsTogether;
          for (int step = begin; step < std::min(begin + kStepsTogether, sizes_.steps); ++step) {
            WriteInputGradient(first + item / blocks, step, ArraysOf(item / blocks), input_gradient);
          }
        }
        team_.Meet();
      }
      WriteGradients(team_.Part(member, kStreams + kLstms + 1), gradients);
    });
  }

 private:
  int64_t channel_floats() const { return static_cast<int64_t>(sizes_.channel_rows()) * kLanes; }
  int64_t hidden_floats() const { return static_cast<int64_t>(RoundUp(2 * sizes_.hidden, kRows)) * kLanes; }
  int64_t hidden_row_floats() const { return static_cast<int64_t>(sizes_.hidden_rows()) * kLanes; }
  int64_t gate_floats() const { return static_cast<int64_t>(sizes_.gate_rows()) * kLanes; }

  BackwardArrays ArraysOf(int place) const {
    const int64_t steps = static_cast<int64_t>(place) * sizes_.steps;
    BackwardArrays arrays{};
    arrays.input_rows = workspace_.At(input_rows_) + steps * kLanes * sizes_.channel_columns();
    for (int part = 0; part < 1 + kStreams; ++part) {
      arrays.input_gradients[part] = workspace_.At(input_gradients_[part]) + steps * channel_floats();
    }
    for (int lstm = 0; lstm < kLstms; ++lstm) {
      arrays.hidden_rows[lstm] = workspace_.At(hidden_rows_[lstm]) + steps * kLanes * 2 * sizes_.hidden_columns();
      arrays.hidden_gradients[lstm] = workspace_.At(hidden_gradients_[lstm]) + steps * hidden_floats();
    }
    return arrays;
  }
  Sums SumsOf(int member) const {
    Sums sums{};
    Sums::Place(sizes_, workspace_.At(sums_) + member * sums_floats_, &sums);
    return sums;
  }

  void CombineBack(int group, int begin, int end, const float* output_gradient, const float* input, const Saved& saved,
                   const BackwardArrays& arrays, const Sums& sums, float* own);
  void StreamBack(int stream, const Saved& saved, const BackwardArrays& arrays, const Sums& sums, float* own);
  void WriteInputGradient(int group, int step, const BackwardArrays& arrays, float* input_gradient);
  void WriteGradients(Range parts, const Weights<float>& gradients);
  template <typename Pick>
  void Write(const Pick& pick, int first_row, int num_rows, int stride, int first_column, int num_columns,
             float* to, int to_stride);
  template <typename Pick>
  void WriteBias(const Pick& pick, int num_rows, float* to);

  Sizes sizes_;
  BackwardWeights weights_;
  Team team_;
  int wave_;
  Workspace workspace_;
  int64_t input_rows_, input_gradients_[1 + kStreams], hidden_rows_[kLstms], hidden_gradients_[kLstms];
  int64_t zeros_, sums_, sums_floats_, scratch_, scratch_floats_;
};

// The output layer, the product and the projections, for steps `begin` to `end` of a group.
inline void Backward::CombineBack(int group, int begin, int end, const float* output_gradient, const float* input,
                                  const Saved& saved, const BackwardArrays& arrays, const Sums& sums, float* own) {
  const int values = sizes_.channels * kLanes;
  const int columns = sizes_.channel_columns();
  float* const gradients = own;                                                       // of the output
  float* const factor_gradients[kLstms] = {own + kStepsTogether * channel_floats(),
                                           own + 2 * kStepsTogether * channel_floats()};
  float* const product_rows = own + 3 * kStepsTogether * channel_floats();
  float* const product_gradient = product_rows + kStepsTogether * kLanes * columns;
  for (int step = begin; step < end; ++step) {
    const int place = step - begin;
    float* gradient = gradients + place * channel_floats();
    float* input_rows = arrays.input_rows + static_cast<int64_t>(step) * kLanes * columns;
    float* input_gradient = arrays.input_gradients[0] + step * channel_floats();
    const float* factors[kLstms] = {saved.factors[0] + step * channel_floats(),
                                    saved.factors[1] + step * channel_floats()};
    GatherRows(sizes_, input, group, step, input_rows);
    GatherColumns(sizes_, output_gradient, group, step, gradient);
    std::fill(gradient + values, gradient + channel_floats(), 0.0f);
    std::copy_n(gradient, channel_floats(), input_gradient);  // the input is added to the output
    Multiply<Begin::kOutput>(weights_.to_input, gradient, sizes_.channels, nullptr, nullptr, input_gradient);
    Multiply<Begin::kZero>(weights_.to_product, gradient, sizes_.channels, nullptr, nullptr, product_gradient);
    float* product = factor_gradients[0] + place * channel_floats();  // until it is in rows
    for (int at = 0; at < values; at += kWidth) Store(product + at, Load(factors[0] + at) * Load(factors[1] + at));
    Transpose(product, sizes_.channels, product_rows + place * kLanes * columns, columns, columns);
    for (int lstm = 0; lstm < kLstms; ++lstm) {
      float* factor_gradient = factor_gradients[lstm] + place * channel_floats();
      for (int at = 0; at < channel_floats(); at += kWidth) {
        Store(factor_gradient + at, Load(product_gradient + at) * Load(factors[1 - lstm] + at));
      }
      Multiply<Begin::kZero>(weights_.to_hidden[lstm], factor_gradient, sizes_.channels, nullptr, nullptr,
                             arrays.hidden_gradients[lstm] + step * hidden_floats());
      for (int direction = 0; direction < kDirections; ++direction) {
        Transpose(saved.hidden[lstm] + (static_cast<int64_t>(step) * 2 + direction) * sizes_.hidden * kLanes,
                  sizes_.hidden,
                  arrays.hidden_rows[lstm] +
                      (static_cast<int64_t>(step) * kLanes * 2 + direction) * sizes_.hidden_columns(),
                  2 * sizes_.hidden_columns(), sizes_.hidden_columns());
      }
      AddTo(sums.projection_bias[lstm], factor_gradient, static_cast<int>(channel_floats()));
    }
    AddTo(sums.output_bias, gradient, static_cast<int>(channel_floats()));
  }
  const int steps = end - begin;
  AddOuterProducts(gradients, channel_floats(), sizes_.channels, product_rows, kLanes * columns, columns, columns, steps,
                   sums.output, 2 * columns);
  AddOuterProducts(gradients, channel_floats(), sizes_.channels,
                   arrays.input_rows + static_cast<int64_t>(begin) * kLanes * columns, kLanes * columns, columns,
                   columns, steps, sums.output + columns, 2 * columns);
  const int hidden_columns = 2 * sizes_.hidden_columns();
  for (int lstm = 0; lstm < kLstms; ++lstm) {
    AddOuterProducts(factor_gradients[lstm], channel_floats(), sizes_.channels,
                     arrays.hidden_rows[lstm] + static_cast<int64_t>(begin) * kLanes * hidden_columns,
                     kLanes * hidden_columns, hidden_columns, hidden_columns, steps, sums.projection[lstm],
                     hidden_columns);
  }
}

// One stream of a group, against its direction.
inline void Backward::StreamBack(int stream, const Saved& saved, const BackwardArrays& arrays, const Sums& sums,
                                 float* own) {
  const int direction = stream % kDirections;
  const int lstm = stream / kDirections;
  const int steps = sizes_.steps;
  const int columns = sizes_.channel_columns();
  const int64_t hidden_values = static_cast<int64_t>(sizes_.hidden) * kLanes;
  const int hidden_stride = 2 * sizes_.hidden_columns();
  const float* zeros = workspace_.At(zeros_);
  float* const gate_gradients = own;
  float* const recurrent_gradient = own + kStepsTogether * gate_floats();
  float* const cell_gradient = recurrent_gradient + hidden_row_floats();
  std::fill_n(own, kStepsTogether * gate_floats() + 2 * hidden_row_floats(), 0.0f);
  for (int done = 0; done < steps; done += kStepsTogether) {
    const int count = std::min(kStepsTogether, steps - done);
    const int begin = direction == 0 ? steps - done - count : done;  // of these steps in time
    for (int number = 0; number < count; ++number) {
      const int place = direction == 0 ? count - 1 - number : number;
      const int step = begin + place;
      const int before = direction == 0 ? step - 1 : step + 1;
      const bool has_before = before >= 0 && before < steps;
      float* gate_gradient = gate_gradients + place * gate_floats();
      ActivateBack(sizes_.hidden, saved.gates[stream] + step * gate_floats(),
                   has_before ? saved.cells[stream] + before * hidden_values : zeros,
                   saved.cells[stream] + step * hidden_values,
                   arrays.hidden_gradients[lstm] + step * hidden_floats() + direction * hidden_values,
                   recurrent_gradient, cell_gradient, gate_gradient);
      AddTo(sums.bias[stream], gate_gradient, static_cast<int>(gate_floats()));
      Multiply<Begin::kZero>(weights_.gates_to_input[stream], gate_gradient, kGates * sizes_.hidden, nullptr, nullptr,
                             arrays.input_gradients[1 + stream] + step * channel_floats());
      Multiply<Begin::kZero>(weights_.gates_to_hidden[stream], gate_gradient, kGates * sizes_.hidden, nullptr, nullptr,
                             recurrent_gradient);
    }
    AddOuterProducts(gate_gradients, gate_floats(), kGates * sizes_.hidden,
                     arrays.input_rows + static_cast<int64_t>(begin) * kLanes * columns, kLanes * columns, columns,
                     columns, count, sums.ih[stream], columns);
    // Beside each step's gates the output of the step before, which the first step of all does not have.
    const bool is_last = done + count == steps;
    const int skipped = is_last && direction == 0 ? 1 : 0;
    const int first_before = begin + skipped + (direction == 0 ? -1 : 1);
    AddOuterProducts(gate_gradients + skipped * gate_floats(), gate_floats(), kGates * sizes_.hidden,
                     arrays.hidden_rows[lstm] + static_cast<int64_t>(first_before) * kLanes * hidden_stride +
                         direction * sizes_.hidden_columns(),
                     kLanes * hidden_stride, hidden_stride, sizes_.hidden_columns(), count - (is_last ? 1 : 0),
                     sums.hh[stream], sizes_.hidden_columns());
  }
}

inline void Backward::WriteInputGradient(int group, int step, const BackwardArrays& arrays, float* input_gradient) {
  float* sum = arrays.input_gradients[0] + step * channel_floats();
  for (int stream = 0; stream < kStreams; ++stream) {
    AddTo(sum, arrays.input_gradients[1 + stream] + step * channel_floats(), static_cast<int>(channel_floats()));
  }
  ScatterColumns(sizes_, sum, group, step, input_gradient);
}

// A part of an array of all members' sums, added up in the order of the members.
template <typename Pick>
void Backward::Write(const Pick& pick, int first_row, int num_rows, int stride, int first_column, int num_columns,
                     float* to, int to_stride) {
  for (int member = 0; member < team_.size(); ++member) {
    const float* from = pick(SumsOf(member)) + static_cast<int64_t>(first_row) * stride + first_column;
    for (int row = 0; row < num_rows; ++row) {
      for (int column = 0; column < num_columns; ++column) {
        float* place = to + static_cast<int64_t>(row) * to_stride + column;
        *place = (member == 0 ? 0.0f : *place) + from[static_cast<int64_t>(row) * stride + column];
      }
    }
  }
}

template <typename Pick>
void Backward::WriteBias(const Pick& pick, int num_rows, float* to) {
  for (int row = 0; row < num_rows; ++row) {
    float sum = 0.0f;
    for (int member = 0; member < team_.size(); ++member) {
      for (int lane = 0; lane < kLanes; ++lane) sum += pick(SumsOf(member))[row * kLanes + lane];
    }
    to[row] = sum;
  }
}

// The parts are the streams, then the projections, then the output layer.
inline void Backward::WriteGradients(Range parts, const Weights<float>& gradients) {
  const int gate_count = kGates * sizes_.hidden;
  const int channels = sizes_.channels;
  for (int part = parts.begin; part < parts.end; ++part) {
    if (part < kStreams) {
      const Lstm<float>& to = gradients.lstm[part / kDirections];
      const int64_t first = static_cast<int64_t>(part % kDirections) * gate_count;
      Write([part](const Sums& sums) { return sums.ih[part]; }, 0, gate_count, sizes_.channel_columns(), 0, channels,
            to.ih + first * channels, channels);
      Write([part](const Sums& sums) { return sums.hh[part]; }, 0, gate_count, sizes_.hidden_columns(), 0,
            sizes_.hidden, to.hh + first * sizes_.hidden, sizes_.hidden);
      WriteBias([part](const Sums& sums) { return sums.bias[part]; }, gate_count, to.bias_ih + first);
      std::copy_n(to.bias_ih + first, gate_count, to.bias_hh + first);
    } else if (part < kStreams + kLstms) {
      const int lstm = part - kStreams;
      for (int direction = 0; direction < kDirections; ++direction) {
        Write([lstm](const Sums& sums) { return sums.projection[lstm]; }, 0, channels, 2 * sizes_.hidden_columns(),
              direction * sizes_.hidden_columns(), sizes_.hidden,
              gradients.projection[lstm] + direction * sizes_.hidden, 2 * sizes_.hidden);
      }
      WriteBias([lstm](const Sums& sums) { return sums.projection_bias[lstm]; }, channels,
                gradients.projection_bias[lstm]);
    } else {
      for (int half = 0; half < 2; ++half) {
        Write([](const Sums& sums) { return sums.output; }, 0, channels, 2 * sizes_.channel_columns(),
              half * sizes_.channel_columns(), channels, gradients.output + half * channels, 2 * channels);
      }
      WriteBias([](const Sums& sums) { return sums.output_bias; }, channels, gradients.output_bias);
    }
  }
}

}  // namespace gdprnn

#endif  // GDPRNN_KERNELS_BACKWARD_H_
