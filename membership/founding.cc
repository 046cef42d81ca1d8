#include "troupe/membership/founding.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "troupe/membership/codec_parts.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

namespace control = wire::control;

constexpr absl::Duration kTick = absl::Milliseconds(100);
constexpr absl::Duration kAskLimit = absl::Milliseconds(500);
// So long an offer may be under way to others before who has it asks around: who is asked before it
// came would have to refuse.
constexpr absl::Duration kPatience = absl::Seconds(1);
constexpr size_t kRefusedMax = 64;
constexpr char kExpect[] = "expect=";

// One ballot for one value: the cluster id is as unique as a process's nonce.
Ballot FoundingBallot(const std::string& founder, const Id128& cluster) {
  return {1, founder, cluster};
}

kj::ArrayPtr<const kj::byte> AsKj(const Bytes& bytes) {
  return {reinterpret_cast<const kj::byte*>(bytes.data()), bytes.size()};
}

absl::StatusOr<ValuePtr> ReadValue(capnp::Data::Reader data) {
  auto* begin = reinterpret_cast<const std::byte*>(data.begin());
  auto value = ValueOf(Bytes(begin, begin + data.size()));
  if (!value.ok()) return value;
  if (auto state = StateOf(**value); !state.ok()) return state.status();  // All of it.
  return value;
}

}  // namespace

Founding::Founding(Self& self, ControlLinks& links, MapStore& maps, RegisterShell& shell,
                   Owner& owner)
    : self_(self),
      links_(links),
      maps_(maps),
      shell_(shell),
      owner_(owner),
      alarm_(self.host, [this] { Tick(); }),
      tasks_(*this) {}

void Founding::taskFailed(kj::Exception&& exception) {
  self_.log().Error("founding task failed", {{"error", Words(exception)}});
}

std::string Founding::Metadata(uint32_t expect) { return absl::StrCat(kExpect, expect); }

uint32_t Founding::ExpectOf(const Member& member) {
  uint32_t expect = 0;
  const std::string prefix = kExpect;
  if (member.metadata.compare(0, prefix.size(), prefix) != 0) return 0;
  const std::string number = member.metadata.substr(prefix.size());
  return absl::SimpleAtoi(number, &expect) ? expect : 0;
}

// A directory may hold the acceptance of a founding value. If it is our own, all others had
// accepted before: it counts.
void Founding::Start() {
  const AcceptorState& kept = shell_.acceptor();
  if (maps_.map() == nullptr && kept.value != nullptr) {
    auto state = StateOf(*kept.value);
    const bool founding = state.ok() && kept.accepted.round == 1 &&
                          kept.accepted.nonce == state->cluster && kept.chosen == nullptr;
    if (founding && kept.accepted.node == self_.name()) return owner_.OnFounded(kept.value);
    if (founding) Bind(kept.accepted.node, *state, kept.value);
  }
  alarm_.Set(self_.Now());
}

void Founding::Tick() {
  if (maps_.map() != nullptr) return;
  alarm_.Set(self_.Now() + kTick);
  if (bound_) return AskAround();
  if (!self_.cluster.IsZero() || self_.leaving) return;  // There is a cluster: we join it.
  if (self_.options.joins_only) return;
  const uint32_t expect = self_.options.expect;
  if (expect == 1) {
    if (owner_.MayFoundAlone()) FoundAlone();
    return;
  }
  if (attempt_) return attempt_->value != nullptr && !attempt_->counts ? Offer() : void();
  if (self_.Now() < not_before_) return;
  auto seen = owner_.Seen();
  std::erase_if(seen, [&](const Member& member) {
    return !member.IsHere() || member.id.boot != 0 || ExpectOf(member) != expect;
  });
  if (seen.size() < expect || seen.front().id.name != self_.name()) return;
  seen.resize(expect);
  for (const Member& member : seen) {
    const Introduction* peer = links_.PeerOf(member.id.name);
    if (member.id.name != self_.name() && peer == nullptr) return;  // Tried again when it is there.
  }
  BeginAttempt(seen);
}

