#include "troupe/membership/register_shell.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/membership/control.capnp.h"
#include "troupe/membership/register_codec.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

namespace control = wire::control;

constexpr char kAcceptorRecord[] = "acceptor";
constexpr size_t kRepliesMax = 1024;  // Waiting for a disk that stalls; more go unanswered.
constexpr size_t kGuardsMax = 256;    // Registers whose old process is being asked.
// Links count from 1, so this is none of them.
constexpr absl::Duration kDiskTryPause = absl::Seconds(1);  // While the disk fails.

constexpr Coordinator::AskerId kOurselves = ~Coordinator::AskerId{0};

// Of a record that does not say it.
uint64_t NewestGenerationIn(const AcceptorState& acceptor) {
  uint64_t newest = 0;
  for (const ValuePtr& value : {acceptor.value, acceptor.chosen}) {
    if (value == nullptr) continue;
    auto state = StateOf(*value);
    if (state.ok()) newest = std::max(newest, state->generation);
  }
  return newest;
}

void SetBytes(const Bytes& bytes, control::Carried::Builder out) {
  out.setBytes({reinterpret_cast<const kj::byte*>(bytes.data()), bytes.size()});
}
std::span<const std::byte> BytesOf(Frame& frame) {
  auto data = frame.header<control::Carried>().getBytes();
  return {reinterpret_cast<const std::byte*>(data.begin()), data.size()};
}

}  // namespace

RegisterShell::RegisterShell(Self& self, ControlLinks& links, MapStore& maps, Owner& owner)
    : self_(self),
      links_(links),
      maps_(maps),
      owner_(owner),
      acceptor_(MakeAcceptor({})),
      alarm_(self.host, [this] { Wake(); }),
      tasks_(*this) {}

void RegisterShell::taskFailed(kj::Exception&& exception) {
  self_.log().Error("register task failed", {{"error", Words(exception)}});
}

// ---- The voter.

absl::Status RegisterShell::Load() {
  auto* directory = self_.machine.data_directory();
  if (directory == nullptr) return absl::OkStatus();
  auto record = directory->Read(kAcceptorRecord);
  if (!record.ok()) return record.status();
  if (!record->has_value() || (*record)->empty()) return absl::OkStatus();
  auto stored = DecodeStoredAcceptor(**record);
  if (!stored.ok()) {
    return absl::DataLossError(absl::StrCat("record \"acceptor\" of the data directory: ",
                                            std::string(stored.status().message())));
  }
  if (stored->voter == self_.voter()) acceptor_ = MakeAcceptor(std::move(stored->state));
  if (acceptor_.state().generation == 0) acceptor_.Enter(NewestGenerationIn(acceptor_.state()));
  return absl::OkStatus();
}

void RegisterShell::Vote(const VoterRequest& request, Reply reply) {
  if (!votes_) return;
  auto effects = acceptor_.Step(request);
  const bool durable = self_.machine.data_directory() != nullptr;
  const bool waits = durable && !self_.options.mutations->answer_before_durable;
  if (effects.persist != RegisterAcceptor::Persist::kNothing && durable) dirty_ = true;
  if (effects.reply) {
    auto send = [reply = std::move(reply), answer = *std::move(effects.reply)] { reply(answer); };
    if (effects.persist == RegisterAcceptor::Persist::kBeforeReply && waits) {
      if (after_write_.size() < kRepliesMax) after_write_.push_back(std::move(send));
    } else {
      send();
    }
  }
  Persist();
}

// One write at a time; what came meanwhile shares the next.
void RegisterShell::Persist() {
  if (!dirty_ || writing_ || !votes_) return;
  dirty_ = false;
  writing_ = true;
  auto replies = std::exchange(after_write_, {});
  auto written = self_.machine.data_directory()->Write(
      kAcceptorRecord, Encode(StoredAcceptor{self_.voter(), acceptor_.state()}));
  tasks_.add(written.then(
      [this, replies = std::move(replies)]() -> kj::Promise<void> {
        writing_ = false;
        for (const auto& reply : replies) reply();
        Persist();
        return kj::READY_NOW;
      },
      [this](kj::Exception&& e) {
        votes_ = false;
        after_write_.clear();
        self_.log().Error("the disk failed: this node votes no more until it can be written",
                          {{"error", Words(e)}});
        return WriteUntilDone();
      }));
}

// What could not be written was told nobody, so what is in memory is what may be told next: with it
// on the disk this node is as good a voter as before.
kj::Promise<void> RegisterShell::WriteUntilDone() {
  return self_.host.timer()
      .afterDelay(KjWait(kDiskTryPause))
      .then([this] {
        return self_.machine.data_directory()->Write(
            kAcceptorRecord, Encode(StoredAcceptor{self_.voter(), acceptor_.state()}));
      })
      .then(
          [this]() -> kj::Promise<void> {
            self_.log().Info("the disk can be written again: this node votes");
            votes_ = true;
            writing_ = false;
            Persist();
            return kj::READY_NOW;
          },
          [this](kj::Exception&&) { return WriteUntilDone(); });
}

