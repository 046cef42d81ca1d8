#include "troupe/membership/operator_desk.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/membership/alarm.h"
#include "troupe/membership/codec_parts.h"
#include "troupe/membership/register_codec.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

namespace control = wire::control;

constexpr size_t kUnderWayMax = 16;
constexpr absl::Duration kQuorumLimit = absl::Seconds(3);
constexpr absl::Duration kCommandLimit = absl::Seconds(5);
constexpr absl::Duration kSurveyLimit = absl::Seconds(2);
// So long a survivor takes part in no other's founding.
constexpr absl::Duration kTakesPart = absl::Seconds(30);
// A primary alone in its ISR answers up to 2 s after its last word from the register (P3.13); with
// what clocks may drift, it has stopped after this.
constexpr absl::Duration kLoneAnswers = absl::Milliseconds(2500);

OperatorReply Refusal(absl::Status status) {
  OperatorReply reply;
  reply.status = std::move(status);
  return reply;
}
OperatorReply Refusal(const std::string& why) {
  return Refusal(absl::FailedPreconditionError(why));
}

std::span<const std::byte> AsStd(capnp::Data::Reader data) {
  return {reinterpret_cast<const std::byte*>(data.begin()), data.size()};
}

const char* Words(ShardState state) {
  switch (state) {
    case ShardState::kActive:
      return "served by a primary";
    case ShardState::kNoPrimary:
      return "without a primary, as its copies may come back (see `troupe declare-lost`)";
    case ShardState::kLost:
      return "LOST";
  }
  return "?";
}

absl::StatusOr<Remains> ReadRemains(const std::string& node, control::SurveyAnswer::Reader in) {
  if (in.getRefused().size() > 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("node ", node, " refuses: ", in.getRefused().cStr()));
  }
  Remains remains{node, codec::ReadId(in.getNonce()), nullptr, {}, codec::ReadId(in.getStorage())};
  if (in.getMap().size() > 0) {
    auto map = DecodeClusterState(AsStd(in.getMap()));
    if (!map.ok()) return map.status();
    remains.map = std::make_shared<const ClusterState>(*std::move(map));
  }
  auto stored = DecodeStoredAcceptor(AsStd(in.getAcceptor()));
  if (!stored.ok()) return stored.status();
  remains.acceptor = std::move(stored->state);
  return remains;
}

}  // namespace

OperatorDesk::OperatorDesk(Self& self, ControlLinks& links, MapStore& maps, RegisterShell& shell,
                           Owner& owner)
    : self_(self), links_(links), maps_(maps), shell_(shell), owner_(owner), tasks_(*this) {}

void OperatorDesk::taskFailed(kj::Exception&& exception) {
  self_.log().Error("an operator's request failed", {{"error", troupe::Words(exception)}});
}

void OperatorDesk::OnRequest(LinkNumber from, Frame& frame) {
  auto in = frame.header<control::Operator>();
  const uint64_t number = in.getNumber();
  auto request = Decode(in);
  kj::Promise<OperatorReply> outcome = Refusal(request.status());
  if (request.ok() && under_way_ >= kUnderWayMax) {
    outcome = Refusal(absl::ResourceExhaustedError("too many requests of operators under way"));
  } else if (request.ok()) {
    ++under_way_;
    outcome = Perform(*std::move(request))
                  .catch_([](kj::Exception&& e) {
                    return Refusal(absl::UnavailableError(troupe::Words(e)));
                  })
                  .attach(kj::defer([this] { --under_way_; }));
  }
  tasks_.add(outcome.then([this, from, number](OperatorReply&& reply) {
    capnp::MallocMessageBuilder message;
    auto out = message.initRoot<control::OperatorAnswer>();
    out.setNumber(number);
    Encode(reply, out);
    links_.Answer(from, control::KIND_OPERATOR_ANSWER, message);
  }));
}

kj::Promise<OperatorReply> OperatorDesk::Perform(OperatorRequest request) {
  if (maps_.map() == nullptr) return Refusal("this node has no map: it is in no cluster yet");
  if (request.kind == OperatorRequest::Kind::kNewGeneration) return FoundGeneration();
  return shell_.Execute(std::nullopt, kQuorumLimit)
      .then([this, request = std::move(request)](
                absl::Status&& read) mutable -> kj::Promise<OperatorReply> {
        if (!read.ok()) {
          return Refusal(absl::UnavailableError(
              absl::StrCat("no quorum of the voters answers (", std::string(read.message()),
                           "); if they are lost for good, see `troupe recover --node`")));
        }
        if (request.kind == OperatorRequest::Kind::kDeclareLost) {
          return DeclareShardsLost(std::move(request.shards));
        }
        return RecoverShards(std::move(request.shards));
      });
}