namespace {

ValuePtr ValueOfFounders(const Id128& cluster, const ClusterConfig& config,
                         std::vector<NodeEntry> nodes) {
  std::vector<Founder> founders;
  for (NodeEntry& node : nodes) {
    founders.push_back({std::move(node.name), node.nonce, std::move(node.addresses),
                        std::move(node.zone), std::move(node.roles), node.storage});
  }
  return ValueOf(Found(cluster, config, std::move(founders)));
}

}  // namespace

void Founding::FoundAlone() {
  if (alone_under_way_) return;
  alone_under_way_ = true;
  const Id128 cluster = self_.host.RandomId();
  auto value = ValueOfFounders(cluster, self_.options.config, {self_.Entry()});
  Accepted(std::move(value));
}

// The last acceptance: our own.
void Founding::Accepted(ValuePtr value) {
  auto state = StateOf(*value);
  auto accepted = shell_.AcceptFounding(FoundingBallot(self_.name(), state->cluster), value);
  tasks_.add(accepted.then([this, value](bool accepted) {
    if (!accepted) {
      self_.log().Error("the founding value was not accepted here");
      attempt_.reset();
      alone_under_way_ = false;
      return;
    }
    owner_.OnFounded(value);
  }));
}

// ---- As founder.

void Founding::BeginAttempt(const std::vector<Member>& seen) {
  attempt_ = Attempt();
  attempt_->number = ++attempts_;
  for (const Member& member : seen) {
    if (member.id.name != self_.name()) attempt_->others.push_back(member.id.name);
  }
  attempt_->candidates = {self_.Entry()};
  self_.log().Info("founding a cluster", {{"with", absl::StrJoin(attempt_->others, ",")}});
  for (const std::string& node : attempt_->others) {
    auto invite = [](control::Founding::Builder out) { out.setInvite(); };
    tasks_.add(Ask(node, invite).then([this, node, number = attempt_->number](Said&& said) {
      if (!attempt_ || attempt_->number != number) return;
      if (said.kind == Said::Kind::kChosen) return owner_.OnFounded(said.value);
      if (said.kind != Said::Kind::kCandidate || said.candidate.name != node) {
        return GiveUp(absl::StrCat(node, ": ", said.text));
      }
      attempt_->candidates.push_back(std::move(said.candidate));
      if (attempt_->candidates.size() <= attempt_->others.size()) return;
      std::sort(attempt_->candidates.begin(), attempt_->candidates.end(),
                [](const NodeEntry& a, const NodeEntry& b) { return a.name < b.name; });
      attempt_->cluster = self_.host.RandomId();
      attempt_->value =
          ValueOfFounders(attempt_->cluster, self_.options.config, attempt_->candidates);
      Offer();
    }));
  }
}

// To all who have not accepted yet; again and again, because those who have are bound.
void Founding::Offer() {
  for (const std::string& node : attempt_->others) {
    if (std::binary_search(attempt_->agreed.begin(), attempt_->agreed.end(), node)) continue;
    auto offer = [value = attempt_->value](control::Founding::Builder out) {
      out.setOffer(AsKj(value->contents));
    };
    tasks_.add(Ask(node, offer).then([this, node, number = attempt_->number](Said&& said) {
      OnOffered(number, node, said);
    }));
  }
}

void Founding::OnOffered(uint64_t attempt, const std::string& node, const Said& said) {
  if (!attempt_ || attempt_->number != attempt || attempt_->counts) return;
  if (said.kind == Said::Kind::kNothing) return;  // Asked again at the next tick.
  if (said.kind != Said::Kind::kAccepted) return GiveUp(absl::StrCat(node, ": ", said.text));
  auto& agreed = attempt_->agreed;
  auto at = std::lower_bound(agreed.begin(), agreed.end(), node);
  if (at == agreed.end() || *at != node) agreed.insert(at, node);
  const bool enough = self_.options.mutations->founding_without_all &&
                      2 * (agreed.size() + 1) > attempt_->others.size() + 1;
  if (agreed.size() < attempt_->others.size() && !enough) return;
  attempt_->counts = true;
  Accepted(attempt_->value);
}

