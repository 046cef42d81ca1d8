#include "troupe/membership/operator_call.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/membership/alarm.h"
#include "troupe/membership/limits.h"
#include "troupe/rpc/link.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

namespace control = wire::control;

void WriteShards(const std::vector<ShardId>& shards, capnp::List<uint32_t>::Builder out) {
  for (unsigned i = 0; i < out.size(); ++i) out.set(i, shards[i]);
}

OperatorReply Refusal(absl::Status status) {
  OperatorReply reply;
  reply.status = std::move(status);
  return reply;
}

// One question on a link of its own.
class Asking final : private Link::Receiver {
 public:
  Asking(kj::PromiseFulfiller<OperatorReply>& fulfiller, kj::Own<Link> link,
         const OperatorRequest& request)
      : fulfiller_(fulfiller), link_(kj::mv(link)) {
    capnp::MallocMessageBuilder message;
    auto out = message.initRoot<control::Operator>();
    out.setNumber(1);
    Encode(request, out);
    link_->Send(control::KIND_OPERATOR, message);
    link_->Start(*this);
  }

 private:
  void OnFrame(Link&, kj::Own<Frame> frame) override {
    if (frame->kind() != control::KIND_OPERATOR_ANSWER) return;
    fulfiller_.fulfill(Decode(frame->header<control::OperatorAnswer>()));
  }
  void OnEnd(Link& link, LinkEnd, std::string detail) override {
    fulfiller_.fulfill(Refusal(absl::UnavailableError(
        absl::StrCat("node ", link.peer().node, " ended the link before it answered: ", detail))));
  }

  kj::PromiseFulfiller<OperatorReply>& fulfiller_;
  kj::Own<Link> link_;
};

}  // namespace

void Encode(const OperatorRequest& request, control::Operator::Builder out) {
  WriteShards(request.shards, out.initShards(static_cast<unsigned>(request.shards.size())));
  switch (request.kind) {
    case OperatorRequest::Kind::kRecoverShards:
      return out.setRecoverShards();
    case OperatorRequest::Kind::kDeclareLost:
      return out.setDeclareLost();
    case OperatorRequest::Kind::kNewGeneration:
      return out.setNewGeneration();
  }
}

absl::StatusOr<OperatorRequest> Decode(control::Operator::Reader in) {
  OperatorRequest request;
  switch (in.which()) {
    case control::Operator::RECOVER_SHARDS:
      request.kind = OperatorRequest::Kind::kRecoverShards;
      break;
    case control::Operator::DECLARE_LOST:
      request.kind = OperatorRequest::Kind::kDeclareLost;
      break;
    case control::Operator::NEW_GENERATION:
      request.kind = OperatorRequest::Kind::kNewGeneration;
      break;
    default:
      return absl::UnimplementedError("this node does not know that command");
  }
  for (uint32_t shard : in.getShards()) request.shards.push_back(shard);
  return request;
}

void Encode(const OperatorReply& reply, control::OperatorAnswer::Builder out) {
  out.setCode(static_cast<uint16_t>(reply.status.code()));
  out.setMessage(std::string(reply.status.message()).c_str());
  WriteShards(reply.shards, out.initShards(static_cast<unsigned>(reply.shards.size())));
  out.setVersion(reply.version);
  out.setGeneration(reply.generation);
}

OperatorReply Decode(control::OperatorAnswer::Reader in) {
  OperatorReply reply;
  if (in.getCode() != 0) {
    reply.status =
        absl::Status(static_cast<absl::StatusCode>(in.getCode()), in.getMessage().cStr());
  }
  for (uint32_t shard : in.getShards()) reply.shards.push_back(shard);
  reply.version = in.getVersion();
  reply.generation = in.getGeneration();
  return reply;
}

kj::Promise<OperatorReply> AskNode(Host& host, std::string address, std::string cluster_name,
                                   OperatorRequest request, absl::Duration limit) {
  Introduction ours;
  ours.cluster_name = std::move(cluster_name);
  ours.role = Role::kClient;
  ours.node = "troupe";
  ours.nonce = host.RandomId();
  auto ask = [address,
              request = std::move(request)](DialedLink&& dialed) -> kj::Promise<OperatorReply> {
    if (dialed.link.get() == nullptr) {
      return Refusal(absl::UnavailableError(
          absl::StrCat("no node answers at ", address, ": ", dialed.detail)));
    }
    return kj::newAdaptedPromise<OperatorReply, Asking>(kj::mv(dialed.link), request);
  };
  auto late = host.timer().afterDelay(KjWait(limit)).then([address, limit] {
    return Refusal(absl::DeadlineExceededError(
        absl::StrCat("no answer from ", address, " within ", absl::FormatDuration(limit),
                     "; it may still be done: see `troupe status`")));
  });
  return DialLink(host, address, Lane::kControl, 0, std::move(ours), limit)
      .then(kj::mv(ask))
      .catch_([](kj::Exception&& e) { return Refusal(absl::UnavailableError(Words(e))); })
      .exclusiveJoin(kj::mv(late));
}

}  // namespace troupe
