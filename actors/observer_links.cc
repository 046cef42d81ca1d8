#include "troupe/actors/observer_links.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "troupe/actors/ref_message.h"
#include "troupe/rpc/status.h"

namespace troupe {
namespace {

constexpr size_t kToldHeldMax = 64;  // Calls unanswered on a link; more told ones are let go.
constexpr size_t kToldHeldBytesMax = 64 << 10;  // The same.
constexpr size_t kCallBytes = 512;  // About what an unanswered call takes beside its parameters.

}  // namespace

ObserverLinks::ObserverLinks(Host& host, std::string node, ObserverLimits limits)
    : host_(host), node_(std::move(node)), limits_(limits) {}

ObserverLinks::~ObserverLinks() noexcept(false) { CloseAll(); }

void ObserverLinks::Claim(uint64_t session, Link& link, const Id128& secret) {
  const Id128 client = ObserverClient(secret);
  Close(session);
  if (auto other = session_of_.find(client); other != session_of_.end()) {
    const uint64_t old = other->second;
    Close(old);
  }
  session_of_[client] = session;
  auto& claimed = links_[session];
  claimed.link = &link;
  claimed.client = client;
}

void ObserverLinks::Close(uint64_t session) {
  auto it = links_.find(session);
  if (it == links_.end()) return;
  const auto numbers = std::move(it->second.calls);
  it->second.calls.clear();
  session_of_.erase(it->second.client);
  std::vector<kj::Own<InboundCall>> calls;
  for (uint64_t number : numbers) calls.push_back(Take(number));
  links_.erase(it);
  // Whoever is told may call again at once.
  for (auto& call : calls) {
    call->Finish(Disconnected(absl::StrCat("the link of the client of observer ",
                                           call->header().actor.ToString(), " to node ", node_,
                                           " has ended; the call may have reached it")));
  }
}

void ObserverLinks::CloseAll() {
  while (!links_.empty()) Close(links_.begin()->first);
}

std::optional<std::string> ObserverLinks::NoRoomFor(const ClientLink& link, size_t bytes) const {
  const bool is_short = calls_.size() > limits_.calls / 2 || bytes_ > limits_.bytes / 2;
  const size_t share = is_short ? kShareWhenShort : 1;
  if (calls_.size() >= limits_.calls || (!calls_.empty() && bytes_ + bytes > limits_.bytes)) {
    return absl::StrCat(calls_.size(), " calls to observers with ", bytes_,
                        " bytes are unanswered in all");
  }
  if (link.calls.size() >= limits_.link_calls / share ||
      (!link.calls.empty() && link.bytes + bytes > limits_.link_bytes / share)) {
    return absl::StrCat(link.calls.size(), " calls with ", link.bytes,
                        " bytes are unanswered there");
  }
  if (const size_t unread = link.link->stream().backlog(); unread > limits_.link_bytes) {
    return absl::StrCat(unread, " bytes are not read there");
  }
  return std::nullopt;
}

std::optional<uint64_t> ObserverLinks::Call(kj::Own<InboundCall> call, const ObserverKey& key) {
  auto known = session_of_.find(key.client);
  if (known == session_of_.end()) {
    call->Finish(
        Disconnected(absl::StrCat("the client of observer ", call->header().actor.ToString(),
                                  " is not connected to node ", node_)));
    return std::nullopt;
  }
  const uint64_t session = known->second;
  auto& link = links_.at(session);
  const size_t bytes = call->params().size_bytes() + kCallBytes;
  if (auto full = NoRoomFor(link, bytes)) {
    call->Finish(
        Overloaded(absl::StrCat("the client of observer ", call->header().actor.ToString(),
                                " is too slow for node ", node_, ": ", *full, "; call it later")));
    return std::nullopt;
  }
  const absl::Duration time_left = call->deadline() - host_.clock().Now();
  const uint64_t number = next_number_++;
  capnp::MallocMessageBuilder message;
  EncodeCall(number, call->header(), time_left, message.initRoot<wire::CallFrame>());
  link.link->stream().Send(wire::KIND_CALL, message, call->params().words());
  link.calls.insert(number);
  link.bytes += bytes;
  bytes_ += bytes;
  const bool told = ToldCall(call->header().id) != nullptr;
  const absl::Time patience = host_.clock().Now() + kToldPatience;
  auto& sent = calls_[number];
  sent = Sent{kj::mv(call), session, bytes, /*due=*/{}, told};
  sent.due = told ? std::min(patience, sent.call->deadline()) : sent.call->deadline();
  due_.emplace(sent.due, number);
  const bool slow =
      link.late > 0 || link.calls.size() > kToldHeldMax || link.bytes > kToldHeldBytesMax;
  if (told && slow) LetGo(number);
  return session;
}

kj::Own<InboundCall> ObserverLinks::Take(uint64_t number) {
  auto it = calls_.find(number);
  auto sent = kj::mv(it->second);
  calls_.erase(it);
  due_.erase({sent.due, number});
  bytes_ -= sent.bytes;
  auto& link = links_.at(sent.session);
  link.late -= sent.call->answered();
  link.calls.erase(number);
  link.bytes -= sent.bytes;
  return kj::mv(sent.call);
}

void ObserverLinks::OnAnswer(uint64_t session, kj::Own<Frame> frame) {
  const uint64_t number = frame->header<wire::AnswerFrame>().getNumber();
  auto it = calls_.find(number);
  if (it == calls_.end() || it->second.session != session) return;  // Too late.
  auto outcome = ReadAnswer(kj::mv(frame));
  const std::string name = it->second.call->header().actor.ToString();
  if (const auto* results = std::get_if<Payload>(&outcome)) {
    CheckMessage(results->words());
    if (results->size_bytes() > kCallBytesMax) {
      outcome.emplace<kj::Exception>(
          ResultsTooLarge(absl::StrCat("observer ", name), results->size_bytes()));
    }
  } else if (std::holds_alternative<Moved>(outcome)) {  // Which would have it sent again.
    outcome.emplace<kj::Exception>(
        Disconnected(absl::StrCat("the client of observer ", name, " did not take the call")));
  }
  Take(number)->Finish(std::move(outcome));
}

// Whoever told it does not wait for a slow client any more; it counts until it is answered.
void ObserverLinks::LetGo(uint64_t number) {
  auto& sent = calls_.at(number);
  due_.erase({sent.due, number});
  sent.due = sent.call->deadline();
  due_.emplace(sent.due, number);
  ++links_.at(sent.session).late;
  auto& call = *sent.call;
  call.Finish(EmptyResults());
}

void ObserverLinks::EndLate(absl::Time now) {
  while (!due_.empty() && due_.begin()->first <= now) {
    const uint64_t number = due_.begin()->second;
    const auto& sent = calls_.at(number);
    if (sent.told && !sent.call->answered()) {
      LetGo(number);
      continue;
    }
    auto call = Take(number);
    call->Finish(Overloaded(absl::StrCat("observer ", call->header().actor.ToString(),
                                         " has not answered within the deadline of the call; it "
                                         "may still run")));
  }
}

}  // namespace troupe
