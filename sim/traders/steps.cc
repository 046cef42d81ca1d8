// Steps: turns that persist what they have done before they go on, and turns that are visited.
#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "troupe/sim/traders/trade.h"

namespace troupe::sim {
namespace {

struct Entry {
  enum class Outcome : uint8_t { kUnknown, kAnswered, kUndone, kInterrupted };
  enum class Kind : uint8_t { kStep, kTour } kind = Kind::kStep;
  Outcome outcome = Outcome::kUnknown;
  std::string trader;
  std::string how;  // "fail early", "fail late", or nothing.
};

class Steps final : public Trade {
 public:
  using Trade::Trade;

 private:
  // They wait only for those who wait for nobody else, so that no two wait for each other.
  void Next(const std::string& client) override {
    auto& random = floor_.random();
    const std::string from = floor_.AnyTrader(), to = floor_.AnyTrader();
    const std::string at = floor_.AnyOf(TradeFloor::mortals());
    const uint64_t number = next_++;
    Entry& entry = entries_[number];
    entry.trader = from;
    const std::string what = absl::StrCat("entry ", number, " of ", from);
    const auto answered = [this, number] { entries_[number].outcome = Entry::Outcome::kAnswered; };
    const auto failed = [this, number](Ended ended) { Failed(entries_[number], ended); };
    if (random.Chance(0.4)) {
      entry.kind = Entry::Kind::kTour;
      return floor_.Watch(what, floor_.At(client, from).Tour(number, at), answered, failed);
    }
    if (random.Chance(0.2)) entry.how = random.Chance(0.5) ? "fail early" : "fail late";
    floor_.Watch(what, floor_.At(client, from).Step(number, to, at, entry.how), answered, failed);
  }
  static void Failed(Entry& entry, Ended ended) {
    if (ended == Ended::kUndone) entry.outcome = Entry::Outcome::kUndone;
    if (ended == Ended::kInterrupted) entry.outcome = Entry::Outcome::kInterrupted;
  }

  bool Judge(const TraderBooks& books, Look) override {
    for (const auto& [number, entry] : entries_) {
      const TraderBook& book = books.at(entry.trader);
      const auto times = [number = number](const std::vector<uint64_t>& list) {
        return std::count(list.begin(), list.end(), number);
      };
      const std::string wrong =
          Wrong(entry, times(book.begun), times(book.marked), times(book.ended));
      if (wrong.empty()) continue;
      floor_.Problem("steps", absl::StrCat(entry.trader, ", entry ", number, ", which ",
                                           Describe(entry), ": ", wrong));
    }
    return true;
  }
  static std::string Describe(const Entry& entry) {
    static const char* const kOutcomes[] = {"has an unknown outcome", "was answered",
                                            "was answered that it failed",
                                            "was answered that it was interrupted"};
    return absl::StrCat(entry.kind == Entry::Kind::kTour ? "is a tour and "
                        : entry.how.empty()              ? ""
                                            : absl::StrCat("is told to ", entry.how, " and "),
                        kOutcomes[static_cast<size_t>(entry.outcome)]);
  }
  static std::string Wrong(const Entry& entry, std::ptrdiff_t begun, std::ptrdiff_t marked,
                           std::ptrdiff_t ended) {
    using Outcome = Entry::Outcome;
    if (begun > 1 || marked > 1 || ended > 1) return "something of it was done twice";
    if (ended > begun) return "it was ended and not begun";
    if (!entry.how.empty() && ended > 0) return "what followed the failure was done";
    if (entry.how == "fail early" && begun > 0) return "what was before the failure was kept";
    if (entry.outcome == Outcome::kAnswered && !entry.how.empty()) return "it must fail";
    if (entry.outcome == Outcome::kAnswered && ended == 0) return "it is not there";
    if (entry.outcome == Outcome::kUndone && entry.how.empty()) return "it must not fail";
    if (entry.outcome == Outcome::kUndone && entry.how == "fail late" && begun == 0) {
      return "what it had persisted is gone";
    }
    if (entry.outcome == Outcome::kInterrupted) {
      if (entry.kind == Entry::Kind::kTour) return "its method is $resumable";
      if (begun == 0) return "what it had persisted is gone";
      if (ended > 0) return "it went on";
    }
    if (entry.kind == Entry::Kind::kTour && ended > marked) return "it has no mark of its visit";
    return "";
  }

  std::map<uint64_t, Entry> entries_;
  uint64_t next_ = 1;
};

}  // namespace

std::unique_ptr<Trade> MakeSteps(TradeFloor& floor) { return std::make_unique<Steps>(floor); }

}  // namespace troupe::sim
