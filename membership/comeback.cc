#include "troupe/membership/comeback.h"

#include <algorithm>
#include <utility>

#include "troupe/membership/codec_parts.h"
#include "troupe/membership/control.capnp.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

namespace control = wire::control;

constexpr absl::Duration kTick = absl::Milliseconds(200);
constexpr absl::Duration kProbeLimit = absl::Milliseconds(500);
constexpr absl::Duration kAskLimit = absl::Seconds(2);
constexpr absl::Duration kRemembered = absl::Minutes(10);
constexpr absl::Duration kHoldMax = absl::Seconds(60);

}  // namespace

Comeback::Comeback(Self& self, ControlLinks& links, MapStore& maps, RegisterShell& shell,
                   Unfit unfit)
    : self_(self),
      links_(links),
      maps_(maps),
      shell_(shell),
      unfit_(kj::mv(unfit)),
      alarm_(self.host, [this] { Tick(); }),
      tasks_(*this) {}

void Comeback::taskFailed(kj::Exception&& exception) {
  asking_ = false;
  self_.log().Error("coming back failed", {{"error", Words(exception)}});
}

const NodeEntry* Comeback::Fenced() const {
  if (self_.boot == 0 || maps_.map() == nullptr) return nullptr;
  const NodeEntry* entry = maps_.map()->FindNode(self_.name());
  const bool fenced =
      entry != nullptr && entry->boot == self_.boot && entry->state == NodeState::kFenced;
  return fenced ? entry : nullptr;
}

void Comeback::OnNewMap() {
  const NodeEntry* entry = Fenced();
  if (entry == nullptr) {
    generation_ = 0;
    return;
  }
  if (generation_ == entry->generation + 1) return;
  generation_ = entry->generation + 1;
  const absl::Time now = self_.Now();
  while (!comebacks_.empty() && now - comebacks_.front() > kRemembered) comebacks_.pop_front();
  const auto times = static_cast<int>(std::min<size_t>(comebacks_.size() + 1, 6));
  const absl::Duration hold = std::min(absl::Seconds(1 << times), kHoldMax);
  held_until_ = now + hold;
  self_.log().Warning("this node is fenced: it stops its actors and asks to come back",
                      {{"boot", self_.boot}, {"not_before", absl::FormatDuration(hold)}});
  alarm_.Set(held_until_);
}

void Comeback::Tick() {
  if (Fenced() == nullptr) return;
  alarm_.Set(self_.Now() + kTick);
  if (self_.Now() >= held_until_ && !asking_) Probe();
}

void Comeback::Probe() {
  auto round = std::make_shared<Round>();
  std::vector<std::pair<std::string, Id128>> up;
  for (const NodeEntry& node : maps_.map()->nodes) {
    if (node.state == NodeState::kUp) up.emplace_back(node.name, node.nonce);
  }
  asking_ = true;
  round->asked = up.size();
  if (up.empty()) return Ask();  // Nobody is left to object.
  for (const auto& [name, nonce] : up) {
    capnp::MallocMessageBuilder message;
    const uint64_t number = links_.NextNumber();
    message.initRoot<control::LinkProbe>().setNumber(number);
    tasks_.add(links_.Call(name, control::KIND_LINK_PROBE, number, message, kProbeLimit)
                   .then([nonce = nonce](kj::Own<Frame> frame) {
                     auto answer = frame->header<control::LinkProbeAnswer>();
                     return codec::ReadId(answer.getNonce()) == nonce && answer.getReachesAsker();
                   })
                   .catch_([](kj::Exception&&) { return false; })
                   .then([this, round](bool both_ways) {
                     round->both_ways += both_ways ? 1 : 0;
                     ++round->answered;
                     Count(*round);
                   }));
  }
}

void Comeback::Count(Round& round) {
  if (round.answered < round.asked) return;
  const size_t needed = round.asked < 4 ? round.asked : round.asked / 2 + 1;
  if (round.both_ways >= needed) return Ask();
  asking_ = false;
}

void Comeback::Ask() {
  const NodeEntry* entry = Fenced();
  if (entry == nullptr) {
    asking_ = false;
    return;
  }
  tasks_.add(shell_.Execute(Unfence{entry->name, entry->boot, entry->generation}, kAskLimit)
                 .then([this](absl::Status&& status) {
                   asking_ = false;
                   if (absl::IsInvalidArgument(status)) unfit_(std::string(status.message()));
                   if (!status.ok()) return;
                   comebacks_.push_back(self_.Now());
                   self_.log().Info("no longer fenced", {{"boot", self_.boot}});
                 }));
}

}  // namespace troupe
