// RegisterShell: this node's voter, its proposer, and its way to whoever coordinates.
//
// RegisterAcceptor, Coordinator and CommandDispatcher decide; this carries their messages over
// control links, makes the voter's state durable before it answers, and wakes them in time.
//
// Single loop. Every command ends by its deadline. Rules: docs/protocol.md P2.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "kj/async.h"
#include "troupe/membership/alarm.h"
#include "troupe/membership/command_dispatcher.h"
#include "troupe/membership/control_links.h"
#include "troupe/membership/coordinator.h"
#include "troupe/membership/map_store.h"
#include "troupe/membership/register_acceptor.h"
#include "troupe/membership/self.h"

namespace troupe {

class RegisterShell final : private kj::TaskSet::ErrorHandler {
 public:
  class Owner {
   public:
    // A value newer than the map is chosen. The owner puts it into the MapStore.
    virtual void OnChosen(const ClusterState& chosen) = 0;
    // Whether a Register that would replace a node that is UP may be judged now, and what is to be
    // fenced before it (P1.2).
    virtual kj::Promise<std::vector<Command>> BeforeRegister(const Register& command) = 0;
    // Whether the process that a Register would replace under its data lock answers all the same:
    // then that lock is of a copied directory (P1.5).
    virtual kj::Promise<bool> LivesAllTheSame(const Register& command) = 0;
    // A map of at least this version exists, and `node` knows it.
    virtual void NeedMap(const std::string& node, uint64_t version) = 0;

   protected:
    ~Owner() = default;
  };

  RegisterShell(Self& self, ControlLinks& links, MapStore& maps, Owner& owner);
  KJ_DISALLOW_COPY(RegisterShell);

  // Takes up the voter's state from the data directory, if it is that of this storage id.
  absl::Status Load();
  void BecomeNewVoter();  // The storage id is another now.
  const AcceptorState& acceptor() const { return acceptor_.state(); }
  // The founding value is accepted outside of a proposal; false: this voter is bound otherwise, or
  // its disk failed.
  kj::Promise<bool> AcceptFounding(const Ballot& ballot, ValuePtr value);
  // The founding value did not come to count.
  kj::Promise<bool> ForgetFounding();

  // Without a command: a read. OK once a quorum's word is in the map; otherwise as Apply's, or
  // DeadlineExceeded.
  kj::Promise<absl::Status> Execute(std::optional<Command> command, absl::Duration limit);
  // From the coordinator that this node itself is: nobody waits for the outcome.
  void Propose(std::vector<Command> commands);
  void StopProposing();

  void OnNewMap();  // The MapStore has one.
  void SetOrder(std::vector<VoterId> order);
  const std::vector<VoterId>& order() const { return order_; }
  void OnVoterLost(const std::string& node);
  void OnLinkGone(LinkNumber link);
  void SetRoundTrip(const std::string& node, absl::Duration round_trip);

  void OnVoterRequest(LinkNumber from, Frame& frame);
  void OnVoterReply(const std::string& node, Frame& frame);
  void OnCommands(LinkNumber from, const Introduction& peer, Frame& frame);
  void OnCommandReplies(const std::string& node, Frame& frame);

 private:
  using Reply = std::function<void(VoterReply reply)>;
  struct Waiter {
    kj::Own<kj::PromiseFulfiller<absl::Status>> fulfiller;
    uint64_t version = 0;  // Set once answered: the map to wait for.
    absl::Status status;
    absl::Time deadline;
  };

  void taskFailed(kj::Exception&& exception) override;
  RegisterAcceptor MakeAcceptor(AcceptorState state) const {
    return RegisterAcceptor(std::move(state), *self_.options.mutations);
  }
  void ForgetIfRemoved();
  bool VotesIn(uint64_t generation) const;
  void Vote(const VoterRequest& request, Reply reply);
  void Persist();
  kj::Promise<void> WriteUntilDone();
  void Send(const RegisterProposer::Send& send);
  void Answer(const Coordinator::Answer& answer);
  void TakeCommands(Coordinator::AskerId asker, std::vector<CommandItem> items);
  void GuardRegister(Coordinator::AskerId asker, CommandItem item);
  void TakeRegister(Coordinator::AskerId asker, CommandItem item, std::vector<Command> first);
  void Later(kj::Function<void()> work);
  void Do(Coordinator::Effects effects);
  void Do(CommandDispatcher::Effects effects);
  void OnDone(const std::vector<CommandAnswer>& done, const std::string& node);
  void ResolveWaiters();
  void Wake();
  void SetAlarm();

  Self& self_;
  ControlLinks& links_;
  MapStore& maps_;
  Owner& owner_;
  RegisterAcceptor acceptor_;
  bool votes_ = true;  // Not while the disk fails.
  bool dirty_ = false;
  bool writing_ = false;
  std::vector<std::function<void()>> after_write_;  // Replies that wait for the disk.
  std::unique_ptr<Coordinator> coordinator_;        // Null before the first map.
  CommandDispatcher dispatcher_;
  std::vector<VoterId> order_;
  std::map<std::string, absl::Duration> round_trips_;  // By node; of as many as have had links.
  std::map<uint64_t, Waiter> waiters_;
  uint64_t last_own_item_ = 0;
  size_t guards_ = 0;
  std::deque<kj::Function<void()>> later_;  // To oneself: after the present step, never within it.
  bool draining_later_ = false;
  Alarm alarm_;
  kj::TaskSet tasks_;
};

}  // namespace troupe