kj::Promise<bool> RegisterShell::AcceptFounding(const Ballot& ballot, ValuePtr value) {
  auto paf = kj::newPromiseAndFulfiller<bool>();
  auto fulfiller = std::make_shared<kj::Own<kj::PromiseFulfiller<bool>>>(kj::mv(paf.fulfiller));
  const uint64_t version = value->version;  // Nothing newer is known to whoever founds.
  auto state = StateOf(*value);
  if (state.ok() && votes_ && ballot >= acceptor_.state().promised) {
    acceptor_.Enter(state->generation);
  }
  Vote(AcceptRequest{ballot, ballot, std::move(value), version},
       [fulfiller](const VoterReply& reply) {
         (*fulfiller)->fulfill(std::holds_alternative<AcceptedReply>(reply));
       });
  return kj::mv(paf.promise);
}

void RegisterShell::BecomeNewVoter() {
  const uint64_t generation = acceptor_.state().generation;
  acceptor_ = MakeAcceptor({});
  acceptor_.Enter(generation);
}

// Before Begin() the map of the disk may be newer than what the voter has of the disk.
bool RegisterShell::VotesIn(uint64_t generation) const {
  return (maps_.map() == nullptr || maps_.map()->generation <= generation) &&
         acceptor_.VotesIn(generation);
}

kj::Promise<bool> RegisterShell::ForgetFounding() {
  // Also what was promised with it: no register came of it, and the next founding's ballot is named
  // by another cluster id, which may be the lower one.
  acceptor_ = MakeAcceptor({});
  if (self_.machine.data_directory() == nullptr) return true;
  auto paf = kj::newPromiseAndFulfiller<bool>();
  auto fulfiller = std::make_shared<kj::Own<kj::PromiseFulfiller<bool>>>(kj::mv(paf.fulfiller));
  dirty_ = true;
  after_write_.push_back([fulfiller] { (*fulfiller)->fulfill(true); });
  Persist();
  return kj::mv(paf.promise);
}

void RegisterShell::OnVoterRequest(LinkNumber from, Frame& frame) {
  auto message = DecodeVoterRequest(BytesOf(frame));
  if (!message.ok()) {
    self_.log().Warning("voter request not understood", {{"reason", message.status().ToString()}});
    return;
  }
  const VoterId ours = self_.voter();
  if (message->to != ours) return;  // Meant for an earlier process of this name.
  if (!VotesIn(message->generation)) return;
  acceptor_.Enter(message->generation);
  Vote(message->request, [this, from, ours](VoterReply reply) {
    capnp::MallocMessageBuilder out;
    SetBytes(Encode(AddressedReply{ours, std::move(reply)}), out.initRoot<control::Carried>());
    links_.Answer(from, control::KIND_VOTER_REPLY, out);
  });
}

void RegisterShell::OnVoterReply(const std::string& node, Frame& frame) {
  auto message = DecodeVoterReply(BytesOf(frame));
  if (!message.ok() || message->from.node != node) return;
  if (coordinator_) Do(coordinator_->OnReply(self_.Now(), message->from, message->reply));
}

// ---- The proposer.

void RegisterShell::OnNewMap() {
  acceptor_.Enter(maps_.map()->generation);
  if (!coordinator_) {
    // The detector's profile says what network this is.
    ProposerTimings timings;
    timings.attempt = std::max(timings.attempt, self_.options.swim.probe_timeout);
    CoordinatorOptions options;
    options.mutations = self_.options.mutations;
    coordinator_ = std::make_unique<Coordinator>(
        RegisterProposer(self_.name(), self_.nonce, maps_.value(),
                         self_.host.random().Fork("proposer"), timings, *self_.options.mutations),
        options);
  } else {
    coordinator_->OnMap(*maps_.map());
  }
  if (self_.options.mutations->removed_voter_forgets) ForgetIfRemoved();
  // So that this voter answers proposers who are behind (P2.3).
  if (VotesIn(maps_.map()->generation)) {
    Vote(ChosenNotice{{}, maps_.value()}, [](VoterReply) {});
  }
  ResolveWaiters();
}

// A mutation (P2.3).
void RegisterShell::ForgetIfRemoved() {
  const ClusterState& map = *maps_.map();
  for (const auto* voters : {&map.voters, &map.pending}) {
    if (std::binary_search(voters->begin(), voters->end(), self_.voter())) return;
  }
  acceptor_ = MakeAcceptor({});
}