OperatorReply OperatorDesk::Done(std::vector<ShardId> shards) const {
  return {absl::OkStatus(), std::move(shards), maps_.version(), maps_.map()->generation};
}

// ---- Shards

kj::Promise<OperatorReply> OperatorDesk::RecoverShards(std::vector<ShardId> shards) {
  const ClusterState& map = *maps_.map();
  if (shards.empty()) {
    for (ShardId id = 0; id < map.shards.size(); ++id) {
      if (map.shards[id].state == ShardState::kLost) shards.push_back(id);
    }
    if (shards.empty()) return Refusal("no shard is LOST: there is nothing to recover");
  }
  std::vector<Command> commands;
  for (ShardId id : shards) {
    if (id >= map.shards.size()) {
      return Refusal(absl::StrCat("there is no shard ", id, ", only 0..", map.shards.size() - 1));
    }
    if (map.shards[id].state != ShardState::kLost) {
      return Refusal(
          absl::StrCat("shard ", id, " is not LOST, it is ", Words(map.shards[id].state)));
    }
    commands.push_back(Recover{id, map.shards[id].lineage});
  }
  self_.log().Warning("an operator recovers lost shards, empty", {{"shards", shards.size()}});
  return Execute(std::move(commands), std::move(shards));
}

kj::Promise<OperatorReply> OperatorDesk::DeclareShardsLost(std::vector<ShardId> shards) {
  const ClusterState& map = *maps_.map();
  if (shards.empty()) return Refusal("name the shards whose copies will not come back");
  std::vector<Command> commands;
  for (ShardId id : shards) {
    if (id >= map.shards.size()) {
      return Refusal(absl::StrCat("there is no shard ", id, ", only 0..", map.shards.size() - 1));
    }
    const ShardEntry& shard = map.shards[id];
    if (shard.state != ShardState::kNoPrimary) {
      return Refusal(absl::StrCat("shard ", id, " is ", Words(shard.state),
                                  "; only one without a primary can be declared lost"));
    }
    commands.push_back(DeclareLost{id, shard.lineage, shard.epoch});
  }
  self_.log().Warning("an operator declares shards lost", {{"shards", shards.size()}});
  // Should a copy come back meanwhile, the epoch has risen and the command is refused.
  return self_.host.timer()
      .afterDelay(KjWait(kLoneAnswers))
      .then([this, commands = std::move(commands), shards = std::move(shards)]() mutable {
        return Execute(std::move(commands), std::move(shards));
      });
}

kj::Promise<OperatorReply> OperatorDesk::Execute(std::vector<Command> commands,
                                                 std::vector<ShardId> shards) {
  auto outcomes = kj::heapArrayBuilder<kj::Promise<absl::Status>>(commands.size());
  for (Command& command : commands) {
    outcomes.add(shell_.Execute(std::move(command), kCommandLimit));
  }
  return kj::joinPromises(outcomes.finish())
      .then([this, shards = std::move(shards)](kj::Array<absl::Status>&& outcomes) mutable {
        for (absl::Status& outcome : outcomes) {
          if (!outcome.ok()) return Refusal(std::move(outcome));
        }
        return Done(std::move(shards));
      });
}

// ---- The next generation

kj::Promise<OperatorReply> OperatorDesk::FoundGeneration() {
  if (founding_) return Refusal("this node founds a new generation already");
  founding_ = true;
  return shell_.Execute(std::nullopt, kQuorumLimit)
      .then([this](absl::Status&& read) -> kj::Promise<OperatorReply> {
        if (read.ok()) {
          return Refusal(absl::StrCat("a quorum of the voters answers, with map version ",
                                      maps_.version(), ": the register needs no recovery"));
        }
        return Survey();
      })
      .attach(kj::defer([this] { founding_ = false; }));
}

bool OperatorDesk::TakePart(const std::string& founder, uint64_t generation) {
  const bool other = takes_part_with_ != founder && self_.Now() < takes_part_until_;
  if (other) return false;
  takes_part_with_ = founder;
  takes_part_until_ = self_.Now() + kTakesPart;
  tried_ = std::max(tried_, generation);
  return true;
}

uint64_t OperatorDesk::Tried() const {
  const ValuePtr& accepted = shell_.acceptor().value;
  if (accepted == nullptr) return tried_;
  const auto state = StateOf(*accepted);
  return state.ok() ? std::max(tried_, state->generation) : tried_;
}

Remains OperatorDesk::OwnRemains() const {
  return {self_.name(), self_.nonce, maps_.map(), shell_.acceptor(), self_.storage};
}

