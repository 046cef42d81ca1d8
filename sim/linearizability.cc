#include "troupe/sim/linearizability.h"

#include <algorithm>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace troupe::sim {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
constexpr size_t kTailShown = 6;
constexpr size_t kNextShown = 12;

uint64_t Mix(uint64_t x) {  // The finisher of splitmix64.
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// An operation as the models compute with it; texts are numbered, 0 is the empty one.
struct Op {
  int64_t invoked;
  int64_t returned;  // kNever: unknown.
  int kind;          // The model's.
  int64_t a = 0, b = 0;
  int64_t result = 0;
  bool knows_result = false;
  size_t source;  // In what was given.
  bool known() const { return returned != kNever; }
};

class Texts {
 public:
  Texts() { Number(""); }
  int64_t Number(const std::string& text) {
    auto [it, fresh] = numbers_.try_emplace(text, static_cast<int64_t>(texts_.size()));
    if (fresh) texts_.push_back(text);
    return it->second;
  }
  const std::string& Text(int64_t number) const { return texts_[static_cast<size_t>(number)]; }

 private:
  absl::flat_hash_map<std::string, int64_t> numbers_;
  std::vector<std::string> texts_;
};

// ---- Models. Read() turns an operation into numbers, or false. Step() is the state after one that
// may come next, or false. Sees() tells what the operation would have been told, for explanations.

bool WholeNumber(const std::string& text, int64_t& out) { return absl::SimpleAtoi(text, &out); }

struct CounterModel {
  enum { kAdd, kGet, kErase };
  using State = int64_t;
  static bool Read(Texts&, const Operation& in, Op& op) {
    if (in.call == "add" && in.arguments.size() == 1) {
      op.kind = kAdd;
      if (!WholeNumber(in.arguments[0], op.a)) return false;
    } else if (in.call == "get" && in.arguments.empty()) {
      op.kind = kGet;
    } else if (in.call == "bump" && in.arguments.size() == 1) {
      op.kind = kAdd;
      return WholeNumber(in.arguments[0], op.a);
    } else if (in.call == "erase" && in.arguments.empty()) {
      op.kind = kErase;
      return true;
    } else {
      return false;
    }
    op.knows_result = op.known();
    return !op.known() || WholeNumber(in.result, op.result);
  }
  static bool Step(State& state, const Op& op) {
    if (op.kind == kAdd) state += op.a;
    if (op.kind == kErase) state = 0;
    return !op.knows_result || op.result == state;
  }
  static uint64_t Hash(const State& state) { return Mix(static_cast<uint64_t>(state)); }
  static std::string Show(const Texts&, const State& state) { return absl::StrCat(state); }
};

struct RegisterModel {
  enum { kRead, kWrite, kCas };
  using State = int64_t;
  static bool Read(Texts& texts, const Operation& in, Op& op) {
    op.knows_result = op.known();
    if (in.call == "read" && in.arguments.empty()) {
      op.kind = kRead;
      op.result = texts.Number(in.result);
    } else if (in.call == "write" && in.arguments.size() == 1) {
      op.kind = kWrite;
      op.a = texts.Number(in.arguments[0]);
    } else if (in.call == "cas" && in.arguments.size() == 2) {
      op.kind = kCas;
      op.a = texts.Number(in.arguments[0]);
      op.b = texts.Number(in.arguments[1]);
      op.result = in.result == "true";
      return !op.known() || in.result == "true" || in.result == "false";
    } else {
      return false;
    }
    return true;
  }
  static bool Step(State& state, const Op& op) {
    if (op.kind == kRead) return !op.knows_result || op.result == state;
    if (op.kind == kWrite) {
      state = op.a;
      return true;
    }
    const bool swaps = state == op.a;
    if (swaps) state = op.b;
    return !op.knows_result || op.result == static_cast<int64_t>(swaps);
  }
  static uint64_t Hash(const State& state) { return Mix(static_cast<uint64_t>(state)); }
  static std::string Show(const Texts& texts, const State& state) {
    return absl::StrCat("\"", texts.Text(state), "\"");
  }
};

// A list is known by its length and a hash of what was appended; nothing is copied.
struct ListModel {
  enum { kAppend, kList };
  struct State {
    int64_t length = 0;
    uint64_t hash = 0;
  };
  static uint64_t Append(uint64_t hash, int64_t item) {
    return Mix(hash ^ Mix(static_cast<uint64_t>(item) + 1));
  }
  static bool Read(Texts& texts, const Operation& in, Op& op) {
    if (in.call == "append" && in.arguments.size() == 1) {
      op.kind = kAppend;
      op.a = texts.Number(in.arguments[0]);
      op.knows_result = op.known() && !in.result.empty();
      return !op.knows_result || WholeNumber(in.result, op.result);
    }
    if (in.call != "list" || !in.arguments.empty()) return false;
    op.kind = kList;
    op.knows_result = op.known();
    uint64_t hash = 0;
    if (!in.result.empty()) {
      for (const auto item : absl::StrSplit(in.result, ',')) {
        hash = Append(hash, texts.Number(std::string(item)));
        ++op.b;
      }
    }
    op.result = static_cast<int64_t>(hash);
    return true;
  }
  static bool Step(State& state, const Op& op) {
    if (op.kind == kList) {
      return !op.knows_result ||
             (op.b == state.length && op.result == static_cast<int64_t>(state.hash));
    }
    state.hash = Append(state.hash, op.a);
    ++state.length;
    return !op.knows_result || op.result == state.length;
  }
  static uint64_t Hash(const State& state) { return Mix(state.hash + Mix(uint64_t(state.length))); }
  static std::string Show(const Texts&, const State& state) {
    return absl::StrCat("a list of ", state.length);
  }
};

struct QueueModel {
  enum { kPush, kPop };
  using State = std::deque<int64_t>;
  static bool Read(Texts& texts, const Operation& in, Op& op) {
    op.knows_result = op.known();
    if (in.call == "push" && in.arguments.size() == 1) {
      op.kind = kPush;
      op.a = texts.Number(in.arguments[0]);
      return true;
    }
    op.kind = kPop;
    op.result = texts.Number(in.result);
    return in.call == "pop" && in.arguments.empty();
  }
  static bool Step(State& state, const Op& op) {
    if (op.kind == kPush) {
      state.push_back(op.a);
      return true;
    }
    const int64_t oldest = state.empty() ? 0 : state.front();
    if (!state.empty()) state.pop_front();
    return !op.knows_result || op.result == oldest;
  }
  static uint64_t Hash(const State& state) {
    uint64_t hash = state.size();
    for (int64_t item : state) hash = Mix(hash ^ static_cast<uint64_t>(item));
    return hash;
  }
  static std::string Show(const Texts& texts, const State& state) {
    return state.empty() ? "an empty queue"
                         : absl::StrCat("a queue of ", state.size(), ", the oldest \"",
                                        texts.Text(state.front()), "\"");
  }
};

// ---- The search.

// Depth first over the orders. Operations that returned are tried before unknown ones, in the order
// of their invocation; of unknown ones that are alike, the first invoked stands for all: what a
// later one could do, it can.
template <typename M>
class Search {
 public:
  Search(std::vector<Op> ops, const LinearizabilityLimits& limits)
      : ops_(std::move(ops)), limits_(limits) {
    std::stable_sort(ops_.begin(), ops_.end(),
                     [](const Op& a, const Op& b) { return a.invoked < b.invoked; });
    std::map<std::tuple<int, int64_t, int64_t>, size_t> alike;
    size_t last = End();
    next_.assign(ops_.size() + 1, End());
    before_.assign(ops_.size() + 1, End());
    for (size_t i = 0; i < ops_.size(); ++i) {
      if (ops_[i].known()) {
        Link(last, i);
        last = i;
        ++left_;
      } else {
        auto [it, fresh] = alike.try_emplace({ops_[i].kind, ops_[i].a, ops_[i].b}, unknown_.size());
        if (fresh) unknown_.emplace_back();
        unknown_[it->second].ops.push_back(i);
      }
    }
    Link(last, End());
  }

  Verdict Run() {
    State state{};
    uint64_t done = 0;
    std::vector<size_t> candidates = Candidates();
    size_t next = 0;
    while (left_ > 0) {
      if (next == candidates.size()) {
        if (path_.empty()) return Verdict::kViolation;
        Step& step = path_.back();
        Restore(step.op);
        state = std::move(step.state);
        done = step.done;
        candidates = std::move(step.candidates);
        next = step.next;
        path_.pop_back();
        continue;
      }
      const size_t op = candidates[next++];
      if (++steps_ > limits_.steps_max || seen_.size() > limits_.states_max) {
        return Verdict::kGaveUp;
      }
      State after = state;
      if (!M::Step(after, ops_[op])) continue;
      const uint64_t done_after = done ^ Mix(op + 1);
      if (!seen_.insert({done_after, Mix(done_after + 7) ^ M::Hash(after)}).second) continue;
      path_.push_back({op, std::move(state), done, std::move(candidates), next});
      Take(op);
      state = std::move(after);
      done = done_after;
      candidates = Candidates();
      next = 0;
      if (path_.size() > best_.size()) Remember(state, candidates);
    }
    return Verdict::kLinearizable;
  }

  uint64_t steps() const { return steps_; }
  const std::vector<Op>& ops() const { return ops_; }
  // The longest order found, the state after it, and what could have come next but does not fit.
  const std::vector<size_t>& best() const { return best_; }
  const typename M::State& best_state() const { return best_state_; }
  const std::vector<size_t>& best_next() const { return best_next_; }

 private:
  using State = typename M::State;
  struct Step {
    size_t op;
    State state;  // Before it.
    uint64_t done;
    std::vector<size_t> candidates;
    size_t next;
  };
  struct Alike {
    std::vector<size_t> ops;
    size_t taken = 0;
  };

  size_t End() const { return ops_.size(); }  // The head of the ring, too.
  void Link(size_t a, size_t b) {
    next_[a] = b;
    before_[b] = a;
  }

  // Those that may be next: invoked before any that is left has returned.
  std::vector<size_t> Candidates() const {
    std::vector<size_t> out;
    int64_t first_return = kNever;
    for (size_t op = next_[End()]; op != End() && ops_[op].invoked <= first_return;
         op = next_[op]) {
      first_return = std::min(first_return, ops_[op].returned);
      out.push_back(op);
    }
    // What returns first is most often what happened first.
    std::sort(out.begin(), out.end(),
              [&](size_t a, size_t b) { return ops_[a].returned < ops_[b].returned; });
    for (const Alike& alike : unknown_) {
      if (alike.taken == alike.ops.size()) continue;
      const size_t op = alike.ops[alike.taken];
      if (ops_[op].invoked <= first_return) out.push_back(op);
    }
    return out;
  }
  Alike& AlikeOf(size_t op) {
    for (Alike& alike : unknown_) {
      if (ops_[alike.ops[0]].kind == ops_[op].kind && ops_[alike.ops[0]].a == ops_[op].a &&
          ops_[alike.ops[0]].b == ops_[op].b) {
        return alike;
      }
    }
    return unknown_.front();
  }
  void Take(size_t op) {
    if (!ops_[op].known()) {
      ++AlikeOf(op).taken;
      return;
    }
    next_[before_[op]] = next_[op];
    before_[next_[op]] = before_[op];
    --left_;
  }
  void Restore(size_t op) {
    if (!ops_[op].known()) {
      --AlikeOf(op).taken;
      return;
    }
    next_[before_[op]] = op;
    before_[next_[op]] = op;
    ++left_;
  }
  void Remember(const State& state, const std::vector<size_t>& candidates) {
    best_.clear();
    for (const Step& step : path_) best_.push_back(step.op);
    best_state_ = state;
    best_next_ = candidates;
  }

  std::vector<Op> ops_;
  const LinearizabilityLimits limits_;
  std::vector<size_t> next_, before_;  // A ring of what returned and is left, by invocation.
  size_t left_ = 0;
  std::vector<Alike> unknown_;
  std::vector<Step> path_;
  absl::flat_hash_set<std::pair<uint64_t, uint64_t>> seen_;
  uint64_t steps_ = 0;
  std::vector<size_t> best_;
  State best_state_{};
  std::vector<size_t> best_next_;
};

// The history as it was known at `moment`.
std::vector<Op> UpTo(const std::vector<Op>& ops, int64_t moment) {
  std::vector<Op> out;
  for (Op op : ops) {
    if (op.invoked > moment) continue;
    if (op.returned > moment) {
      op.returned = kNever;
      op.knows_result = false;
    }
    out.push_back(op);
  }
  return out;
}

// The first return after which there is no order any more. Longer histories have no more orders.
template <typename M>
int64_t FirstBadReturn(const std::vector<Op>& ops, const LinearizabilityLimits& limits) {
  std::vector<int64_t> returns;
  for (const Op& op : ops) {
    if (op.known()) returns.push_back(op.returned);
  }
  std::sort(returns.begin(), returns.end());
  size_t good = 0, bad = returns.size() - 1;
  while (good < bad) {
    const size_t middle = good + (bad - good) / 2;
    if (Search<M>(UpTo(ops, returns[middle]), limits).Run() == Verdict::kViolation) {
      bad = middle;
    } else {
      good = middle + 1;
    }
  }
  return returns[bad];
}

template <typename M>
std::string Explain(const std::vector<Operation>& operations, const std::vector<Op>& ops,
                    const Texts& texts, const LinearizabilityLimits& limits) {
  const int64_t moment = FirstBadReturn<M>(ops, limits);
  Search<M> search(UpTo(ops, moment), limits);
  search.Run();
  const auto& shown = search.ops();
  std::string out = "no order explains what was answered up to: ";
  for (const Op& op : shown) {
    if (op.returned == moment) absl::StrAppend(&out, Describe(operations[op.source]), "\n");
  }
  const auto& best = search.best();
  absl::StrAppend(&out, "the longest order found has ", best.size(), " operations and ends with");
  for (size_t i = best.size() - std::min(best.size(), kTailShown); i < best.size(); ++i) {
    absl::StrAppend(&out, "\n  ", Describe(operations[shown[best[i]].source]));
  }
  absl::StrAppend(&out, "\nwhich leaves ", M::Show(texts, search.best_state()),
                  "; none of these fits next");
  size_t count = 0;
  for (size_t op : search.best_next()) {
    if (++count > kNextShown) break;
    absl::StrAppend(&out, "\n  ", Describe(operations[shown[op].source]));
  }
  return out;
}

template <typename M>
Judgement JudgeAs(const std::vector<Operation>& operations, const LinearizabilityLimits& limits) {
  Texts texts;
  std::vector<Op> ops;
  for (size_t i = 0; i < operations.size(); ++i) {
    const Operation& in = operations[i];
    if (in.outcome == Outcome::kRefused) continue;
    Op op{};
    op.invoked = in.invoked;
    op.returned = in.outcome == Outcome::kOk ? in.returned : kNever;
    op.source = i;
    if (!M::Read(texts, in, op)) {
      return {Verdict::kViolation, absl::StrCat("the model does not know ", Describe(in)), 0};
    }
    ops.push_back(op);
  }
  Search<M> search(ops, limits);
  Judgement out{search.Run(), "", search.steps()};
  if (out.verdict == Verdict::kViolation) {
    out.explanation = Explain<M>(operations, ops, texts, limits);
  } else if (out.verdict == Verdict::kGaveUp) {
    out.explanation = absl::StrCat("gave up after ", search.steps(), " steps over ",
                                   operations.size(), " operations");
  }
  return out;
}

}  // namespace

Judgement Judge(Model model, const std::vector<Operation>& operations,
                const LinearizabilityLimits& limits) {
  switch (model) {
    case Model::kCounter:
      return JudgeAs<CounterModel>(operations, limits);
    case Model::kRegister:
      return JudgeAs<RegisterModel>(operations, limits);
    case Model::kList:
      return JudgeAs<ListModel>(operations, limits);
    case Model::kQueue:
      return JudgeAs<QueueModel>(operations, limits);
  }
  return {};
}

Judgement Judge(Model model, const History& history, const LinearizabilityLimits& limits) {
  Judgement worst;
  uint64_t steps = 0;
  for (const auto& [object, operations] : history.ByObject()) {
    Judgement one = Judge(model, operations, limits);
    steps += one.steps;
    if (one.verdict == Verdict::kLinearizable) continue;
    one.explanation = absl::StrCat(object, ": ", one.explanation);
    const bool found = one.verdict == Verdict::kViolation;
    if (found || worst.verdict == Verdict::kLinearizable) worst = std::move(one);
    if (found) break;
  }
  worst.steps = steps;
  return worst;
}

}  // namespace troupe::sim