void RegisterShell::Send(const RegisterProposer::Send& send) {
  if (send.to == self_.voter()) {
    Later([this, send] {
      if (!VotesIn(maps_.map()->generation)) return;
      Vote(send.request, [this, from = send.to](VoterReply reply) {
        Later([this, from, reply = std::move(reply)] {
          Do(coordinator_->OnReply(self_.Now(), from, reply));
        });
      });
    });
    return;
  }
  capnp::MallocMessageBuilder out;
  SetBytes(Encode(AddressedRequest{send.to, send.request, maps_.map()->generation}),
           out.initRoot<control::Carried>());
  (void)links_.Send(send.to.node, control::KIND_VOTER_REQUEST, out);  // Else its attempt times out.
}

// What one says to oneself waits until the step that says it is over.
void RegisterShell::Later(kj::Function<void()> work) {
  later_.push_back(kj::mv(work));
  if (draining_later_) return;
  draining_later_ = true;
  KJ_DEFER(draining_later_ = false);
  while (!later_.empty()) {
    auto next = kj::mv(later_.front());
    later_.pop_front();
    next();
  }
}

void RegisterShell::Do(Coordinator::Effects effects) {
  // The map first: whoever is answered finds it.
  if (effects.map) owner_.OnChosen(*effects.map);
  for (const auto& send : effects.send) {
    if (send.to != self_.voter()) Send(send);
  }
  for (const auto& answer : effects.answers) Answer(answer);
  for (const auto& send : effects.send) {
    if (send.to == self_.voter()) Send(send);
  }
  SetAlarm();
}

void RegisterShell::Answer(const Coordinator::Answer& answer) {
  if (answer.asker == kOurselves) {
    Later([this, done = answer.answer] { OnDone({done}, self_.name()); });
    return;
  }
  capnp::MallocMessageBuilder out;
  SetBytes(Encode(std::vector<CommandAnswer>{answer.answer}), out.initRoot<control::Carried>());
  links_.Answer(answer.asker, control::KIND_COMMAND_REPLIES, out);
}

void RegisterShell::OnCommands(LinkNumber from, const Introduction&, Frame& frame) {
  auto items = DecodeCommands(BytesOf(frame));
  if (!items.ok()) {
    self_.log().Warning("commands not understood", {{"reason", items.status().ToString()}});
    return;
  }
  TakeCommands(from, *std::move(items));
}

void RegisterShell::TakeCommands(Coordinator::AskerId asker, std::vector<CommandItem> items) {
  if (!coordinator_) {
    for (const auto& item : items) {
      Answer({asker, {item.id, 0, absl::UnavailableError("this node has no map yet")}});
    }
    return;
  }
  std::vector<CommandItem> ready;
  for (CommandItem& item : items) {
    if (item.command && std::holds_alternative<Register>(*item.command)) {
      GuardRegister(asker, std::move(item));
    } else {
      ready.push_back(std::move(item));
    }
  }
  if (!ready.empty()) Do(coordinator_->OnCommands(self_.Now(), asker, std::move(ready)));
}

void RegisterShell::GuardRegister(Coordinator::AskerId asker, CommandItem item) {
  auto& command = std::get<Register>(*item.command);
  // The lock that counts is that of the directory which the old process had.
  const NodeEntry* old = maps_.map()->FindNode(command.node);
  if (old == nullptr || old->storage.IsZero() || old->storage != command.storage) {
    command.holds_data_lock = false;
  }
  if (guards_ >= kGuardsMax) {
    return Answer({asker, {item.id, 0, absl::UnavailableError("too many nodes register at once")}});
  }
  ++guards_;
  auto guarded = owner_.LivesAllTheSame(command).then(
      [this, asker, item = std::move(item)](bool lives) mutable {
        auto& command = std::get<Register>(*item.command);
        if (lives) command.holds_data_lock = false;
        return owner_.BeforeRegister(command).then(
            [this, asker, item = std::move(item)](std::vector<Command>&& first) mutable {
              TakeRegister(asker, std::move(item), std::move(first));
            });
      });
  tasks_.add(guarded.attach(kj::defer([this] { --guards_; })));
}

void RegisterShell::TakeRegister(Coordinator::AskerId asker, CommandItem item,
                                 std::vector<Command> first) {
  if (!first.empty()) Propose(std::move(first));
  std::vector<CommandItem> items;
  items.push_back(std::move(item));
  Do(coordinator_->OnCommands(self_.Now(), asker, std::move(items)));
}

void RegisterShell::Propose(std::vector<Command> commands) {
  if (!coordinator_ || commands.empty()) return;
  std::vector<CommandItem> items;
  for (Command& command : commands) items.push_back({++last_own_item_, std::move(command)});
  Do(coordinator_->OnCommands(self_.Now(), Coordinator::kNobody, std::move(items)));
}

