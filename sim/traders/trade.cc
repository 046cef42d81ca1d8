#include "troupe/sim/traders/trade.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "troupe/rpc/status.h"

namespace troupe::sim {
namespace {

constexpr size_t kDescribedMax = 20;
constexpr absl::Duration kDeadline = absl::Seconds(20);
constexpr absl::Duration kHastyDeadline = absl::Seconds(1);
constexpr absl::Duration kDealDeadline = absl::Seconds(6);  // Holds may be too short for some ever.
const std::vector<std::string> kClients = {"merchant1", "merchant2"};
const std::vector<std::string> kTraders = {"trader0", "trader1", "trader2", "trader3"};
const std::vector<std::string> kMortals = {"mortal0", "mortal1"};
const std::vector<std::string> kBrokers = {"broker0", "broker1"};

}  // namespace

TradeFloor::TradeFloor(Cluster& cluster, Random random, std::shared_ptr<const TradeMix> mix,
                       Traders::Problem problem)
    : cluster_(cluster),
      random_(random),
      mix_(std::move(mix)),
      problem_(std::move(problem)),
      tasks_(errors_) {
  for (const auto& client : clients()) cluster_.AddClient(client);
}

void TradeFloor::Errors::taskFailed(kj::Exception&& exception) {
  floor.problem_("traders", absl::StrCat("the traders' client failed: ", Words(exception)));
}

const std::vector<std::string>& TradeFloor::clients() { return kClients; }
const std::vector<std::string>& TradeFloor::traders() { return kTraders; }
const std::vector<std::string>& TradeFloor::mortals() { return kMortals; }
const std::vector<std::string>& TradeFloor::brokers() { return kBrokers; }

std::vector<std::string> TradeFloor::Everyone() {
  std::vector<std::string> out;
  for (const auto* some : {&kTraders, &kMortals, &kBrokers}) {
    out.insert(out.end(), some->begin(), some->end());
  }
  return out;
}

Trader::Ref TradeFloor::At(const std::string& client, const std::string& key) {
  return cluster_.client(client).Get<Trader>(
      key, {.deadline = random_.Chance(0.1) ? kHastyDeadline : kDeadline});
}

std::string TradeFloor::DescribeOpen() const {
  std::string out = absl::StrCat(open_.size(), " calls of traders are open");
  size_t said = 0;
  for (const auto& [number, open] : open_) {
    if (++said > kDescribedMax) break;
    absl::StrAppend(&out, "\n  ", open.what, ", since ", absl::FormatDuration(Now() - open.since));
  }
  return out;
}

TransactOptions TradeFloor::ForDeals() const {
  return {.limit = mix_->hold_limit, .deadline = kDealDeadline};
}

Ended TradeFloor::Judge(const std::string& what, const kj::Exception& exception) {
  const std::string words = Words(exception);
  if (absl::StrContains(words, "Interrupted")) return Ended::kInterrupted;
  if (absl::StrContains(words, "told to fail")) return Ended::kUndone;
  if (exception.getType() != kj::Exception::Type::FAILED &&
      exception.getType() != kj::Exception::Type::UNIMPLEMENTED) {
    return Ended::kUnknown;
  }
  // State that is lost is judged by Invariants.
  if (!absl::StrContains(words, "StateLost")) {
    problem_("exactly once", absl::StrCat(what, " failed: ", words));
  }
  return Ended::kUnknown;
}

}  // namespace troupe::sim
