// Orders and signs found again from what is known.
#include "alignment.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "order_search.h"

namespace gdprnn {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr Index kFeatures = 29;

using Persons = std::vector<Order>;  // of each chunk: who is on each of its tracks

struct Random {
  explicit Random(unsigned seed) : engine(seed) {}

  MatrixXd Normal(Index rows, Index columns) {
    return MatrixXd::NullaryExpr(rows, columns, [this](Index, Index) { return normal(engine); });
  }

  Order Shuffle(int count) {
    Order order = Identity(count);
    std::shuffle(order.begin(), order.end(), engine);
    return order;
  }

  Persons Shuffles(int count, size_t num_chunks) {
    Persons persons(num_chunks);
    for (Order& order : persons) order = Shuffle(count);
    return persons;
  }

  std::mt19937 engine;
  std::normal_distribution<double> normal;
};

Voices Unheard(int count) { return {VectorXd::Zero(count), MatrixXd::Zero(count, kFeatures)}; }

// Agreements where the right pairs have all energy in common, or so much of it.
std::vector<MatrixXd> LinksOf(const Persons& persons, double strength) {
  std::vector<MatrixXd> links;
  for (size_t chunk = 1; chunk < persons.size(); ++chunk) {
    const auto count = static_cast<Index>(persons[chunk].size());
    links.push_back(MatrixXd::NullaryExpr(count, count, [&](Index before, Index after) {
      const bool same = persons[chunk - 1][static_cast<size_t>(before)] == persons[chunk][static_cast<size_t>(after)];
      return same ? strength / static_cast<double>(count) : 0.0;
    }));
  }
  return links;
}

// As the model draws them.
std::vector<Voices> VoicesOf(const Persons& persons, Random* random) {
  const auto count = static_cast<Index>(persons.front().size());
  const MatrixXd people = std::sqrt(0.12) * random->Normal(count, kFeatures);
  std::vector<Voices> voices;
  for (const Order& on_track : persons) {
    const MatrixXd means = people(on_track, Eigen::all);
    voices.push_back({VectorXd::Constant(count, 20.0), means + random->Normal(count, kFeatures) / std::sqrt(20.0)});
  }
  return voices;
}

Order At(const Order& values, const Order& places) {
  Order result;
  for (const int place : places) result.push_back(values[static_cast<size_t>(place)]);
  return result;
}

void CheckNobodyMoves(const std::vector<Order>& orders, const Persons& persons, size_t from = 0) {
  REQUIRE(orders.size() == persons.size());
  for (size_t chunk = from; chunk < orders.size(); ++chunk) CHECK(At(persons[chunk], orders[chunk]) == persons[0]);
}

Overlap OverlapOf(double first, double second, double third, double fourth) {
  MatrixXd products(2, 2);
  products << first, second, third, fourth;
  return {products, VectorXd::Ones(2), VectorXd::Ones(2), 100};
}

}  // namespace

TEST_CASE("random orders are found again, by overlap, by voice and by both") {
  for (const int count : {2, 3, 5, 7}) {
    for (unsigned seed = 0; seed < 3; ++seed) {
      Random random(seed);
      const Persons persons = random.Shuffles(count, 30);
      const std::vector<Voices> voices = VoicesOf(persons, &random);
      const std::vector<Voices> unheard(30, Unheard(count));
      CAPTURE(count);
      CheckNobodyMoves(Search(LinksOf(persons, 0.5), unheard), persons);
      CheckNobodyMoves(Search(LinksOf(persons, 0.0), voices), persons);
      CheckNobodyMoves(Search(LinksOf(persons, 0.5), voices), persons);
    }
  }
}

TEST_CASE("voices bridge a long silence") {
  for (const int count : {2, 3, 7}) {
    Random random(static_cast<unsigned>(count));
    Persons persons(40, Identity(count));
    for (size_t chunk = 20; chunk < 40; ++chunk) {
      std::rotate(persons[chunk].begin(), persons[chunk].end() - 1, persons[chunk].end());
    }
    std::vector<MatrixXd> links = LinksOf(persons, 1.0);
    std::vector<Voices> voices = VoicesOf(persons, &random);
    for (size_t chunk = 10; chunk < 30; ++chunk) voices[chunk] = Unheard(count);
    for (size_t chunk = 9; chunk < 30; ++chunk) links[chunk].setZero();
    CheckNobodyMoves(Search(links, voices), persons, 30);
    CHECK(At(persons[39], Search(links, std::vector<Voices>(40, Unheard(count)))[39]) != persons[0]);
  }
}