void RegisterShell::StopProposing() {
  if (coordinator_) Do(coordinator_->StopProposing(self_.Now()));
}

void RegisterShell::OnLinkGone(LinkNumber link) {
  if (coordinator_) coordinator_->Forget(link);
}

// ---- Our own commands.

kj::Promise<absl::Status> RegisterShell::Execute(std::optional<Command> command,
                                                 absl::Duration limit) {
  auto paf = kj::newPromiseAndFulfiller<absl::Status>();
  const absl::Time deadline = self_.Now() + limit;
  uint64_t id = 0;
  auto effects = dispatcher_.Submit(self_.Now(), deadline, std::move(command), id);
  waiters_[id] = {kj::mv(paf.fulfiller), 0, absl::OkStatus(), deadline};
  Do(std::move(effects));
  return kj::mv(paf.promise);
}

void RegisterShell::SetOrder(std::vector<VoterId> order) {
  if (order == order_) return;
  order_ = order;
  Do(dispatcher_.OnOrder(self_.Now(), std::move(order)));
}

void RegisterShell::SetRoundTrip(const std::string& node, absl::Duration round_trip) {
  round_trips_[node] = round_trip;
  absl::Duration longest = absl::ZeroDuration();
  for (const VoterId& voter : order_) {
    auto at = round_trips_.find(voter.node);
    if (at != round_trips_.end()) longest = std::max(longest, at->second);
  }
  dispatcher_.OnRoundTrip(longest);
}

void RegisterShell::OnVoterLost(const std::string& node) {
  for (const VoterId& voter : order_) {
    if (voter.node == node) Do(dispatcher_.OnVoterLost(self_.Now(), voter));
  }
}

void RegisterShell::OnCommandReplies(const std::string& node, Frame& frame) {
  auto answers = DecodeAnswers(BytesOf(frame));
  if (answers.ok()) OnDone(*answers, node);
}

void RegisterShell::Do(CommandDispatcher::Effects effects) {
  for (auto& send : effects.send) {
    if (send.to.node == self_.name()) {
      Later([this, items = std::move(send.items)]() mutable {
        TakeCommands(kOurselves, std::move(items));
      });
      continue;
    }
    capnp::MallocMessageBuilder out;
    SetBytes(Encode(send.items), out.initRoot<control::Carried>());
    (void)links_.Send(send.to.node, control::KIND_COMMANDS, out);  // Else the next voter is asked.
  }
  for (const CommandAnswer& done : effects.done) {
    auto it = waiters_.find(done.id);
    if (it == waiters_.end()) continue;
    it->second.version = std::max<uint64_t>(done.version, 1);  // Given up: for no map at all.
    it->second.status = done.status;
  }
  if (!effects.done.empty()) ResolveWaiters();
  SetAlarm();
}

void RegisterShell::OnDone(const std::vector<CommandAnswer>& done, const std::string& node) {
  uint64_t newest = 0;
  for (const CommandAnswer& answer : done) newest = std::max(newest, answer.version);
  Do(dispatcher_.OnAnswers(self_.Now(), done));
  if (newest > maps_.version()) owner_.NeedMap(node, newest);
}

// Those whose answer is in the map now; those whose time is up before it came.
void RegisterShell::ResolveWaiters() {
  const absl::Time now = self_.Now();
  std::vector<Waiter> ready;
  for (auto it = waiters_.begin(); it != waiters_.end();) {
    Waiter& waiter = it->second;
    const bool shown =
        waiter.version != 0 && (waiter.version <= maps_.version() || !waiter.status.ok());
    if (!shown && waiter.version != 0 && waiter.deadline <= now) {
      waiter.status = absl::DeadlineExceededError("done, but its map did not arrive in time");
    } else if (!shown) {
      ++it;
      continue;
    }
    ready.push_back(std::move(waiter));
    it = waiters_.erase(it);
  }
  for (Waiter& waiter : ready) waiter.fulfiller->fulfill(std::move(waiter.status));
}

// ---- Time.

void RegisterShell::Wake() {
  const absl::Time now = self_.Now();
  if (coordinator_ && coordinator_->wake() <= now) Do(coordinator_->Tick(now));
  if (dispatcher_.wake() <= now) Do(dispatcher_.Tick(now));
  ResolveWaiters();
  SetAlarm();
}

void RegisterShell::SetAlarm() {
  absl::Time at = dispatcher_.wake();
  if (coordinator_) at = std::min(at, coordinator_->wake());
  for (const auto& [id, waiter] : waiters_) {
    if (waiter.version != 0) at = std::min(at, waiter.deadline);
  }
  alarm_.Set(at);
}

}  // namespace troupe