void Founding::GiveUp(const std::string& why) {
  if (attempt_->counts) return;
  self_.log().Warning("founding given up, to be tried again", {{"reason", why}});
  auto given_up = *std::exchange(attempt_, std::nullopt);
  not_before_ = self_.Now() + kTick * (1 + self_.host.random().Below(5));
  if (given_up.value == nullptr) return;
  Refuse(given_up.cluster);  // Whoever asks later is told the same.
  for (const std::string& node : given_up.others) {
    auto withdraw = [cluster = given_up.cluster](control::Founding::Builder out) {
      codec::WriteId(cluster, out.initWithdraw());
    };
    tasks_.add(Ask(node, withdraw).then([](Said&&) {}));
  }
}

void Founding::Refuse(const Id128& cluster) {
  if (std::find(refused_.begin(), refused_.end(), cluster) != refused_.end()) return;
  refused_.push_back(cluster);
  if (refused_.size() > kRefusedMax) refused_.pop_front();
}

// ---- As one who is bound.

void Founding::Bind(const std::string& founder, const ClusterState& state, const ValuePtr& value) {
  bound_ = Bound{state.cluster, founder, state, value, self_.Now() + kPatience};
}

void Founding::AskAround() {
  if (self_.Now() < bound_->ask_at) return;
  if (self_.Now() - said_at_ > absl::Seconds(10)) {
    said_at_ = self_.Now();
    self_.log().Info("waiting for the founding to be finished", {{"founder", bound_->founder}});
  }
  for (const NodeEntry& node : bound_->state.nodes) {
    if (node.name == self_.name()) continue;
    auto ask = [cluster = bound_->cluster](control::Founding::Builder out) {
      codec::WriteId(cluster, out.initAsk());
    };
    tasks_.add(
        Ask(node.name, ask).then([this, name = node.name, cluster = bound_->cluster](Said&& said) {
          OnAsked(cluster, name, said);
        }));
  }
}

void Founding::OnAsked(const Id128& cluster, const std::string& node, const Said& said) {
  if (!bound_ || bound_->cluster != cluster || maps_.map() != nullptr) return;
  if (said.kind == Said::Kind::kChosen) {
    auto state = StateOf(*said.value);
    if (state.ok() && state->cluster == cluster) owner_.OnFounded(said.value);
    return;
  }
  if (said.kind == Said::Kind::kRefused) Release(absl::StrCat(node, ": ", said.text));
}

void Founding::Release(const std::string& why) {
  self_.log().Warning("no longer bound to a founding that never counts",
                      {{"founder", bound_->founder}, {"reason", why}});
  Refuse(bound_->cluster);
  tasks_.add(shell_.ForgetFounding().then([this](bool) { bound_.reset(); }));
}

// ---- Requests and answers.

kj::Promise<Founding::Said> Founding::Ask(const std::string& node,
                                          kj::Function<void(control::Founding::Builder)> fill) {
  capnp::MallocMessageBuilder message;
  auto out = message.initRoot<control::Founding>();
  const uint64_t number = links_.NextNumber();
  out.setNumber(number);
  out.setExpect(self_.options.expect);
  fill(out);
  return links_.Call(node, control::KIND_FOUNDING, number, message, kAskLimit)
      .then([](kj::Own<Frame> answer) { return Read(answer->header<control::FoundingAnswer>()); })
      .catch_([](kj::Exception&& e) {
        Said said;
        said.text = Words(e);
        return said;
      });
}

Founding::Said Founding::Read(control::FoundingAnswer::Reader in) {
  Said said;
  switch (in.which()) {
    case control::FoundingAnswer::CANDIDATE: {
      auto node = codec::ReadNode(in.getCandidate());
      if (!node.ok()) break;
      said.kind = Said::Kind::kCandidate;
      said.candidate = *std::move(node);
      break;
    }
    case control::FoundingAnswer::ACCEPTED:
      said.kind = Said::Kind::kAccepted;
      break;
    case control::FoundingAnswer::REFUSED:
      said.kind = Said::Kind::kRefused;
      said.text = std::string(in.getRefused().cStr());
      break;
    case control::FoundingAnswer::CHOSEN: {
      auto value = ReadValue(in.getChosen());
      if (!value.ok()) break;
      said.kind = Said::Kind::kChosen;
      said.text = "it has a cluster already";
      said.value = *std::move(value);
      break;
    }
  }
  return said;
}

