#include "troupe/sim/traders.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "troupe/actors/topic_actor.h"
#include "troupe/sim/traders/trade.h"
#include "troupe/sim/traders/trader_actor.h"

namespace troupe::sim {
namespace {

constexpr size_t kOpenMax = 40;
// Until what is under way has arrived: in all, and while nothing moves.
constexpr int kLooksMax = 400, kStillMax = 30;
constexpr absl::Duration kLookEvery = absl::Milliseconds(400);
constexpr absl::Duration kAnswerLimit = absl::Seconds(60);

kj::Duration ToKj(absl::Duration d) { return absl::ToInt64Nanoseconds(d) * kj::NANOSECONDS; }

}  // namespace

// ---- What a seed draws

TradeMix::TradeMix(Random random) {
  std::vector<double*> kinds = {&payments, &deals, &steps, &bulletins, &watches};
  random.Shuffle(kinds);
  // Two at least; the first is most of it.
  const size_t count = 2 + random.Below(kinds.size() - 1);
  double all = 0;
  for (size_t i = 0; i < count; ++i) all += *kinds[i] = 0.2 + random.Unit();
  for (double* kind : kinds) *kind /= all;
  pause = absl::Milliseconds(80 + static_cast<int64_t>(random.Below(250)));
  const absl::Duration limits[] = {absl::Milliseconds(30), absl::Milliseconds(200),
                                   absl::Seconds(1)};
  hold_limit = limits[random.Below(3)];
  const absl::Duration idle[] = {absl::Milliseconds(60), absl::Milliseconds(300), absl::Seconds(2),
                                 absl::ZeroDuration()};
  options.idle_timeout = idle[random.Below(4)];
}

std::shared_ptr<const TradeMix> TradeMix::Draw(uint64_t seed, TraderChoice choice) {
  if (choice == TraderChoice::kNever) return nullptr;
  return std::make_shared<TradeMix>(Random(seed).Fork("traders"));
}

void Traders::Register(Registry& registry, const TradeMix& mix) {
  registry.Host<TraderActor>([limit = mix.hold_limit] { return kj::heap<TraderActor>(limit); },
                             mix.options);
  registry.Host<troupe::Topic>();
}

// ---- What clients do

struct Traders::Impl {
  Impl(Cluster& cluster, Random random, std::shared_ptr<const TradeMix> mix, Problem problem)
      : floor(cluster, random, std::move(mix), std::move(problem)) {
    const TradeMix& drawn = floor.mix();
    Add(drawn.payments, MakePayments(floor));
    Add(drawn.deals, MakeDeals(floor));
    Add(drawn.steps, MakeSteps(floor));
    Add(drawn.bulletins, MakeBulletins(floor));
    Add(drawn.watches, MakeWatches(floor));
  }
  void Add(double share, std::unique_ptr<Trade> trade) {
    trades.push_back({share, std::move(trade)});
  }

  void Loop(const std::string& client) {
    if (stopped) return;
    auto& timer = floor.cluster().world().machine(client).control().timer();
    const auto pause = floor.mix().pause * (0.2 + 1.6 * floor.random().Unit());
    floor.tasks().add(timer.afterDelay(ToKj(pause)).then([this, client] {
      if (stopped) return;
      if (floor.open() < kOpenMax) Any().Next(client);
      Loop(client);
    }));
  }
  Trade& Any() {
    double at = floor.random().Unit();
    for (const auto& [share, trade] : trades) {
      at -= share;
      if (at < 0) return *trade;
    }
    return *trades.front().trade;
  }

  void Ask() {
    books.clear();
    for (const auto& key : TradeFloor::Everyone()) {
      auto ref = floor.cluster().client(TradeFloor::clients().front()).Get<Trader>(key);
      floor.Watch(absl::StrCat("the look at ", key), ref.Show().AsPromise(),
                  [this, key](capnp::Response<Trader::ShowResults>&& reply) {
                    books[key] = TraderBook::From(reply.getState());
                  });
    }
  }
  // Whether all has arrived.
  bool Judge(Trade::Look look) {
    for (const auto& key : TradeFloor::Everyone()) {
      if (!books.contains(key)) {
        floor.Problem("healing", absl::StrCat(key, " cannot be asked after healing"));
        return true;
      }
      if (!books[key].wrong.empty()) {
        floor.Problem("traders", absl::StrCat(key, ": ", books[key].wrong));
      }
    }
    bool arrived = true;
    for (const auto& [share, trade] : trades) arrived = trade->Judge(books, look) && arrived;
    return arrived;
  }

  TradeFloor floor;
  struct Share {
    double share;
    std::unique_ptr<Trade> trade;
  };
  std::vector<Share> trades;
  TraderBooks books;
  bool stopped = false;
};

Traders::Traders(Cluster& cluster, Random random, std::shared_ptr<const TradeMix> mix,
                 Problem problem)
    : impl_(std::make_unique<Impl>(cluster, random, std::move(mix), std::move(problem))) {}

Traders::~Traders() noexcept(false) = default;

void Traders::Start() {
  for (const auto& part : impl_->trades) {
    if (part.share > 0) part.trade->Start();
  }
  for (const auto& client : TradeFloor::clients()) {
    for (int i = 0; i < 2; ++i) impl_->Loop(client);
  }
}

void Traders::Stop() { impl_->stopped = true; }
bool Traders::idle() const { return impl_->floor.open() == 0; }
uint64_t Traders::answered() const { return impl_->floor.answered(); }

void Traders::Finish(const Until& until) {
  Stop();
  const auto ended = [this] { return idle(); };
  TraderBooks before;
  int still = 0;
  for (int i = 1; i <= kLooksMax; ++i) {
    if (until(ended, kAnswerLimit)) impl_->Ask();
    if (!until(ended, kAnswerLimit)) {
      return impl_->floor.Problem("healing", impl_->floor.DescribeOpen());
    }
    still = impl_->books == before ? still + 1 : 0;
    before = impl_->books;
    const bool last = i == kLooksMax || still == kStillMax;
    if (impl_->Judge(last ? Trade::Look::kLast : Trade::Look::kOneOfMany) || last) return;
    until([] { return false; }, kLookEvery);
  }
}

}  // namespace troupe::sim
