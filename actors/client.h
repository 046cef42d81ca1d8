// Client: calls actors of a cluster from a program that is not one of its nodes.
//
//   Client client(machine.control(), {.nodes = {"10.0.0.1:7100", "10.0.0.2:7100"}});
//   auto alice = client.Get<Account>("alice");
//   uint64_t balance = co_await alice.Deposit(5);
//
// Knows several nodes, follows the map from any of them, and takes each call to the node that has
// the actor; retries under one call id when nodes die or actors move, so that no call takes effect
// twice. A call ends by its deadline, with an error if no node answers. Keeps a link to every node,
// by which actors reach its observers (observer.h).
//
// Threads: the loop of its Host. Not to be used in both processes after fork().
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kj/async.h"
#include "troupe/actors/call.capnp.h"
#include "troupe/actors/observer.h"
#include "troupe/actors/pool_key.h"
#include "troupe/actors/ref.h"
#include "troupe/actors/router.h"
#include "troupe/actors/transaction.h"
#include "troupe/rpc/link_pool.h"
#include "troupe/runtime/host.h"

namespace troupe {

template <typename Language>
class ClientTopic;
template <typename Language>
class GroupOf;

struct ClientOptions {
  // "host:port"; at least one that is reachable. A host that is a name stands for all its
  // addresses, and is looked up again until a node has answered.
  std::vector<std::string> nodes;
  std::string cluster_name = "troupe";
  std::string name = "client";  // For the logs of the nodes.
  CallMetadata metadata = {};   // Goes with each of its calls; what a ref adds counts more.
};

class Client final : private LinkPool::Watcher, private Router::Surroundings {
 public:
  // `host` outlives it. Throws FAILED when no nodes are given, or what is no host:port; other
  // errors come with the calls, see Connected().
  Client(Host& host, ClientOptions options);
  ~Client() noexcept(false);
  KJ_DISALLOW_COPY(Client);

  // A ref; sends nothing. Valid while the client is. Throws FAILED for a key that is reserved for
  // observers.
  template <typename Interface>
  RefOf<Interface> Get(std::string_view key, CallOptions options = {}) {
    return Refer<Interface>(Origin(), key, options);
  }
  kj::Own<CallOrigin> Origin();

  // A ref to the pool of a type that keeps no state: ActorContext::Pool().
  template <typename Interface>
  RefOf<Interface> Pool(CallOptions options = {}) {
    return ReferTo<Interface>(Origin(), {capnp::typeId<Interface>(), PoolKey()}, options);
  }

  // Calls to a few actors that take effect together, or not at all (transaction.h). Rejects,
  // besides with what `body` throws: OVERLOADED when other transactions had what it needs for all
  // of its time, or when it is not known whether it was committed; the text says which.
  template <typename Body>
  auto Transact(Body body, TransactOptions options = {}) {
    return ::troupe::Transact(BeginTransaction(), std::move(body), options);
  }

  // An object that actors call, made of `args`, until the handle goes; sends no call. Nodes that
  // the client has no link to yet tell their actors DISCONNECTED: see Connected(). Neither the
  // client nor its loop goes within a method of an observer.
  template <typename T, typename... Args>
  Observer<T> Observe(Args&&... args) {
    auto object = kj::heap<T>(kj::fwd<Args>(args)...);
    T& known = *object;
    auto mailbox = AddObserver(capnp::typeId<typename T::ActorInterface>(), kj::mv(object));
    auto ref = ReferTo<typename T::ActorInterface>(Origin(), mailbox->name());
    return Observer<T>(kj::mv(mailbox), known, std::move(ref));
  }

  // One that is not generated; it lives until the mailbox ends, or the client does.
  kj::Own<ObserverMailbox> Observe(uint64_t type, kj::Own<ActorBase> object) {
    return AddObserver(type, kj::mv(object));
  }

  // To publish to a topic and to subscribe to one: include topic.h. Valid while the client is.
  template <HasRef Language>
  ClientTopic<Language> Topic(std::string_view name);
  // The actors of a group: include group.h. Valid while the client is.
  template <HasRef Language>
  GroupOf<Language> Group(std::string_view name);

  kj::Timer& timer() { return host_.timer(); }

  // Resolves when a node has sent its map; rejects after `limit`, telling what each node said.
  kj::Promise<void> Connected(absl::Duration limit);

  // What one node sees; rejects after `limit`. The root is wire::StatusFrame.
  kj::Promise<Payload> Status(std::string node, absl::Duration limit);

  // Has a suspended actor tried again at once. Rejects, FAILED, when it is not suspended.
  kj::Promise<void> Unsuspend(const ActorId& actor, absl::Duration limit);

  const SharedMap& map() const { return router_.map(); }
  // Runs at every newer map, on this loop.
  void OnMapChange(kj::Function<void(const ClusterState&)> watcher) { on_map_ = kj::mv(watcher); }

 private:
  class ClientOrigin;
  class TransactionCaller;
  kj::Own<TransactionScope> BeginTransaction();
  struct StatusQuestion {
    std::string node;
    kj::Own<kj::PromiseFulfiller<Payload>> answer;
  };

  void OnLinkUp(const std::string& node, Link& link) override;
  void OnLinkFrame(const std::string& node, Link& link, kj::Own<Frame> frame) override;
  void OnLinkDown(const std::string& node, const LinkLoss& loss) override;
  void DispatchHere(kj::Own<InboundCall> call) override;
  bool HasObserver(const ActorId& name) const override {
    return observers_ && observers_->Owns(name);
  }
  void NeedNewerMap(uint64_t than) override;
  std::string Troubles() const override;
  kj::Promise<void> Seek(std::string node);
  void TakeMap(Frame& frame);
  kj::Own<ObserverMailbox> AddObserver(uint64_t type, kj::Own<ActorBase> object);
  void AnnounceObservers(const std::string& node, Link& link);
  void OnObserverCall(const std::string& node, kj::Own<Frame> frame);
  void AnswerObserverCall(const std::string& node, uint64_t up, uint64_t number,
                          CallOutcome&& outcome);
  Introduction Introduce() const;

  Host& host_;
  ClientOptions options_;
  Id128 nonce_;
  const uint16_t worker_;  // That its links ask for.
  LinkPool links_;
  Router router_;
  ClientSequence sequence_;
  Router::Caller caller_;
  kj::Function<void(const ClusterState&)> on_map_ = [](const ClusterState&) {};
  std::map<std::string, std::string> troubles_;  // By node: why it cannot be reached.
  std::vector<kj::Own<kj::PromiseFulfiller<void>>> waiting_;
  std::map<uint64_t, StatusQuestion> questions_;
  uint64_t next_question_ = 1;
  absl::Time asked_ = absl::InfinitePast();
  std::map<std::string, uint64_t> ups_;  // By node: which of its links to it is the newest.
  uint64_t next_up_ = 1;
  std::unique_ptr<Observers> observers_;  // Null before the first.
  // As many as there were transactions at a time; each is one caller to the actors that it calls.
  std::vector<kj::Own<TransactionCaller>> transactions_;
  std::vector<kj::Promise<void>> seeking_;  // Nodes that are given by name.
};

}  // namespace troupe