TEST_CASE("what is heard late corrects an early guess") {
  for (const int count : {2, 3, 7}) {
    Random random(static_cast<unsigned>(count));
    const Persons persons(3, Identity(count));
    std::vector<Voices> voices = VoicesOf(persons, &random);
    const MatrixXd people = voices[0].means;
    voices[1] = {VectorXd::Constant(count, 2.0), people};
    voices[1].means.row(0) = 0.6 * people.row(1) + 0.4 * people.row(0);
    voices[1].means.row(1) = 0.6 * people.row(0) + 0.4 * people.row(1);
    std::vector<MatrixXd> links = LinksOf(persons, 1.0);
    links[0].setZero();
    Order exchanged = Identity(count);
    std::swap(exchanged[0], exchanged[1]);
    CHECK(Search({links[0]}, {voices[0], voices[1]})[1] == exchanged);
    CheckNobodyMoves(Search(links, voices), persons);
  }
}

TEST_CASE("where nothing is heard every chunk keeps its order") {
  for (const int count : {1, 2, 3, 5, 7}) {
    const std::vector<MatrixXd> nothing(9, MatrixXd::Zero(count, count));
    CHECK(Search(nothing, std::vector<Voices>(10, Unheard(count))) == std::vector<Order>(10, Identity(count)));
    CHECK(Search({}, {Unheard(count)}) == std::vector<Order>(1, Identity(count)));
  }
}

TEST_CASE("signs follow the tracks through their orders") {
  const std::vector<Order> orders = {{0, 1}, {1, 0}, {0, 1}, {0, 1}};
  const std::vector<Overlap> overlaps = {
      OverlapOf(0.1, -0.9, 0.8, 0.2),   // track 0 goes on as the second, turned
      OverlapOf(0.1, 0.9, -0.7, -0.2),  // it goes on as the first, turned again
      OverlapOf(-0.4, -1.0, -1.0, 0.3),  // nothing is clear
  };
  CHECK(FindSigns(orders, overlaps, 0.0) == std::vector<Signs>{{1, 1}, {-1, 1}, {1, 1}, {1, 1}});
}

TEST_CASE("in silence no track turns upside down") {
  Tracks before = Tracks(Random(0).Normal(2, 4000).cast<float>());
  before.row(1) *= 1e-3F;
  Tracks after = before;
  after.row(1) *= -1.0F;
  const Overlap overlap = Compare(before, after);
  const std::vector<Order> orders(2, Identity(2));
  CHECK(FindSigns(orders, {overlap}, 1.0)[1] == Signs{1, 1});
  CHECK(FindSigns(orders, {overlap}, 0.0)[1] == Signs{1, -1});
}

TEST_CASE("agreement is the energy in common") {
  const Tracks tracks = Random(1).Normal(2, 100'000).cast<float>();
  const Overlap overlap = Compare(tracks, Tracks(tracks.colwise().reverse()));
  const MatrixXd agreement = overlap.Agreement(2.0);
  CHECK(agreement(0, 1) + agreement(1, 0) == doctest::Approx(1 / 1.01).epsilon(1e-3));
  CHECK(agreement(0, 0) < 0.01);
  CHECK(overlap.Agreement(2e6).maxCoeff() < 1e-3);  // against the rest of the recording this is silence
}

TEST_CASE("tracks of a recording are put in order and upright") {
  Random random(3);
  const Index length = 16'000, step = 12'000;
  for (const int count : {1, 2, 4}) {
    const Tracks sources = 0.1F * random.Normal(count, 10 * step + length).cast<float>();
    const Eigen::RowVectorXf mixture = sources.colwise().sum();
    Aligner aligner(8000, 0.01 * count);
    const Persons persons = random.Shuffles(count, 11);
    std::vector<Signs> signs;
    for (size_t chunk = 0; chunk < persons.size(); ++chunk) {
      const Index start = static_cast<Index>(chunk) * step;
      Tracks tracks = sources(persons[chunk], Eigen::seqN(start, length));
      signs.emplace_back();
      for (Index track = 0; track < count; ++track) {
        signs.back().push_back(random.normal(random.engine) < 0 ? -1.0F : 1.0F);
        tracks.row(track) *= signs.back().back();
      }
      aligner.Add(start, mixture.data() + start, tracks, 2000, 14'000);
    }
    const Alignment found = aligner.Result();
    CheckNobodyMoves(found.orders, persons);
    for (size_t chunk = 0; chunk < persons.size(); ++chunk) {
      for (size_t track = 0; track < found.orders[chunk].size(); ++track) {
        const float given = signs[chunk][static_cast<size_t>(found.orders[chunk][track])];
        CHECK(found.signs[chunk][track] * given == signs[0][track]);
      }
    }
  }
}

}  // namespace gdprnn
