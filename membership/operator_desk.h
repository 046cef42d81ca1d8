// OperatorDesk: does at this node what an operator asks of the cluster (docs/protocol.md P2.12,
// P3.1, P3.13).
//
// Single loop. Every request is answered, done or refused, within seconds. As long as a quorum of
// the voters answers, no new generation is founded; and none without the word of every node that
// seems alive.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kj/async.h"
#include "troupe/membership/control_links.h"
#include "troupe/membership/map_store.h"
#include "troupe/membership/member.h"
#include "troupe/membership/operator_call.h"
#include "troupe/membership/recovery.h"
#include "troupe/membership/register_shell.h"
#include "troupe/membership/self.h"

namespace troupe {

class OperatorDesk final : private kj::TaskSet::ErrorHandler {
 public:
  class Owner {
   public:
    virtual std::vector<Member> Seen() const = 0;
    // The first value of a new generation counts.
    virtual void OnRecovered(const ValuePtr& value) = 0;

   protected:
    ~Owner() = default;
  };

  OperatorDesk(Self& self, ControlLinks& links, MapStore& maps, RegisterShell& shell, Owner& owner);
  KJ_DISALLOW_COPY(OperatorDesk);

  void OnRequest(LinkNumber from, Frame& frame);
  void OnSurvey(LinkNumber from, const Introduction& peer, Frame& frame);

 private:
  void taskFailed(kj::Exception&& exception) override;
  kj::Promise<OperatorReply> Perform(OperatorRequest request);
  kj::Promise<OperatorReply> RecoverShards(std::vector<ShardId> shards);
  kj::Promise<OperatorReply> DeclareShardsLost(std::vector<ShardId> shards);
  kj::Promise<OperatorReply> Execute(std::vector<Command> commands, std::vector<ShardId> shards);
  kj::Promise<OperatorReply> FoundGeneration();
  kj::Promise<OperatorReply> Survey();
  kj::Promise<absl::StatusOr<Remains>> AskSurvivor(std::string node, uint64_t generation);
  kj::Promise<OperatorReply> FoundFrom(std::vector<Remains> survivors, uint64_t generation);
  OperatorReply Done(std::vector<ShardId> shards) const;
  Remains OwnRemains() const;
  // False: another founds a generation.
  bool TakePart(const std::string& founder, uint64_t generation);
  // The highest generation that was tried to found, as far as is known here. Whoever tried may be
  // dead and have founded it: then it comes back with that number, and must not pass for another.
  uint64_t Tried() const;

  Self& self_;
  ControlLinks& links_;
  MapStore& maps_;
  RegisterShell& shell_;
  Owner& owner_;
  size_t under_way_ = 0;
  bool founding_ = false;
  uint64_t tried_ = 0;
  std::string takes_part_with_;
  absl::Time takes_part_until_ = absl::InfinitePast();
  kj::TaskSet tasks_;
};

}  // namespace troupe
