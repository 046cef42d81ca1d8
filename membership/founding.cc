#include "troupe/membership/founding.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "troupe/membership/codec_parts.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

namespace control = wire::control;

constexpr absl::Duration kAskLimit = absl::Milliseconds(500);
// So long an offer may be under way to others before who has it asks around: who is asked before it
// came would have to refuse.
constexpr absl::Duration kPatience = absl::Seconds(1);
constexpr size_t kRefusedMax = 64;
constexpr char kExpect[] = "expect=";

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
  if (seen.size() < expect) return SayWhoIsThere(seen);
  if (seen.front().id.name != self_.name()) return;
  seen.resize(expect);
  for (const Member& member : seen) {
    const Introduction* peer = links_.PeerOf(member.id.name);
    if (member.id.name != self_.name() && peer == nullptr) return;  // Tried again when it is there.
  }
  BeginAttempt(seen);
}

// Until it is enough: clients are not answered before, and would like to know why.
void Founding::SayWhoIsThere(const std::vector<Member>& seen) {
  if (self_.Now() - said_at_ <= absl::Seconds(10)) return;
  said_at_ = self_.Now();
  const auto name = [](std::string* out, const Member& member) {
    absl::StrAppend(out, member.id.name);
  };
  self_.log().Info("waiting for more nodes to found a cluster with, or for a cluster to join",
                   {{"expect", self_.options.expect}, {"met", absl::StrJoin(seen, ",", name)}});
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
      auto types = codec::ReadTypes(in.getTypes());
      if (!node.ok() || !types.ok()) break;
      said.kind = Said::Kind::kCandidate;
      said.candidate = {
          std::move(node->name),  node->nonce,   std::move(node->addresses), std::move(node->zone),
          std::move(node->roles), node->storage, *std::move(types)};
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
  if (in.isUnfit()) {
    Reply(from, number, [](auto out) { out.setAccepted(); });
    if (maps_.map() == nullptr && !bound_) owner_.OnUnfit(in.getUnfit().cStr());
    return;
  }
  if (in.isAsk()) {
    const Id128 cluster = codec::ReadId(in.getAsk());
    return Reply(from, number, [&](auto out) { OnAsk(cluster, out); });
  }
  if (maps_.map() != nullptr) {
    return Reply(from, number,
                 [this](auto out) { out.setChosen(codec::AsKj(maps_.value()->contents)); });
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
  Reply(from, number, [this](auto out) {
    codec::WriteNode(self_.Entry(), out.initCandidate());
    const auto& types = self_.options.types;
    codec::WriteTypes(types, out.initTypes(static_cast<unsigned>(types.size())));
  });
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
    for (const HostedType& type : self_.options.types) {  // An older founder knows none as durable.
      const HostedType* known = state.FindType(type.id);
      if (known == nullptr || known->durable != type.durable) why = "has other types than we host";
    }
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
  auto accepted = shell_.AcceptFounding(BallotOf(founder, state.cluster), *value);
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
    return out.setChosen(codec::AsKj(maps_.value()->contents));
  }
  if (bound_ && bound_->cluster == cluster) return out.setAccepted();
  if (attempt_ && attempt_->cluster == cluster) return out.setAccepted();
  Refuse(cluster);
  out.setRefused("knows nothing of it, or has given it up");
}

}  // namespace troupe
