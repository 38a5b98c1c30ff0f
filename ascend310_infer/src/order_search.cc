#include "order_search.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

namespace gdprnn {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using Matrices = std::vector<MatrixXd>;  // [C, C] each
using Orders = std::vector<Order>;

constexpr double kOverlapWeight = 100.0;  // log likelihood of an overlap that agrees in full, against nothing in common
constexpr int kRounds = 20;               // at most; three are the rule
constexpr double kLeastGain = 1e-6;       // of log likelihood: less is rounding
constexpr int kAllOrdersUpTo = 5;         // tracks: 120 orders

// The order's places in another order: place c of the result is order[by[c]].
Order Composed(const Order& order, const Order& by) {
  Order result;
  for (const int place : by) result.push_back(order[static_cast<size_t>(place)]);
  return result;
}

Order Inverse(const Order& order) {
  Order back(order.size());
  int place = 0;
  for (const int from : order) back[static_cast<size_t>(from)] = place++;
  return back;
}

// Of the pairs (rows[c], columns[c]).
double SumOfPairs(const MatrixXd& scores, const Order& rows, const Order& columns) {
  double sum = 0.0;
  for (size_t place = 0; place < rows.size(); ++place) sum += scores(rows[place], columns[place]);
  return sum;
}

double LogLikelihood(const Matrices& links, const std::vector<Voices>& voices, const Orders& orders) {
  SpeakerModel model = SpeakerModel::Like(voices.front());
  model.Add(voices.front().Of(orders.front()));
  double total = 0.0;
  for (size_t chunk = 1; chunk < orders.size(); ++chunk) {
    const Voices voice = voices[chunk].Of(orders[chunk]);
    total += SumOfPairs(links[chunk - 1], orders[chunk - 1], orders[chunk]) + model.LogLikelihoodRatios(voice).trace();
    model.Add(voice);
  }
  return total;
}

Orders OneAfterTheOther(const Matrices& links, const std::vector<Voices>& voices) {
  Orders orders = {Identity(static_cast<int>(voices.front().precisions.size()))};
  SpeakerModel model = SpeakerModel::Like(voices.front());
  model.Add(voices.front());
  for (size_t chunk = 1; chunk < voices.size(); ++chunk) {
    const MatrixXd overlap = links[chunk - 1](orders.back(), Eigen::all);
    orders.push_back(AssignMost(overlap + model.LogLikelihoodRatios(voices[chunk])));
    model.Add(voices[chunk].Of(orders.back()));
  }
  return orders;
}

// [C, C] of each chunk: voice d being speaker c's, who is known from all chunks but this one.
Matrices EvidenceOfOthers(const std::vector<Voices>& voices, const Orders& orders) {
  SpeakerModel model = SpeakerModel::Like(voices.front());
  for (size_t chunk = 0; chunk < voices.size(); ++chunk) model.Add(voices[chunk].Of(orders[chunk]));
  Matrices evidence;
  for (size_t chunk = 0; chunk < voices.size(); ++chunk) {
    SpeakerModel others = model;
    others.Remove(voices[chunk].Of(orders[chunk]));
    evidence.push_back(others.LogLikelihoodRatios(voices[chunk]));
  }
  return evidence;
}

Orders AllOrders(int num_tracks) {
  Orders orders;
  Order order = Identity(num_tracks);
  do {
    orders.push_back(order);
  } while (std::next_permutation(order.begin(), order.end()));
  return orders;
}

// All orders of few tracks; of many the one at hand, the voices' best, and all one exchange from those.
Orders Candidates(const MatrixXd& evidence, const Order& at_hand) {
  const auto num_tracks = static_cast<int>(at_hand.size());
  if (num_tracks <= kAllOrdersUpTo) return AllOrders(num_tracks);
  Orders candidates;
  for (const Order& start : {at_hand, AssignMost(evidence)}) {
    candidates.push_back(start);
    for (size_t first = 0; first < start.size(); ++first) {
      for (size_t second = first + 1; second < start.size(); ++second) {
        candidates.push_back(start);
        std::swap(candidates.back()[first], candidates.back()[second]);
      }
    }
  }
  return candidates;
}

// The log likelihood of the best path to each candidate of a chunk, and the candidate of the chunk before on it.
struct Reached {
  VectorXd scores;
  std::vector<Index> parents;
};

Reached Step(const MatrixXd& link, const MatrixXd& evidence, const Orders& before, const VectorXd& scores,
             const Orders& after) {
  Reached reached{VectorXd(static_cast<Index>(after.size())), {}};
  const Order rows = Identity(static_cast<int>(evidence.rows()));
  VectorXd steps(scores.size());
  for (size_t place = 0; place < after.size(); ++place) {
    for (Index parent = 0; parent < steps.size(); ++parent) {
      steps(parent) = SumOfPairs(link, before[static_cast<size_t>(parent)], after[place]) + scores(parent);
    }
    Index best = 0;
    const double most = steps.maxCoeff(&best);  // the first of equal ones
    reached.parents.push_back(best);
    reached.scores(static_cast<Index>(place)) = most + SumOfPairs(evidence, rows, after[place]);
  }
  return reached;
}

// The best path through candidates for every chunk's order.
Orders AllAtOnce(const Matrices& links, const Matrices& evidence, const Orders& orders) {
  std::vector<Orders> candidates;
  for (size_t chunk = 0; chunk < orders.size(); ++chunk) {
    candidates.push_back(Candidates(evidence[chunk], orders[chunk]));
  }
  const Order rows = Identity(static_cast<int>(orders.front().size()));
  VectorXd scores(static_cast<Index>(candidates.front().size()));
  for (Index place = 0; place < scores.size(); ++place) {
    scores(place) = SumOfPairs(evidence.front(), rows, candidates.front()[static_cast<size_t>(place)]);
  }
  std::vector<std::vector<Index>> parents;
  for (size_t chunk = 1; chunk < orders.size(); ++chunk) {
    Reached reached = Step(links[chunk - 1], evidence[chunk], candidates[chunk - 1], scores, candidates[chunk]);
    scores = reached.scores;
    parents.push_back(std::move(reached.parents));
  }
  Index place = 0;
  scores.maxCoeff(&place);
  Orders path(orders.size());
  for (size_t chunk = orders.size(); chunk-- > 0;) {
    path[chunk] = candidates[chunk][static_cast<size_t>(place)];
    if (chunk > 0) place = parents[chunk - 1][static_cast<size_t>(place)];
  }
  return path;
}

// Of every chunk but the first, [C, C]: log likelihood of who was speaker c up to the chunk before being speaker d from
// this one on.
Matrices Joined(const Matrices& links, const std::vector<Voices>& voices, const Orders& orders) {
  SpeakerModel future = SpeakerModel::Like(voices.front());
  std::vector<SpeakerModel> futures;  // from the last chunk back to the second
  for (size_t chunk = voices.size(); chunk-- > 1;) {
    future.Add(voices[chunk].Of(orders[chunk]));
    futures.push_back(future);
  }
  SpeakerModel past = SpeakerModel::Like(voices.front());
  Matrices joined;
  for (size_t chunk = 1; chunk < voices.size(); ++chunk) {
    past.Add(voices[chunk - 1].Of(orders[chunk - 1]));
    const MatrixXd link = links[chunk - 1](orders[chunk - 1], orders[chunk]);
    joined.push_back(link + past.JointLogLikelihoods(futures[voices.size() - 1 - chunk]));
  }
  return joined;
}

// Two speakers exchanged from a chunk on, and by how much more likely that is.
struct Exchange {
  double gain;
  size_t chunk;
  size_t one;
  size_t other;
};

// The first of the best.
Exchange BestExchange(const Matrices& joined) {
  Exchange best{-std::numeric_limits<double>::infinity(), 0, 0, 0};
  for (size_t place = 0; place < joined.size(); ++place) {
    const MatrixXd& now = joined[place];
    for (Index one = 0; one < now.rows(); ++one) {
      for (Index other = 0; other < now.cols(); ++other) {
        const double gain = now(one, other) + now(other, one) - now(other, other) - now(one, one);
        if (gain > best.gain) best = {gain, place + 1, static_cast<size_t>(one), static_cast<size_t>(other)};
      }
    }
  }
  return best;
}

// Two speakers exchanged from some chunk on, the best two and the best chunk, as long as that is better.
//
// Chunk by chunk this looks no better, where half of the recording says one thing and half the other: the two halves
// would both take the other's order, and contradict each other as before.
Orders WithExchanges(const Matrices& links, const std::vector<Voices>& voices, Orders orders) {
  for (size_t count = 0; count < links.size(); ++count) {  // rounding alone must not keep it going
    const Exchange best = BestExchange(Joined(links, voices, orders));
    if (best.gain < kLeastGain) break;
    for (size_t chunk = best.chunk; chunk < orders.size(); ++chunk) {
      std::swap(orders[chunk][best.one], orders[chunk][best.other]);
    }
  }
  return orders;
}

}  // namespace

Orders Search(const Matrices& agreements, const std::vector<Voices>& voices) {
  Matrices links;
  for (const MatrixXd& agreement : agreements) links.push_back(kOverlapWeight * agreement);
  Orders proposed = OneAfterTheOther(links, voices);
  Orders orders = proposed;
  double best = -std::numeric_limits<double>::infinity();
  for (int round = 0; round < kRounds; ++round) {
    proposed = WithExchanges(links, voices, proposed);
    const double likelihood = LogLikelihood(links, voices, proposed);
    if (likelihood <= best) break;
    best = likelihood;
    orders = proposed;
    proposed = AllAtOnce(links, EvidenceOfOthers(voices, orders), orders);
  }
  const Order back = Inverse(orders.front());  // to the first chunk's own order
  for (Order& order : orders) order = Composed(order, back);
  return orders;
}

}  // namespace gdprnn
