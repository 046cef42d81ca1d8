// Bulletins: what clients and traders publish to a topic, and who reads it.
#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "troupe/actors/observer.h"
#include "troupe/actors/topic.h"
#include "troupe/sim/traders/trade.h"

namespace troupe::sim {
namespace {

constexpr char kTopic[] = "daily";
constexpr uint64_t kPublishedMax = 40;  // By one publisher. Each item takes a while to each reader.

using Items = TraderBook::Named;

// An observer.
class Screen final : public Bulletin::Actor {
 public:
  Items items;

 private:
  Task<void> Item(std::string from, uint64_t number) override {
    items.emplace_back(from, number);
    co_return;
  }
  Task<void> Missed(std::string, uint64_t, uint64_t) override { co_return; }
};

class Bulletins final : public Trade {
 public:
  using Trade::Trade;

 private:
  void Start() override {
    const size_t readers = 1 + floor_.random().Below(2);
    for (size_t i = 0; i < readers; ++i) Subscribe(TradeFloor::traders()[i]);
    if (floor_.random().Chance(0.5)) Observe();
  }
  void Subscribe(const std::string& key) {
    const std::string& client = TradeFloor::clients().front();
    Bulletin::Ref reader = floor_.cluster().client(client).Get<Trader>(key);
    floor_.Watch(absl::StrCat("subscribing ", key),
                 Topic(client).Subscribe(reader, {.from = 1}).AsPromise(),
                 [this, key](uint64_t) { readers_.insert(key); });
  }
  void Observe() {
    const std::string& client = TradeFloor::clients().back();
    screen_ = floor_.cluster().client(client).Observe<Screen>();
    floor_.Watch("subscribing an observer",
                 Topic(client).Subscribe(screen_, {.from = 1}).AsPromise(),
                 [this](Subscription&& subscription) { reading_ = std::move(subscription); });
  }
  ClientTopic<Bulletin> Topic(const std::string& client) {
    return floor_.cluster().client(client).Topic<Bulletin>(kTopic);
  }

  void Next(const std::string& client) override {
    auto& random = floor_.random();
    const auto count = static_cast<uint32_t>(1 + random.Below(2));
    if (random.Chance(0.4)) {
      const std::string from = floor_.AnyTrader();
      if ((asked_[from] += count) > kPublishedMax) return;
      floor_.Watch(
          absl::StrCat("an announcement of ", from),
          floor_.At(client, from).Announce(kTopic, count).AsPromise(),
          [this, from](uint64_t number) { announced_[from] = std::max(announced_[from], number); });
      return;
    }
    uint64_t& asked = published_[client];
    if (asked + count > kPublishedMax) return;
    const uint64_t first = asked + 1;
    auto sent = Topic(client).Publish([&](auto& all) {
      for (uint32_t i = 0; i < count; ++i) all.Item(client, ++asked);
    });
    floor_.Watch(absl::StrCat("item ", first, " of ", client), kj::mv(sent).AsPromise(),
                 [this, client, first, count](uint64_t place) {
                   for (uint32_t i = 0; i < count; ++i) places_[{client, first + i}] = place + i;
                 });
  }

  bool Judge(const TraderBooks& books, Look look) override {
    std::map<std::string, const Items*> lists;
    for (const auto& reader : readers_) lists[reader] = &books.at(reader).items;
    if (reading_.next() > 0 && reading_.missed() == 0) lists["the observer"] = &screen_->items;
    const Items* longest = nullptr;
    for (const auto& [reader, items] : lists) {
      CheckOne(reader, *items, books);
      if (longest == nullptr || items->size() > longest->size()) longest = items;
    }
    bool arrived = true;
    for (const auto& [reader, items] : lists) {
      if (!std::equal(items->begin(), items->end(), longest->begin())) {
        floor_.Problem("topics", absl::StrCat(reader, " has read in another order than others"));
      }
      const std::string missing = Missing(*items, *longest, books);
      if (missing.empty()) continue;
      arrived = false;
      if (look == Look::kLast) {
        floor_.Problem("topics", absl::StrCat(reader, " has not read ", missing));
      }
    }
    return arrived;
  }
  void CheckOne(const std::string& reader, const Items& items, const TraderBooks& books) {
    std::map<std::string, uint64_t> newest;
    uint64_t place = 0;
    for (const auto& item : items) {
      const auto& [from, number] = item;
      const std::string what = absl::StrCat(reader, " has read item ", number, " of ", from);
      uint64_t& before = newest[from];
      if (number <= before) floor_.Problem("topics", absl::StrCat(what, " behind item ", before));
      before = number;
      const auto book = books.find(from);
      if (book == books.end() && number > published_[from]) {
        floor_.Problem("topics", what + ", which was not published");
      }
      const auto at = places_.find(item);
      if (at == places_.end()) continue;
      if (at->second <= place) {
        floor_.Problem("topics", absl::StrCat(what, ", number ", at->second,
                                              " of the topic, behind its number ", place));
      }
      place = at->second;
    }
  }
  // What a reader must have, or another one has.
  std::string Missing(const Items& items, const Items& longest, const TraderBooks& books) {
    if (items.size() < longest.size()) {
      const auto& next = longest[items.size()];
      return absl::StrCat("item ", next.second, " of ", next.first,
                          ", which another one has: ", items.size(), " of ", longest.size());
    }
    const std::set<Items::value_type> read(items.begin(), items.end());
    for (const auto& [item, place] : places_) {
      if (!read.contains(item)) {
        return absl::StrCat("item ", item.second, " of ", item.first, ", answered as number ",
                            place, " of the topic");
      }
    }
    for (const auto& key : TradeFloor::traders()) {
      for (uint64_t number = 1; number <= books.at(key).announced; ++number) {
        if (!read.contains({key, number})) {
          return absl::StrCat("item ", number, " of ", key, ", which that has told the topic");
        }
      }
      if (books.at(key).announced < announced_[key]) {
        floor_.Problem("lost write", absl::StrCat(key, " knows of ", books.at(key).announced,
                                                  " items, ", announced_[key], " were answered"));
      }
    }
    return "";
  }

  std::set<std::string> readers_;                      // Whose subscription was answered.
  std::map<std::string, uint64_t> published_;          // By client.
  std::map<std::string, uint64_t> asked_, announced_;  // By trader.
  std::map<Items::value_type, uint64_t> places_;       // In the topic, of items that were answered.
  Observer<Screen> screen_;
  Subscription reading_;
};

}  // namespace

std::unique_ptr<Trade> MakeBulletins(TradeFloor& floor) {
  return std::make_unique<Bulletins>(floor);
}

}  // namespace troupe::sim