void Founding::Reply(LinkNumber to, uint64_t number,
                     kj::Function<void(control::FoundingAnswer::Builder)> fill) {
  capnp::MallocMessageBuilder message;
  auto out = message.initRoot<control::FoundingAnswer>();
  out.setNumber(number);
  fill(out);
  links_.Answer(to, control::KIND_FOUNDING_ANSWER, message);
}

void Founding::OnRequest(LinkNumber from, const Introduction& peer, Frame& frame) {
  auto in = frame.header<control::Founding>();
  const uint64_t number = in.getNumber();
  if (in.isWithdraw()) {
    if (bound_ && bound_->cluster == codec::ReadId(in.getWithdraw()) &&
        peer.node == bound_->founder) {
      Release("withdrawn by its founder");
    }
    return Reply(from, number, [](auto out) { out.setAccepted(); });
  }
  if (in.isAsk()) {
    const Id128 cluster = codec::ReadId(in.getAsk());
    return Reply(from, number, [&](auto out) { OnAsk(cluster, out); });
  }
  if (maps_.map() != nullptr) {
    return Reply(from, number, [this](auto out) { out.setChosen(AsKj(maps_.value()->contents)); });
  }
  if (in.getExpect() != self_.options.expect) {
    const std::string why =
        absl::StrCat("expects ", self_.options.expect, " nodes, not ", in.getExpect());
    return Reply(from, number, [&](auto out) { out.setRefused(why.c_str()); });
  }
  if (in.isOffer()) return OnOffer(from, peer, in);
  if (bound_ || attempt_) {
    return Reply(from, number, [](auto out) { out.setRefused("takes part in another founding"); });
  }
  Reply(from, number, [this](auto out) { codec::WriteNode(self_.Entry(), out.initCandidate()); });
}

void Founding::OnOffer(LinkNumber from, const Introduction& peer, control::Founding::Reader in) {
  const uint64_t number = in.getNumber();
  auto refuse = [&](const std::string& why) {
    Reply(from, number, [&](auto out) { out.setRefused(why.c_str()); });
  };
  auto value = ReadValue(in.getOffer());
  if (!value.ok()) return refuse(std::string(value.status().message()));
  auto state = *StateOf(**value);
  const std::string founder = state.nodes.empty() ? "" : state.nodes.front().name;
  const NodeEntry* listed = state.FindNode(self_.name());
  const bool again = bound_ && bound_->cluster == state.cluster;
  if (!again) {
    const bool refused =
        std::find(refused_.begin(), refused_.end(), state.cluster) != refused_.end();
    std::string why;
    if (refused) why = "that founding was given up here";
    if (bound_ || attempt_) why = "takes part in another founding";
    if (listed == nullptr || listed->nonce != self_.nonce) why = "is another process than listed";
    if (peer.node != founder || state.nodes.size() != self_.options.expect) {
      why = absl::StrCat("a value of ", state.nodes.size(), " nodes founded by ", founder,
                         ", from ", peer.node);
    }
    if (!why.empty()) {
      Refuse(state.cluster);
      return refuse(why);
    }
    Bind(founder, state, *value);
  }
  auto accepted = shell_.AcceptFounding(FoundingBallot(founder, state.cluster), *value);
  tasks_.add(accepted.then([this, from, number, cluster = state.cluster](bool accepted) {
    if (accepted) return Reply(from, number, [](auto out) { out.setAccepted(); });
    Refuse(cluster);
    if (IsBoundTo(cluster)) bound_.reset();
    Reply(from, number, [](auto out) { out.setRefused("has promised another founding"); });
  }));
}

// Refused means: will never accept it, so it never counts.
void Founding::OnAsk(const Id128& cluster, control::FoundingAnswer::Builder out) {
  if (maps_.map() != nullptr && maps_.map()->cluster == cluster) {
    return out.setChosen(AsKj(maps_.value()->contents));
  }
  if (bound_ && bound_->cluster == cluster) return out.setAccepted();
  if (attempt_ && attempt_->cluster == cluster) return out.setAccepted();
  Refuse(cluster);
  out.setRefused("knows nothing of it, or has given it up");
}

}  // namespace troupe
