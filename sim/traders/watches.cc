// Watches: traders that watch others and nodes, and others that come to an end.
#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "troupe/sim/traders/trade.h"
#include "troupe/sim/traders/trader_actor.h"

namespace troupe::sim {
namespace {

std::string Say(absl::Time time) { return absl::FormatDuration(time - absl::UnixEpoch()); }

class Watches final : public Trade {
 public:
  explicit Watches(TradeFloor& floor) : Trade(floor) {}

 private:
  struct End {
    std::string who;
    std::optional<absl::Time> answered;
    TraderBook::Named guests;
  };
  struct NodeWatch {
    std::string node;
    Boot boot = 0;  // As the call was answered.
  };
  using Name = std::pair<std::string, uint64_t>;  // Watcher and serial.

  void Start() override {
    if (const auto map = floor_.cluster().NewestMap()) {
      for (const auto& node : map->nodes) first_runs_[node.name] = RunOf(node.name);
    }
  }

  void Next(const std::string& client) override {
    auto& random = floor_.random();
    const std::string watcher = floor_.AnyTrader(), who = floor_.AnyOf(TradeFloor::mortals());
    const double kind = random.Unit();
    if (kind < 0.2) return Finish(client, who);
    if (kind < 0.25) return FailToFinish(client, who);
    if (kind < 0.4) return WatchNode(client, watcher);
    WatchOne(client, watcher, who, kind < 0.6 ? "anew" : "");
  }
  void WatchOne(const std::string& client, const std::string& watcher, const std::string& who,
                const std::string& how) {
    floor_.Watch(absl::StrCat(watcher, " watching ", who),
                 floor_.At(client, watcher).Watch(who, how).AsPromise(),
                 [this, watcher, began = floor_.Now()](Trader::WatchReply&& reply) {
                   if (reply.fresh) began_[{watcher, reply.serial}] = began;
                 });
  }
  void WatchNode(const std::string& client, const std::string& watcher) {
    const std::string node = floor_.AnyOf(floor_.cluster().names());
    floor_.Watch(absl::StrCat(watcher, " watching node ", node),
                 floor_.At(client, watcher).WatchNode(node).AsPromise(),
                 [this, watcher, node](Trader::WatchNodeReply&& reply) {
                   if (reply.fresh) nodes_[{watcher, reply.serial}] = {node, RunOf(node).boot};
                 });
  }
  void Finish(const std::string& client, const std::string& who) {
    const size_t at = ends_.size();
    ends_.push_back({who, std::nullopt, {}});
    floor_.Watch(absl::StrCat("the end of ", who), floor_.At(client, who).End("").AsPromise(),
                 [this, at, client, who](capnp::Response<Trader::EndResults>&& reply) {
                   ends_[at].answered = floor_.Now();
                   for (auto guest : reply.getGuests()) {
                     ends_[at].guests.emplace_back(guest.getName().cStr(), guest.getSerial());
                   }
                   // While the notices of it may be under way.
                   for (const auto& watcher : TradeFloor::traders()) {
                     if (floor_.random().Chance(0.4)) WatchOne(client, watcher, who, "anew");
                   }
                 });
  }
  void FailToFinish(const std::string& client, const std::string& who) {
    floor_.Watch(absl::StrCat("the end of ", who), floor_.At(client, who).End("fail").AsPromise(),
                 [this, who](capnp::Response<Trader::EndResults>&&) {
                   floor_.Problem("failed turn", who + ": an end that fails was answered");
                 });
  }

  struct Run {
    Boot boot = 0;  // None of that name.
    uint64_t generation = 0;
    bool lives = false;
    friend bool operator==(const Run&, const Run&) = default;
  };
  Run RunOf(const std::string& node) {
    const auto map = floor_.cluster().NewestMap();
    const NodeEntry* entry = map ? map->FindNode(node) : nullptr;
    if (entry == nullptr) return {};
    return {entry->boot, entry->generation,
            entry->state == NodeState::kUp || entry->state == NodeState::kDraining};
  }

  bool Judge(const TraderBooks& books, Look look) override {
    for (const auto& watcher : TradeFloor::traders()) {
      for (const auto& [who, serial] : books.at(watcher).notices) {
        CheckCause(watcher, who, serial);
      }
    }
    bool arrived = true;
    const auto missing = [&](const std::string& what) {
      arrived = false;
      if (look == Look::kLast) floor_.Problem("watches", what);
    };
    for (const End& end : ends_) {
      for (const auto& [watcher, serial] : end.guests) {
        if (IsOver(books.at(watcher), end.who, serial)) continue;
        missing(absl::StrCat(watcher, " has no notice for its watch ", serial, " of ", end.who,
                             ", which ended by ", Say(*end.answered), " and knew of the watch"));
      }
    }
    for (const auto& [name, watch] : nodes_) {
      // Whether a node that was fenced, and is back, was watched before or since is not known.
      const Run run = RunOf(watch.node);
      if (run.lives && run.boot == watch.boot) continue;
      if (IsOver(books.at(name.first), NodeName(watch.node), name.second)) continue;
      missing(absl::StrCat(name.first, " has no notice for its watch ", name.second, " of node ",
                           watch.node, ", begun when its boot was ", watch.boot, "; that is ",
                           run.boot, " now, and ", run.lives ? "lives" : "does not live"));
    }
    return arrived;
  }
  static bool IsOver(const TraderBook& book, const std::string& who, uint64_t serial) {
    const auto has = [&](const TraderBook::Named& list) {
      return std::find(list.begin(), list.end(), std::pair(who, serial)) != list.end();
    };
    return has(book.notices) || has(book.dropped);
  }
  // There was an end since the watch began.
  void CheckCause(const std::string& watcher, const std::string& who, uint64_t serial) {
    const std::string what =
        absl::StrCat(watcher, " had a notice for its watch ", serial, " of ", who);
    for (const auto& [node, run] : first_runs_) {
      if (who != NodeName(node) || RunOf(node) != run || !run.lives) continue;
      floor_.Problem("watches", absl::StrCat(what, ", which has never been fenced: its boot is ",
                                             run.boot, ", its generation ", run.generation));
    }
    const auto began = began_.find({watcher, serial});
    if (began == began_.end()) return;
    const bool ended = std::any_of(ends_.begin(), ends_.end(), [&](const End& end) {
      return end.who == who && (!end.answered || *end.answered >= began->second);
    });
    if (ended) return;
    floor_.Problem("watches", absl::StrCat(what, ", begun after ", Say(began->second),
                                           "; nothing has ended that since"));
  }

  std::vector<End> ends_;
  std::map<Name, absl::Time> began_;  // Of others; when the call was made.
  std::map<Name, NodeWatch> nodes_;
  std::map<std::string, Run> first_runs_;
};

}  // namespace

std::unique_ptr<Trade> MakeWatches(TradeFloor& floor) { return std::make_unique<Watches>(floor); }

}  // namespace troupe::sim
