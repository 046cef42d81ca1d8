#include "kill_run.h"

#include <signal.h>

#include <algorithm>
#include <deque>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "capnp/serialize.h"
#include "troupe/rpc/status.h"

namespace {

constexpr absl::Duration kStartLimit = absl::Seconds(30);
constexpr absl::Duration kRecoveryLimit = absl::Seconds(60);
constexpr absl::Duration kStatusLimit = absl::Milliseconds(500);
constexpr absl::Duration kCalm =
    absl::Milliseconds(300);  // Calls that a kill caught are through by then.

}  // namespace

KillRun::KillRun(troupe::Host& host, ClusterProcesses& cluster,
                 const std::vector<std::string>& words, size_t in_flight,
                 std::function<void(const std::string&)> say)
    : host_(host), cluster_(cluster), words_(words), in_flight_(in_flight), say_(std::move(say)) {}

troupe::Task<void> KillRun::Found() {
  cluster_.StartAll();
  client_.emplace(host_, troupe::ClientOptions{.nodes = cluster_.addresses(), .name = "words"});
  load_.emplace(host_, *client_, words_, in_flight_);
  auto connected = client_->Connected(kStartLimit);
  co_await connected;
  const size_t all = cluster_.nodes().size();
  auto complete = WaitFor("all nodes in the cluster", kStartLimit,
                          [all](const Coverage& c) { return c.full() && c.up == all; });
  co_await complete;
}

troupe::Task<KillReport> KillRun::Kill(size_t victim) {
  KillReport report;
  report.node = cluster_.nodes()[victim].name;
  auto coordinator = Coordinator();
  const std::string coordinator_name = co_await coordinator;
  report.coordinator = report.node == coordinator_name;
  const troupe::Boot boot = client_->map()->FindNode(report.node)->boot;

  const absl::Time at = host_.clock().Now();
  load_->MarkKill(at);
  cluster_.Kill(victim, SIGKILL);
  say_(absl::StrCat("kill -9 ", report.node,
                    report.coordinator ? ", which was the coordinator" : ""));
  auto noticed =
      WaitFor(absl::StrCat("the loss of ", report.node, " to be noticed"), kRecoveryLimit,
              [this, boot](const Coverage&) { return !client_->map()->IsUp(boot); });
  co_await noticed;
  auto covered =
      WaitFor("full redundancy", kRecoveryLimit, [](const Coverage& c) { return c.full(); });
  co_await covered;
  report.redundant_ms = absl::ToDoubleMilliseconds(host_.clock().Now() - at);
  auto calm = Sleep(kCalm);
  co_await calm;
  report.gap_ms = absl::ToDoubleMilliseconds(load_->GapSinceKill());
  say_(absl::StrFormat("longest gap of a call %.1f ms; redundant again after %.0f ms",
                       report.gap_ms, report.redundant_ms));

  cluster_.Start(victim);
  say_(absl::StrCat("started ", report.node, " again, empty"));
  const size_t all = cluster_.nodes().size();
  auto back = WaitFor(absl::StrCat(report.node, " to be in sync again"), kRecoveryLimit,
                      [all](const Coverage& c) { return c.full() && c.up == all; });
  co_await back;
  say_(absl::StrCat(report.node, " is in sync again"));
  co_return report;
}

troupe::Task<KillTally> KillRun::Compare(std::map<std::string, uint64_t> expected) {
  // Also words that nobody expects: what was counted for them is doubled.
  for (const auto& word : words_) expected.try_emplace(word, 0);
  KillTally tally;
  std::deque<std::pair<uint64_t, kj::Promise<uint64_t>>> counts;
  auto next = expected.begin();
  while (next != expected.end() || !counts.empty()) {
    for (; next != expected.end() && counts.size() < in_flight_; ++next) {
      counts.emplace_back(next->second, CountOf(next->first));
    }
    const uint64_t want = counts.front().first;
    auto answer = kj::mv(counts.front().second);
    counts.pop_front();
    const uint64_t have = co_await answer;
    if (have < want) tally.lost += want - have;
    if (have > want) tally.doubled += have - want;
  }
  co_return tally;
}

troupe::Task<void> KillRun::Sleep(absl::Duration duration) {
  auto slept = host_.timer().afterDelay(absl::ToInt64Microseconds(duration) * kj::MICROSECONDS);
  co_await slept;
}

troupe::Task<void> KillRun::WaitFor(std::string what, absl::Duration limit,
                                    std::function<bool(const Coverage&)> done) {
  const absl::Time deadline = host_.clock().Now() + limit;
  while (!client_->map() || !done(Cover(*client_->map()))) {
    if (host_.clock().Now() > deadline) {
      auto failure = troupe::Overloaded(
          absl::StrCat("waited ", absl::FormatDuration(limit), " in vain for ", what));
      co_await troupe::Fail(kj::mv(failure));
    }
    auto slept = Sleep(absl::Milliseconds(5));
    co_await slept;
  }
}

troupe::Task<std::string> KillRun::Coordinator() {
  for (const auto& node : cluster_.nodes()) {
    auto asked = client_->Status(node.name, kStatusLimit);
    auto status = co_await troupe::Settled(asked);
    if (!status.ok()) continue;
    capnp::FlatArrayMessageReader reader(status.value().words());
    std::string name = reader.getRoot<troupe::wire::StatusFrame>().getCoordinator().cStr();
    co_return name;
  }
  co_return std::string();
}

troupe::Task<uint64_t> KillRun::CountOf(std::string word) {
  co_return co_await client_->Get<Word>(word).Count();
}