// Whoever seems alive must say what it knows: who does not is put out, with its copies.
kj::Promise<OperatorReply> OperatorDesk::Survey() {
  const uint64_t generation = std::max(maps_.map()->generation, Tried()) + 1;
  if (!TakePart(self_.name(), generation)) {
    return Refusal(
        absl::StrCat("node ", takes_part_with_, " founds a new generation: ask that one"));
  }
  kj::Vector<kj::Promise<absl::StatusOr<Remains>>> answers;
  for (const Member& member : owner_.Seen()) {
    if (member.state != MemberState::kAlive || member.id.name == self_.name()) continue;
    answers.add(AskSurvivor(member.id.name, generation));
  }
  return kj::joinPromises(answers.releaseAsArray())
      .then([this, generation](
                kj::Array<absl::StatusOr<Remains>>&& answers) -> kj::Promise<OperatorReply> {
        std::vector<Remains> survivors = {OwnRemains()};
        for (auto& answer : answers) {
          if (!answer.ok()) return Refusal(answer.status());
          survivors.push_back(*std::move(answer));
        }
        return FoundFrom(std::move(survivors), generation);
      });
}

kj::Promise<absl::StatusOr<Remains>> OperatorDesk::AskSurvivor(std::string node,
                                                               uint64_t generation) {
  capnp::MallocMessageBuilder message;
  auto out = message.initRoot<control::Survey>();
  const uint64_t number = links_.NextNumber();
  out.setNumber(number);
  out.setGeneration(generation);
  return links_.Call(node, control::KIND_SURVEY, number, message, kSurveyLimit)
      .then([this, node](kj::Own<Frame> frame) {
        auto in = frame->header<control::SurveyAnswer>();
        tried_ = std::max(tried_, in.getTried());  // The next request is for one above it.
        return ReadRemains(node, in);
      })
      .catch_([node](kj::Exception&& e) -> absl::StatusOr<Remains> {
        return absl::UnavailableError(
            absl::StrCat("node ", node, " seems alive but does not say what it knows (",
                         troupe::Words(e), "); ask again when it is found dead, or answers"));
      });
}

void OperatorDesk::OnSurvey(LinkNumber from, const Introduction& peer, Frame& frame) {
  auto in = frame.header<control::Survey>();
  capnp::MallocMessageBuilder message;
  auto out = message.initRoot<control::SurveyAnswer>();
  out.setNumber(in.getNumber());
  const uint64_t generation = maps_.map() == nullptr ? 0 : maps_.map()->generation;
  if (in.getGeneration() <= generation) {
    out.setRefused(absl::StrCat("the register is at generation ", generation, " here").c_str());
  } else if (in.getGeneration() <= Tried()) {
    out.setTried(Tried());
    out.setRefused(absl::StrCat("generation ", Tried(), " was tried before: ask again").c_str());
  } else if (!TakePart(peer.node, in.getGeneration())) {
    out.setRefused(absl::StrCat("it takes part in what ", takes_part_with_, " founds").c_str());
  } else {
    codec::WriteId(self_.nonce, out.initNonce());
    codec::WriteId(self_.storage, out.initStorage());
    if (maps_.map() != nullptr) out.setMap(codec::AsKj(maps_.value()->contents));
    out.setAcceptor(codec::AsKj(Encode(StoredAcceptor{self_.voter(), shell_.acceptor()})));
  }
  links_.Answer(from, control::KIND_SURVEY_ANSWER, message);
}

kj::Promise<OperatorReply> OperatorDesk::FoundFrom(std::vector<Remains> survivors,
                                                   uint64_t generation) {
  auto newest = NewestOf(survivors);
  if (!newest.ok()) return Refusal(newest.status());
  auto next = NextGeneration(*newest, generation, self_.AsFounder(), survivors);
  if (!next.ok()) return Refusal(next.status());
  std::vector<ShardId> lost;
  for (ShardId id = 0; id < next->shards.size(); ++id) {
    if (next->shards[id].state == ShardState::kLost) lost.push_back(id);
  }
  ValuePtr value = ValueOf(*next);
  return shell_.AcceptFounding(BallotAbove(survivors, self_.Entry()), value)
      .then([this, value, lost = std::move(lost)](bool accepted) mutable {
        if (!accepted) return Refusal("a vote came in between: ask again");
        self_.log().Warning("a new generation of the register is founded",
                            {{"version", value->version}, {"lost_shards", lost.size()}});
        owner_.OnRecovered(value);
        return Done(std::move(lost));
      });
}

}  // namespace troupe
